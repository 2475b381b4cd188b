package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// deletesLater reports whether the policy deletes deprovisioned accounts later.
// A disabled connection leaves its accounts as they are.
func (c *compiled) deletesLater() bool {
	config := &c.Policy
	return !c.Disabled && config.DeprovisionUsers == policy.On && config.DeprovisionMethod == policy.MethodDelete && config.DeleteAfterDays > 0
}

// scheduleDeletion notes that an account has just been deprovisioned, or was when
// the policy did not delete yet, and forgets it when the account came back. The
// due time follows from the days that the policy has when it is looked at.
// Somebody who came with active=false and was never in is not deleted.
func (c *change) scheduleDeletion(out *account.Output) error {
	before, after := out.Before, out.After
	if before == nil {
		return nil
	}
	was, is := account.Deprovisioned(before), account.Deprovisioned(after)
	switch {
	case is && c.conn.deletesLater() && (!was || after.Facts.WasActive || before.ResourceID != "" && after.ResourceID == ""):
		since, err := records.Deletion.Load(c.tx, after.ID)
		if err != nil || since.Stored() {
			return err // a DELETE after active=false does not begin again
		}
		since.Value = c.now
		return records.Deletion.Save(c.tx, &since)
	case was && !is:
		return records.Deletion.Clear(c.tx, after.ID)
	}
	return nil
}

// deleteDue deletes the accounts of a connection whose days are over, a batch in
// one transaction. It writes nothing where no account is marked.
func (e *Engine) deleteDue(ctx context.Context, connection string) error {
	for last, more := "", true; more; {
		marked, err := records.Deletion.Any(ctx, e.store(), connection)
		if err != nil || !marked {
			return err
		}
		next := ""
		err = e.update(ctx, connection, bySystem(), func(c *change) error {
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

// deleteDue looks at the next accounts and returns the last of them, or "" when
// there are no more.
func (c *change) deleteDue(after string) (last string, err error) {
	if !c.conn.deletesLater() {
		return "", nil
	}
	size := c.engine.Limits.batch()
	marked, err := records.Deletion.List(c.tx, after, size)
	if err != nil {
		return "", err
	}
	for _, e := range marked {
		if c.now.Before(e.Value.AddDate(0, 0, c.conn.Policy.DeleteAfterDays)) {
			continue
		}
		if err := c.deleteAccount(e.Key); err != nil {
			return "", err
		}
	}
	if len(marked) < size {
		return "", nil
	}
	return marked[size-1].Key, nil
}

// deleteAccount deletes an account whose days are over.
func (c *change) deleteAccount(id string) error {
	a, err := liveAccount(c.tx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && account.Deprovisioned(a) {
		out := account.Bury(a, c.now, policy.Reason{Option: "deleteAfterDays", Effect: policy.EffectDeleted})
		if err := c.store(&out); err != nil {
			return err
		}
	}
	return records.Deletion.Clear(c.tx, id)
}
