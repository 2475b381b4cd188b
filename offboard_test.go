package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
)

// Whoever was in by a connection that is deleted ends as by DELETE, the last site
// admin among them, however many they are.
func TestDeleteConnection(t *testing.T) {
	for _, test := range []struct {
		name, config string
		status       policy.Status
	}{
		{"disable", `{"siteAdminGroups":"Staff"}`, policy.StatusDisabled},
		{"delete", `{"siteAdminGroups":"Staff","deprovisionMethod":"delete"}`, policy.StatusDeleted},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, test.config)
				tn.engine.Limits.Batch = 7
				users := tn.people(30)
				tn.group("Staff", users...)
				at := tn.lastEvent()
				var told []provision.Progress
				d := tn.engine.Directory("acme").As(tester)
				if err := d.DeleteConnection(t.Context(), func(p provision.Progress) { told = append(told, p) }); err != nil {
					t.Fatal(err)
				}
				if last := told[len(told)-1]; len(told) < 4 || last != (provision.Progress{Done: 31, Total: 31}) {
					t.Errorf("progress %v", told)
				}
				if _, err := d.Connection(t.Context()); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("the connection: %v, want ErrNotFound", err)
				}
				list, err := d.Accounts(t.Context(), store.AccountQuery{})
				if err != nil || len(list) != 30 {
					t.Fatalf("%d accounts, %v", len(list), err)
				}
				for _, a := range list {
					if a.Status != test.status || a.SiteAdmin {
						t.Errorf("%s is %s, admin %t", a.ID, a.Status, a.SiteAdmin)
					}
				}
				events, err := d.Events(t.Context(), at, 0)
				if err != nil {
					t.Fatal(err)
				}
				if last := events[len(events)-1]; last.Type != store.ConnectionDeleted || last.Actor != tester {
					t.Errorf("the last event is %+v", last)
				}
				if err := d.DeleteConnection(t.Context(), nil); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("again: %v, want ErrNotFound", err)
				}
			})
		})
	}
}

// A deletion that ended early leaves a closed connection and goes on when it is
// called again.
func TestDeleteConnectionResumes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Batch = 5
		tn.people(20)
		secret := provision.Secret{Token: fmt.Sprintf("%032d", 7)}
		if _, err := tn.engine.Directory("acme").As(tester).SetCredential(t.Context(), secret, time.Time{}); err != nil {
			t.Fatal(err)
		}
		d := tn.engine.Directory("acme").As(tester)
		ctx, cancel := context.WithCancel(t.Context())
		err := d.DeleteConnection(ctx, func(provision.Progress) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a canceled deletion: %v", err)
		}
		if c, err := d.Connection(t.Context()); err != nil || !c.Disabled {
			t.Errorf("in between: %+v, %v; want a disabled connection", c, err)
		}
		if _, _, err := tn.engine.Authenticate(t.Context(), secret); !errors.Is(err, provision.ErrUnauthenticated) {
			t.Errorf("a credential in between: %v", err)
		}
		if err := d.DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		list, err := d.Accounts(t.Context(), store.AccountQuery{})
		if err != nil || len(list) != 20 {
			t.Fatalf("%d accounts, %v", len(list), err)
		}
		for _, a := range list {
			if a.Status != policy.StatusDisabled {
				t.Errorf("%s is %s", a.UserName, a.Status)
			}
		}
	})
}

// An id that is used again finds the accounts that were left, and who comes back
// gets theirs.
func TestConnectionComesBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(`{"userName":"ada","externalId":"1"}`)
		was := tn.account("ada").ID
		if err := tn.engine.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := tn.engine.Directory("acme").SaveConnection(t.Context(), provision.Connection{SCIM: true}); err != nil {
			t.Fatal(err)
		}
		tn.user(`{"userName":"ada","externalId":"1"}`)
		if a := tn.account("ada"); a.ID != was || a.Status != policy.StatusActive {
			t.Errorf("ada is %s, the same account: %t", a.Status, a.ID == was)
		}
	})
}

// A deleted connection is listed until every consumer has seen its end.
func TestDeletedConnectionIsDelivered(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		consumer := tn.engine.Consumer("table")
		if err := consumer.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := tn.engine.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last store.EventType
		see := func(_ context.Context, d provision.Delivery) error { last = d.Event.Type; return nil }
		if err := consumer.DeliverOnce(t.Context(), see); err != nil || last != store.ConnectionDeleted {
			t.Fatalf("the last event was %q, %v", last, err)
		}
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := tn.engine.Consumer("late")
		last = ""
		if err := late.DeliverOnce(t.Context(), see); err != nil || last != "" {
			t.Errorf("a consumer that came later saw %q, %v", last, err)
		}
	})
}

// A consumer gets past what it has missed of a connection that was deleted.
func TestSkipDeletedConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		consumer := tn.engine.Consumer("table")
		see := func(context.Context, provision.Delivery) error { return nil }
		if err := consumer.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := tn.engine.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		tn.engine.Retention = 24 * time.Hour
		tn.clock.add(48 * time.Hour)
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		var expired *provision.CursorExpiredError
		if err := consumer.DeliverOnce(t.Context(), see); !errors.As(err, &expired) {
			t.Fatalf("events that are gone: %v", err)
		}
		if err := consumer.Skip(t.Context(), expired.Connection); err != nil {
			t.Fatal(err)
		}
		if err := consumer.DeliverOnce(t.Context(), see); err != nil {
			t.Errorf("after Skip: %v", err)
		}
		if err := consumer.Skip(t.Context(), "nowhere"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("an unknown connection: %v", err)
		}
	})
}

