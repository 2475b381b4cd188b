package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
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
