package provision_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// operate runs an operator's action on the account with a user name.
func (tn *tenant) operate(userName string, action func(*provision.Directory, string) error) {
	tn.t.Helper()
	if err := action(tn.operator(), tn.account(userName).ID); err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) operator() *provision.Directory { return tn.engine.Directory("acme").As(tester) }

func (tn *tenant) disable(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.Disable(tn.t.Context(), id) })
}

func (tn *tenant) enable(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.Enable(tn.t.Context(), id) })
}

func (tn *tenant) markLoggedIn(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.MarkLoggedIn(tn.t.Context(), id) })
}

func (tn *tenant) deleteAccount(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.DeleteAccount(tn.t.Context(), id) })
}

const (
	adaActive   = `{"userName":"ada@example.com","externalId":"1","title":"Countess","active":true}`
	adaInactive = `{"userName":"ada@example.com","externalId":"1","active":false}`
)

// What an operator disabled only an operator enables, and what the identity
// provider disabled only the identity provider.
func TestOperatorBlock(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		at := tn.lastEvent()
		tn.disable("ada@example.com")
		tn.disable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil || len(list) != 1 || list[0].Type != store.AccountDisabled || list[0].Actor != tester {
			t.Errorf("events %v, %v; want one, account.disabled by %v", list, err, tester)
		}
		r, err := tn.dir.Get(t.Context(), "User", id, 0)
		if err != nil || r.Version != 1 {
			t.Errorf("the resource has version %d, %v; want the first", r.Version, err)
		}
		tn.set(id, adaActive)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.set(id, adaInactive)
		tn.enable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.set(id, ada)
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

func TestOperatorBlockOfStaged(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"IT"}`)
		id := tn.user(ada)
		tn.disable("ada@example.com")
		group := tn.group("IT", id)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.leave(group, id)
		tn.enable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusStaged)
	})
}

func TestOperatorDeletesAccount(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		group := tn.group("IT", id)
		first := tn.account("ada@example.com").ID
		at := tn.lastEvent()
		tn.deleteAccount("ada@example.com")
		if _, err := tn.dir.Get(t.Context(), "User", id, 0); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the resource: %v, want ErrNotFound", err)
		}
		if len(tn.members(group)) != 0 {
			t.Error("the group still has the member")
		}
		tombstone, err := tn.dir.Account(t.Context(), first)
		if err != nil || tombstone.Status != policy.StatusDeleted || tombstone.UserName != "" || tombstone.Email != "" {
			t.Errorf("the account is %+v, %v; want a tombstone", tombstone, err)
		}
		if diff := cmp.Diff([]store.EventType{store.GroupUpdated, store.AccountDeleted}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.user(ada)
		if again := tn.account("ada@example.com"); again.ID == first || again.Status != policy.StatusActive {
			t.Errorf("the person who came back has account %s, %s; want a fresh one, active", again.ID, again.Status)
		}
	})
}

// How a person authenticates is fixed when the host says that they logged in.
func TestMarkLoggedIn(t *testing.T) {
	for _, loggedIn := range []bool{false, true} {
		onEveryStore(t, func(t *testing.T, st store.Store) {
			tn := newTenant(t, st, `{"passwordGroups":"Guests"}`)
			id := tn.user(ada)
			if loggedIn {
				tn.markLoggedIn("ada@example.com")
			}
			tn.group("Guests", id)
			want := policy.AuthenticationPassword
			if loggedIn {
				want = policy.AuthenticationSSO
			}
			if got := tn.account("ada@example.com").Authentication; got != want {
				t.Errorf("logged in %t: authentication %s, want %s", loggedIn, got, want)
			}
		})
	}
}

func TestOperatorUnknownAccount(t *testing.T) {
	actions := []struct {
		name string
		do   func(*provision.Directory, string) error
	}{
		{"Disable", func(d *provision.Directory, id string) error { return d.Disable(t.Context(), id) }},
		{"Enable", func(d *provision.Directory, id string) error { return d.Enable(t.Context(), id) }},
		{"MarkLoggedIn", func(d *provision.Directory, id string) error { return d.MarkLoggedIn(t.Context(), id) }},
		{"RemoveGroup", func(d *provision.Directory, id string) error { return d.RemoveGroup(t.Context(), id, "g") }},
		{"Edit", func(d *provision.Directory, id string) error {
			return d.Edit(t.Context(), id, provision.AccountEdit{TwoFactor: policy.TwoFactorNever})
		}},
		{"DeleteAccount", func(d *provision.Directory, id string) error { return d.DeleteAccount(t.Context(), id) }},
	}
	for _, action := range actions {
		t.Run(action.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				id := tn.user(ada)
				deleted := tn.account("ada@example.com").ID
				tn.deleteAccount("ada@example.com")
				tn.user(ada)
				foreign := tn.account("ada@example.com").ID
				if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
					t.Fatal(err)
				}
				at := tn.lastEvent()
				for _, id := range []string{"", "nobody", id, deleted} {
					if err := action.do(tn.operator(), id); !errors.Is(err, provision.ErrNotFound) {
						t.Errorf("account %q: %v, want ErrNotFound", id, err)
					}
				}
				if err := action.do(tn.engine.Directory("other"), foreign); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("an account of another connection: %v, want ErrNotFound", err)
				}
				if got := tn.events(at); len(got) != 0 {
					t.Errorf("refused actions left events %v", got)
				}
			})
		})
	}
}