// The settings of a deleted connection are never taken for those of one that was
// made later under its id: neither by an engine that remembers them, nor by a
// form that was open.
func TestVersionsOfConnectionGoOn(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		one, other := &provision.Engine{Store: st}, &provision.Engine{Store: st}
		old, err := one.Directory("acme").SaveConnection(t.Context(), provision.Connection{Name: "Old", Disabled: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, engine := range []*provision.Engine{one, other} { // both remember it
			if _, err := engine.Directory("acme").Connection(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := one.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if list, err := one.Connections(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%d connections, %v", len(list), err)
		}
		made, err := one.Directory("acme").SaveConnection(t.Context(), provision.Connection{Name: "New", SCIM: true})
		if err != nil {
			t.Fatal(err)
		}
		if made.Version <= old.Version {
			t.Errorf("version %d after version %d", made.Version, old.Version)
		}
		for _, engine := range []*provision.Engine{one, other} {
			if c, err := engine.Directory("acme").Connection(t.Context()); err != nil || c.Name != "New" || c.Disabled {
				t.Errorf("the connection is %+v, %v", c, err)
			}
		}
		if _, err := one.Directory("acme").SaveConnection(t.Context(), old); !errors.Is(err, provision.ErrVersion) {
			t.Errorf("an old form: %v, want ErrVersion", err)
		}
	})
}

// What belonged to the connection that was deleted does not count in one that is
// made under its id: a credential that was set meanwhile, host groups, an import.
func TestDeletedConnectionLeavesNothingThatActs(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":30}`)
		d := tn.engine.Directory("acme").As(tester)
		gone := tn.user(`{"userName":"gone"}`)
		tn.user(ada)
		tn.remove("User", gone) // it is to be deleted after 30 days
		account := tn.account("gone").ID
		if err := d.RegisterGroups(t.Context(), provision.HostGroup{ID: "h1", Name: "Everyone"}); err != nil {
			t.Fatal(err)
		}
		empty := func() provision.SyncSource { return scimsync.JSONLines(strings.NewReader("")) }
		if err := d.Import(t.Context(), empty(), nil); err != nil {
			t.Fatal(err)
		}
		secret := provision.Secret{Token: fmt.Sprintf("%032d", 7)}
		at := tn.lastEvent()
		err := d.DeleteConnection(t.Context(), func(provision.Progress) {
			if _, err := d.SetCredential(t.Context(), secret, time.Time{}); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		events, err := d.Events(t.Context(), at, 0)
		if err != nil || len(events) == 0 || events[len(events)-1].Type != store.ConnectionDeleted {
			t.Fatalf("the last event is not the deletion: %v", err)
		}
		if n := tn.countEvents(at, store.CredentialRevoked); n != 1 {
			t.Errorf("%d credentials were revoked, want 1", n)
		}
		tn.clock.add(31 * 24 * time.Hour)
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Errorf("the work after a deletion: %v", err)
		}
		again := provision.Connection{SCIM: true, Policy: policy.Config{DeprovisionMethod: policy.MethodDelete, DeleteAfterDays: 30}}
		if _, err := d.SaveConnection(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tn.engine.Authenticate(t.Context(), secret); !errors.Is(err, provision.ErrUnauthenticated) {
			t.Errorf("a credential of the connection before: %v", err)
		}
		if groups, err := d.HostGroups(t.Context()); err != nil || len(groups) != 0 {
			t.Errorf("host groups %v, %v", groups, err)
		}
		if err := tn.engine.RunOnce(t.Context()); err != nil {
			t.Error(err)
		}
		if a, err := d.Account(t.Context(), account); err != nil || a.Status != policy.StatusDisabled {
			t.Errorf("the account that was left is %+v, %v", a, err)
		}
		if err := d.Import(t.Context(), empty(), nil); err != nil {
			t.Errorf("importing again: %v", err)
		}
	})
}

// Accounts whose users were deleted before, and who are held, go with the
// connection.
func TestDeleteConnectionOfHeldAccounts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionUsers":false}`)
		tn.engine.Limits.Batch = 7
		for _, id := range tn.people(30) {
			tn.remove("User", id)
		}
		tn.setPolicy(`{}`)
		held := tn.held()
		if len(held) != 30 {
			t.Fatalf("%d accounts are held, want 30", len(held))
		}
		d := tn.engine.Directory("acme").As(tester)
		if err := d.Keep(t.Context(), held[0]); err != nil {
			t.Fatal(err)
		}
		at := tn.lastEvent()
		if err := d.DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n := tn.countEvents(at, store.AccountDisabled); n != 30 {
			t.Errorf("%d accounts were disabled, want 30", n)
		}
	})
}

// racing is a store that runs a function once, after the snapshot of a scope.
type racing struct {
	store.Store
	scope string
	then  func()
}

func (s *racing) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	err := s.Store.View(ctx, scope, fn)
	if then := s.then; scope == s.scope && then != nil {
		s.then = nil
		then()
	}
	return err
}

// A connection that is made again while the deleted one is taken from the list is
// listed: nobody would deliver its events.
func TestConnectionIsMadeWhileItIsForgotten(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		admin := &provision.Engine{Store: st}
		if _, err := admin.Directory("acme").SaveConnection(t.Context(), provision.Connection{SCIM: true}); err != nil {
			t.Fatal(err)
		}
		if err := admin.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s := &racing{Store: st, scope: "acme"}
		worker := &provision.Engine{Store: s}
		made := false
		s.then = func() {
			made = true
			if _, err := admin.Directory("acme").SaveConnection(t.Context(), provision.Connection{SCIM: true}); err != nil {
				t.Error(err)
			}
		}
		if err := provision.Unlist(worker, t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if list, err := admin.Connections(t.Context()); err != nil || len(list) != 1 || !made {
			t.Errorf("%d connections are listed, %v, made %t", len(list), err, made)
		}
	})
}
