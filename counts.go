package provision

import (
	"context"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// AccountCounts is how many accounts a connection has, by status, and some of them for a
// reason. They are kept with each change, so that reading them costs one record however
// many accounts there are.
type AccountCounts struct {
	Staged   int `json:"staged"`
	Active   int `json:"active"`
	Disabled int `json:"disabled"`
	Deleted  int `json:"deleted"` // tombstones

	Held       int `json:"held"`       // a guard keeps them, and an operator decides: see [Directory.Held]
	SiteAdmins int `json:"siteAdmins"` // active, full
}

// People is how many accounts are no tombstones: of whom something becomes when the
// connection is disabled or deleted.
func (n AccountCounts) People() int { return n.Staged + n.Active + n.Disabled }

// AccountCounts returns how many accounts the connection has, as of one moment. The error
// is [ErrNotFound] for an unknown connection.
func (d *Directory) AccountCounts(ctx context.Context) (n AccountCounts, err error) {
	err = d.view(ctx, func(r store.Reader) error {
		if err := d.exists(r); err != nil {
			return err
		}
		counts, err := records.AccountCounts.Value(r, "")
		n = AccountCounts(counts)
		return err
	})
	return n, err
}

// tally is how a transaction changes the counts of accounts.
type tally struct{ change records.Counts }

// expectCounts announces the counts.
func expectCounts(r store.Reader) { _, _ = records.AccountCounts.Load(r, "") }

// stored counts an account that is stored instead of another, nil for none.
func (t *tally) stored(before, after *Account) {
	if before != nil {
		t.add(before, -1)
	}
	t.add(after, 1)
}

func (t *tally) add(a *Account, n int) {
	switch a.Status {
	case policy.StatusStaged:
		t.change.Staged += n
	case policy.StatusActive:
		t.change.Active += n
	case policy.StatusDisabled:
		t.change.Disabled += n
	case policy.StatusDeleted:
		t.change.Deleted += n
	}
	if a.Held {
		t.change.Held += n
	}
	if account.IsAdmin(a) {
		t.change.SiteAdmins += n
	}
}

// save adds what has changed to what is stored.
func (t *tally) save(tx records.ReadWriter) error {
	if t.change == (records.Counts{}) {
		return nil
	}
	e, err := records.AccountCounts.Load(tx, "")
	if err != nil {
		return err
	}
	e.Value.Add(t.change)
	t.change = records.Counts{}
	return records.AccountCounts.Save(tx, &e)
}
