package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// A host says which of its rows an account is, and finds that in every event
// after, also when the account is deleted.
func TestLink(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		resource := tn.user(`{"userName":"ada"}`)
		tn.user(`{"userName":"bob"}`)
		ada, bob := tn.account("ada").ID, tn.account("bob").ID
		d := tn.operator()
		link := func(account, host string, want error) {
			t.Helper()
			if err := d.Link(t.Context(), account, host); !errors.Is(err, want) {
				t.Errorf("linking %s: %v, want %v", host, err, want)
			}
		}
		link(ada, "row 1", nil)
		at := tn.lastEvent()
		link(ada, "row 1", nil)
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("the same link again made %v", got)
		}
		var taken *store.ConflictError
		if err := d.Link(t.Context(), bob, "row 1"); !errors.As(err, &taken) || taken.Attribute != "hostId" || taken.ID != ada {
			t.Errorf("a taken row: %v", err)
		}
		link(ada, "row 2", nil)
		link(bob, "row 1", nil)
		link(bob, "", nil)
		link(ada, "row 1", nil)
		link("nobody", "row 3", provision.ErrNotFound)
		var limit *provision.ArgumentError
		if err := d.Link(t.Context(), bob, strings.Repeat("x", 257)); !errors.As(err, &limit) {
			t.Errorf("a long id: %v", err)
		}
		tn.remove("User", resource)
		a, err := tn.dir.Account(t.Context(), ada)
		if err != nil || a.Status != policy.StatusDeleted || a.HostID != "row 1" || a.UserName != "" {
			t.Errorf("the tombstone is %+v, %v", a, err)
		}
		link(ada, "row 9", provision.ErrNotFound)
		link(bob, "row 1", nil)
	})
}
