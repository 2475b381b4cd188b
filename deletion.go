package provision

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// recordDeletion marks an account that option deleteAfterDays will delete, with
// the time at which it was deprovisioned. The due time follows from the days
// that the policy has when it is looked at.
const recordDeletion = "deletion"

// deletesLater reports whether the policy deletes deprovisioned accounts later.
// A disabled connection leaves its accounts as they are.
func (c *change) deletesLater() bool {
	config := &c.conn.Policy
	return !c.conn.Disabled && config.DeprovisionUsers && config.DeprovisionMethod == policy.Delete && config.DeleteAfterDays > 0
}

// scheduleDeletion marks an account that has just been deprovisioned, or was when
// the policy did not delete yet, and takes the mark from one that came back.
// Somebody who came with active=false and was never in is not deleted.
func (c *change) scheduleDeletion(before, after *Account) error {
	if before == nil {
		return nil
	}
	was, is := deprovisioned(before), deprovisioned(after)
	switch {
	case is && c.deletesLater() && (!was || after.Facts.WasActive || before.ResourceID != "" && after.ResourceID == ""):
		since, err := c.mark(recordDeletion, after.ID)
		if err != nil || since != "" {
			return err // a DELETE after active=false does not begin again
		}
		return c.putMark(recordDeletion, after.ID, c.now.Format(time.RFC3339Nano))
	case was && !is:
		return c.clearMark(recordDeletion, after.ID)
	}
	return nil
}

// deprovisioned reports whether the identity provider took the person out.
func deprovisioned(a *Account) bool {
	return a.Status == policy.Disabled && (blockedByProvider(a) || a.ResourceID == "")
}

// deleteDue deletes the accounts of a connection whose days are over, a batch in
// one transaction. It writes nothing where no account is marked.
func (e *Engine) deleteDue(ctx context.Context, connection string) error {
	for last, more := "", true; more; {
		marked := false
		err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
			marks, err := r.Records(recordDeletion, last, 1)
			marked = len(marks) > 0
			return err
		})
		if err != nil || !marked {
			return err
		}
		next := ""
		err = e.update(ctx, connection, Actor{Kind: "system"}, func(c *change) error {
			var err error
			next, err = c.deleteDue(last)
			return err
		})
		if err != nil {
			return err
		}
		last, more = next, next != ""
	}
	return nil
}

// deleteDue looks at the next marks and returns the last of them, or "" when
// there are no more.
func (c *change) deleteDue(after string) (last string, err error) {
	if !c.deletesLater() {
		return "", nil
	}
	size := c.engine.Limits.batch()
	marks, err := c.tx.Records(recordDeletion, after, size)
	if err != nil {
		return "", err
	}
	for _, rec := range marks {
		if err := c.deleteIfDue(rec); err != nil {
			return "", err
		}
	}
	if len(marks) < size {
		return "", nil
	}
	return marks[size-1].Key, nil
}

func (c *change) deleteIfDue(rec *store.Record) error {
	text, err := markText(rec)
	if err != nil {
		return err
	}
	since, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return err
	}
	if c.now.Before(since.AddDate(0, 0, c.conn.Policy.DeleteAfterDays)) {
		return nil
	}
	a, err := c.tx.Account(rec.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && deprovisioned(a) {
		if err := c.bury(a, policy.Reason{Option: "deleteAfterDays", Effect: policy.EffectDeleted}); err != nil {
			return err
		}
	}
	return c.clearMark(recordDeletion, rec.Key)
}

// bury replaces an account by its tombstone.
func (c *change) bury(before *Account, why policy.Reason) error {
	after := before.Clone()
	applyDecision(after, policy.Decision{Status: policy.Deleted, Reasons: []policy.Reason{why}}, memberships{})
	return c.storeAccount(before, after, nil)
}
