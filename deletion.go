package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// deletesLater reports whether the policy deletes deprovisioned accounts later.
// A disabled connection leaves its accounts as they are.
func (c *compiled) deletesLater() bool { return !c.Disabled && daysToDelete(&c.Policy) > 0 }

// daysToDelete returns after how many days a policy deletes deprovisioned accounts, 0
// where it does not, or does so at once.
func daysToDelete(config *policy.Config) int {
	if config.DeprovisionUsers != policy.On || config.DeprovisionMethod != policy.MethodDelete {
		return 0
	}
	return config.DeleteAfterDays
}

// daysEdited sees to it that an edit of the policy does not delete many at the next
// run. Where the policy did not delete later before, the days of those who are out
// begin with the edit. Where it did so after more days, those who are due by the edit
// alone count for the mass guard; when they are too many, their days begin anew.
func (c *change) daysEdited(before *compiled) error {
	had, has := daysToDelete(&before.Policy), daysToDelete(&c.conn.Policy)
	if has == 0 || had != 0 && has >= had {
		return nil
	}
	marked, err := records.Deletion.List(c.tx, "", 0)
	if err != nil {
		return err
	}
	if had != 0 {
		marked = slices.DeleteFunc(marked, func(e records.Entry[records.Deprovisioned]) bool {
			out := e.Value.At(c.now)
			return c.now.Before(out.AddDate(0, 0, has)) || !c.now.Before(out.AddDate(0, 0, had))
		})
		switch goes, err := c.mayDelete(len(marked)); {
		case err != nil:
			return err
		case goes:
			return nil
		}
	}
	for i := range marked {
		marked[i].Value = records.Deprovisioned{Since: c.now}
		if err := records.Deletion.Save(c.tx, &marked[i]); err != nil {
			return err
		}
	}
	return nil
}

// mayDelete asks the mass guard about n accounts that an edit deletes at the next
// run, and counts them when they may go.
func (c *change) mayDelete(n int) (bool, error) {
	if c.verdict != nil {
		return *c.verdict == account.Force, nil
	}
	verdict, err := c.mass.verdict(n)
	if err != nil || verdict != account.LetGo {
		return false, err
	}
	for range n {
		if err := c.mass.went(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// expectDeletion announces what scheduleDeletion reads of a stored account, nil for a new one.
func (c *change) expectDeletion(r store.Reader, before *Account) {
	if before != nil && (account.Deprovisioned(before) || c.conn.deletesLater()) {
		_, _ = records.Deletion.Load(r, before.ID)
	}
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
		since.Value.Since = c.now
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
	if !c.conn.deletesLater() || c.waits() {
		return "", nil
	}
	size := c.engine.Limits.batch()
	marked, err := records.Deletion.List(c.tx, after, size)
	if err != nil {
		return "", err
	}
	for _, e := range marked {
		out := e.Value.At(c.now)
		if out.Equal(c.now) && e.Value.Since.After(c.now) { // the clock was ahead then: the days begin now
			e.Value.Met = c.now
			if err := records.Deletion.Save(c.tx, &e); err != nil {
				return "", err
			}
		}
		if c.now.Before(out.AddDate(0, 0, c.conn.Policy.DeleteAfterDays)) {
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
