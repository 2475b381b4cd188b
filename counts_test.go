package provision_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// counted counts the accounts one by one.
func (tn *tenant) counted() (n provision.AccountCounts) {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, a := range list {
		switch a.Status {
		case policy.StatusStaged:
			n.Staged++
		case policy.StatusActive:
			n.Active++
			if a.SiteAdmin {
				n.SiteAdmins++
			}
		case policy.StatusDisabled:
			n.Disabled++
		case policy.StatusDeleted:
			n.Deleted++
		}
		if a.Held {
			n.Held++
		}
	}
	return n
}

// checkCounts compares the counts that are kept with the accounts.
func (tn *tenant) checkCounts() {
	tn.t.Helper()
	got, err := tn.dir.AccountCounts(tn.t.Context())
	if diff := cmp.Diff(tn.counted(), got); diff != "" || err != nil {
		tn.t.Fatalf("counts (-accounts +kept), %v:\n%s", err, diff)
	}
}

func TestAccountCounts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff","siteAdminGroups":"Boss"}`)
		tn.checkCounts()
		people := tn.people(14)
		staff := tn.group("Staff", people[:13]...)
		tn.group("Boss", people[0])
		tn.leave(staff, people[12])
		tn.engine.Limits.Deprovision = 3
		tn.rename(staff, "Others")
		tn.engine.Limits.Deprovision = 0
		tn.deleteAccount("u11")
		want := provision.AccountCounts{Staged: 1, Active: 11, Disabled: 1, Deleted: 1, Held: 10, SiteAdmins: 1}
		got, err := tn.dir.AccountCounts(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("counts (-want +got), %v:\n%s", err, diff)
		}
		if got.People() != 13 {
			t.Errorf("%d people", got.People())
		}
		tn.checkCounts()
		// What rolls back counts nothing.
		failed := errors.New("failed")
		_, err = tn.dir.Create(t.Context(), "User", 0, func(d *provision.Draft) error { return failed })
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		tn.checkCounts()
		if _, err := tn.engine.Directory("nobody").AccountCounts(t.Context()); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of an unknown connection: %v", err)
		}
	})
}
