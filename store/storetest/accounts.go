package storetest

import (
	"testing"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func (s *suite) accounts(t *testing.T, st store.Store) {
	first := s.account("acc-1", "res-1")
	update(t, st, func(tx store.Tx) error { return tx.PutAccount(first) })
	same(t, "the account that was written", first, s.account("acc-1", "res-1"))
	view(t, st, func(r store.Reader) error {
		got, err := r.Account("acc-1")
		is(t, "Account", err, nil)
		same(t, "account", got, first)
		got, err = r.AccountOf("res-1")
		is(t, "AccountOf", err, nil)
		same(t, "account of its resource", got, first)
		got, err = r.BareAccountOf("res-1")
		is(t, "BareAccountOf", err, nil)
		bare := first.Clone()
		bare.Groups = nil
		same(t, "account of its resource without its groups", got, bare)
		for _, id := range []string{"acc-2", "res-1", ""} {
			_, err = r.Account(id)
			is(t, "an unknown account", err, missing(store.KindAccount, id))
		}
		for _, id := range []string{"acc-1", "res-2", ""} {
			_, err = r.AccountOf(id)
			is(t, "an account of an unknown resource", err, missing(store.KindAccountOf, id))
			_, err = r.BareAccountOf(id)
			is(t, "a bare account of an unknown resource", err, missing(store.KindAccountOf, id))
		}
		return nil
	})

	update(t, st, func(tx store.Tx) error {
		err := tx.PutAccount(s.account("acc-2", "res-1"))
		conflict(t, err, "resourceId", "")
		_, err = tx.Account("acc-2")
		is(t, "the refused account", err, missing(store.KindAccount, "acc-2"))

		minimal := &store.Account{ID: "acc-3", Connection: scope, Status: policy.StatusDeleted}
		minimal2 := &store.Account{ID: "acc-4", Connection: scope, Status: policy.StatusDeleted}
		changed := first.Clone()
		changed.ResourceID, changed.UserName, changed.Version = "", "other", 8
		if err := all(tx.PutAccount(minimal), tx.PutAccount(minimal2), tx.PutAccount(changed)); err != nil {
			return err
		}
		got, err := tx.Account("acc-1")
		is(t, "Account", err, nil)
		same(t, "replaced account", got, changed)
		got, err = tx.Account("acc-3")
		is(t, "Account", err, nil)
		same(t, "minimal account", got, minimal)
		_, err = tx.AccountOf("res-1")
		is(t, "AccountOf after unlinking", err, store.ErrNotFound)
		_, err = tx.AccountOf("")
		is(t, "AccountOf nothing", err, store.ErrNotFound)
		is(t, "linking a free resource", tx.PutAccount(s.account("acc-2", "res-1")), nil)
		return nil
	})
}

func (s *suite) accountQueries(t *testing.T, st store.Store) {
	update(t, st, func(tx store.Tx) error {
		for _, row := range []struct {
			id, resource, userName, external, email string
			status                                  policy.Status
			admin                                   bool
		}{
			{"c", "r3", "Straße", "X", "Shared@Example.com", policy.StatusActive, true},
			{"a", "r1", "ann", "x", "ann@example.com", policy.StatusActive, false},
			{"b", "", "BOB", "", "shared@example.COM", policy.StatusDisabled, true},
			{"d", "", "ann", "", "", policy.StatusDeleted, false},
			{"e", "r5", "%", "_", "", policy.StatusStaged, false},
		} {
			a := &store.Account{
				ID: row.id, Connection: scope, ResourceID: row.resource, UserName: row.userName, ExternalID: row.external,
				Email: row.email, Status: row.status, SiteAdmin: row.admin, ReadOnlySiteAdmin: row.id == "e",
			}
			if err := tx.PutAccount(a); err != nil {
				return err
			}
		}
		return nil
	})
	for _, test := range accountTests {
		view(t, st, func(r store.Reader) error {
			accounts, err := r.Accounts(test.q)
			var got []string
			for _, a := range accounts {
				got = append(got, a.ID)
			}
			same(t, test.name, got, test.want)
			return err
		})
	}
	update(t, st, func(tx store.Tx) error { // indexes follow changes
		a, err := tx.Account("c")
		if err != nil {
			return err
		}
		c := a.Clone()
		c.SiteAdmin, c.Email, c.UserName, c.ExternalID = false, "new@example.com", "new", "new"
		if err := tx.PutAccount(c); err != nil {
			return err
		}
		for _, q := range []store.AccountQuery{{SiteAdmin: true}, {Email: "shared@example.com"}} {
			accounts, err := tx.Accounts(q)
			if len(accounts) != 1 || accounts[0].ID != "b" || err != nil {
				t.Errorf("%+v after a change: %d accounts, %v", q, len(accounts), err)
			}
		}
		accounts, err := tx.Accounts(store.AccountQuery{UserName: "new", ExternalID: "new"})
		if len(accounts) != 1 {
			t.Errorf("by the new values: %d accounts", len(accounts))
		}
		return err
	})
}

var accountTests = []struct {
	name string
	q    store.AccountQuery
	want []string
}{
	{"all", store.AccountQuery{}, []string{"a", "b", "c", "d", "e"}},
	{"after", store.AccountQuery{After: "b"}, []string{"c", "d", "e"}},
	{"after an id that is not there", store.AccountQuery{After: "bb"}, []string{"c", "d", "e"}},
	{"after the last", store.AccountQuery{After: "e"}, nil},
	{"limit", store.AccountQuery{Limit: 2}, []string{"a", "b"}},
	{"after and limit", store.AccountQuery{After: "a", Limit: 2}, []string{"b", "c"}},
	{"user name", store.AccountQuery{UserName: "ANN"}, []string{"a", "d"}},
	{"user name folds", store.AccountQuery{UserName: "STRAßE"}, []string{"c"}},
	{"user name and after", store.AccountQuery{UserName: "ann", After: "a"}, []string{"d"}},
	{"user name and limit", store.AccountQuery{UserName: "ann", Limit: 1}, []string{"a"}},
	{"user name is no pattern", store.AccountQuery{UserName: "%"}, []string{"e"}},
	{"external id", store.AccountQuery{ExternalID: "X"}, []string{"c"}},
	{"external id is exact", store.AccountQuery{ExternalID: "x"}, []string{"a"}},
	{"external id is no pattern", store.AccountQuery{ExternalID: "_"}, []string{"e"}},
	{"e-mail", store.AccountQuery{Email: "SHARED@example.com"}, []string{"b", "c"}},
	{"e-mail and status", store.AccountQuery{Email: "shared@example.com", Statuses: []string{"active"}}, []string{"c"}},
	{"status", store.AccountQuery{Statuses: []string{"staged", "deleted"}}, []string{"d", "e"}},
	{"unknown status", store.AccountQuery{Statuses: []string{"gone"}}, nil},
	{"site admins", store.AccountQuery{SiteAdmin: true}, []string{"b", "c"}},
	{"site admins after", store.AccountQuery{SiteAdmin: true, After: "b"}, []string{"c"}},
	{"active site admins", store.AccountQuery{SiteAdmin: true, Statuses: []string{"active"}}, []string{"c"}},
	{"unlinked", store.AccountQuery{Unlinked: true}, []string{"b", "d"}},
}
