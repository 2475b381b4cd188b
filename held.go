package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// HeldAccount is an account that a guard keeps as it is, and what releasing it would do.
type HeldAccount struct {
	Account *Account `json:"account"`

	// Since is when it was held, Actor by whose change, and Resource what was changed, if
	// it was one resource. They say the same as the event account.held.
	Since    time.Time          `json:"since"`
	Actor    Actor              `json:"actor"`
	Resource *store.ResourceRef `json:"resource,omitempty"`

	// Status, Changes and Reasons are what the account would become by
	// [Directory.Release], as the policy decides now. Changes begin with that it is not held
	// any more, as in the event.
	Status  policy.Status   `json:"status"`
	Changes []store.Change  `json:"changes"`
	Reasons []policy.Reason `json:"reasons"`
}

// Held returns the accounts that are held, in ascending order of id, after an account, at
// most limit; 0 and more than [Limits.Batch] mean that many. Those that an operator keeps
// are not among them. Its cost is that of the page, however many accounts there are;
// [AccountCounts.Held] says how many are held. The error is [ErrNotFound] for an unknown
// connection.
func (d *Directory) Held(ctx context.Context, after string, limit int) ([]HeldAccount, error) {
	if most := d.engine.Limits.batch(); limit <= 0 || limit > most {
		limit = most
	}
	var list []HeldAccount
	err := d.view(ctx, func(r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		holds, err := records.Hold.List(r, after, limit)
		if err != nil {
			return err
		}
		list, err = d.heldAccounts(r, conn, holds)
		return err
	})
	return list, err
}

// heldAccounts says what would become of accounts that are held.
func (d *Directory) heldAccounts(r store.Reader, conn *compiled, holds []records.Entry[records.Held]) ([]HeldAccount, error) {
	accounts := make([]*Account, len(holds))
	people := make([]string, len(holds))
	for i, e := range holds {
		a, err := r.Account(e.Key)
		if err != nil {
			return nil, err
		}
		accounts[i], people[i] = a, a.ResourceID
	}
	groups, err := readGraph(r, conn.policy, people...)
	if err != nil {
		return nil, err
	}
	now := d.engine.now()
	list := make([]HeldAccount, len(holds))
	for i, a := range accounts {
		next := account.Decide(account.Input{Before: a, Next: a, Groups: groups, Policy: conn.policy, Now: now, Sure: d.engine.sure(now)}).Account()
		e := holds[i].Value
		list[i] = HeldAccount{
			Account: a, Since: e.Since, Actor: e.Actor, Resource: e.Resource,
			Status: next.Status, Changes: store.Changes(a, next), Reasons: next.Reasons,
		}
	}
	return list, nil
}

// rememberHold lists an account that is held from now on, or not any more.
func (c *change) rememberHold(out *account.Output) error {
	was := out.Before != nil && out.Before.Held
	switch {
	case out.After.Held && !was:
		return records.Hold.Save(c.tx, &records.Entry[records.Held]{
			Key: out.After.ID, Value: records.Held{Since: c.now, Actor: c.actor, Resource: c.resource},
		})
	case was && !out.After.Held:
		return records.Hold.Delete(c.tx, out.After.ID, 0)
	}
	return nil
}
