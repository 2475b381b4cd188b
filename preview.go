package provision

import (
	"context"
	"fmt"
	"iter"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// AccountChange is how one account would change.
type AccountChange struct {
	AccountID string          `json:"accountId"`
	UserName  string          `json:"userName"`
	Changes   []store.Change  `json:"changes"` // as in the event of the change
	Reasons   []policy.Reason `json:"reasons"` // of the new decision
}

// Preview says what another policy would make of the stored facts, before
// anyone saves it: it yields the accounts that would change, in ascending order
// of id, and leaves out those that would not. Nothing is stored.
//
// It reads a snapshot of at most [Limits.Batch] accounts at a time, and none
// while the caller looks at what it yields; a change in between may or may not
// count. An error is yielded once, as the last value: a [*policy.ConfigError]
// for a wrong config, before anything is read, [ErrNotFound] for an unknown
// connection.
//
// The guards are not simulated: many accounts that lose access at once are
// listed although they would be held, as is the last site admin, and an account
// that a guard keeps already is listed with what it would get without the guard.
// Default groups are given at creation or login, so that a change of them shows
// in no account. What deleteAfterDays deletes later is listed as disabled.
func (d *Directory) Preview(ctx context.Context, config policy.Config) iter.Seq2[AccountChange, error] {
	return func(yield func(AccountChange, error) bool) {
		p, err := compilePolicy(config, d.engine.Permissions)
		if err != nil {
			yield(AccountChange{}, fmt.Errorf("provision: preview: %w", err))
			return
		}
		for after, more := "", true; more; {
			var page []AccountChange
			page, after, more, err = d.previewPage(ctx, p, after)
			if err != nil {
				yield(AccountChange{}, err)
				return
			}
			for _, change := range page {
				if !yield(change, nil) {
					return
				}
			}
		}
	}
}

// previewPage returns the changes of the accounts that follow one, the last
// account it looked at, and whether there may be more.
func (d *Directory) previewPage(ctx context.Context, p *policy.Policy, after string) (page []AccountChange, last string, more bool, err error) {
	size := d.engine.Limits.batch()
	err = d.view(ctx, func(r store.Reader) error {
		if err := d.exists(r); err != nil {
			return err
		}
		list, err := r.Accounts(store.AccountQuery{After: after, Limit: size})
		if err != nil {
			return err
		}
		people := make([]string, len(list))
		for i, a := range list {
			people[i] = a.ResourceID
		}
		groups, err := readGraph(r, p, people...)
		if err != nil {
			return err
		}
		var found []AccountChange
		for _, a := range list {
			if a.Status == policy.StatusDeleted {
				continue
			}
			next := account.Decide(account.Input{Before: a, Next: a, Groups: groups, Policy: p, Now: d.engine.now(), Sure: d.engine.sure(d.engine.now())}).Account()
			if changes := store.Changes(a, next); len(changes) > 0 {
				found = append(found, AccountChange{AccountID: a.ID, UserName: a.UserName, Changes: changes, Reasons: next.Reasons})
			}
		}
		page, more = found, len(list) == size
		if more {
			last = list[size-1].ID
		}
		return nil
	})
	return page, last, more, err
}
