package provision_test

import (
	"context"
	"errors"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// TestRestored expects that after a restore a consumer gets nothing until it has said
// that it knows, by whatever way it looks, and that fences go on above all others.
func TestRestored(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		host := tn.engine.Consumer("host")
		var last provision.Delivery
		deliver := func() error {
			return host.DeliverOnce(t.Context(), func(_ context.Context, d provision.Delivery) error {
				last = d
				return nil
			})
		}
		if err := deliver(); err != nil || last.Event == nil {
			t.Fatal(err)
		}
		before := last
		account := before.Event.AccountID
		if err := tn.engine.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		tn.set(id, `{"userName":"ada@example.com","externalId":"2","active":true}`)
		want := provision.CursorExpiredError{Consumer: "host", Connection: "acme", Restored: true}
		for what, err := range map[string]error{
			"DeliverOnce": deliver(),
			"Deliver": host.Deliver(t.Context(), func(context.Context, provision.Delivery) error {
				t.Error("delivered")
				return nil
			}, provision.DeliveryOptions{}),
			"Wait": host.Wait(t.Context(), "acme", account),
		} {
			var expired *provision.CursorExpiredError
			if !errors.As(err, &expired) || *expired != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		if last.Event != before.Event {
			t.Errorf("event %d came", last.Event.Sequence)
		}
		if err := host.Skip(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		tn.set(id, ada)
		if err := deliver(); err != nil || last.Event == before.Event || last.Fence <= before.Fence+1<<32 {
			t.Errorf("fence %d after %d, %v", last.Fence, before.Fence, err)
		}
		if _, err := tn.engine.Directory("acme").Account(t.Context(), account); err != nil {
			t.Error(err)
		}
	})
}
