package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// The delivery itself is tested in internal/outbox. Here is what an Engine adds.

// What an engine stores is delivered at once, with the accounts as a Directory
// returns them.
func TestConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, memory.New(), `{}`)
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 1}
		host := tn.engine.Consumer("host")
		var mu sync.Mutex
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- host.Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
				mu.Lock()
				defer mu.Unlock()
				text := fmt.Sprintf("%d %s attempt %d", d.Event.Sequence, d.Event.Type, d.Attempt)
				if d.Fence == 0 {
					text += " without a fence"
				}
				if a := d.Account; a != nil {
					text += fmt.Sprintf(" %s version %d %s pending %t", a.UserName, a.Version, a.Status, a.Pending)
				}
				got = append(got, text)
				return nil
			}, provision.DeliveryOptions{})
		}()
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
			got = nil
		}
		began := time.Now()
		expect("at first", "1 connection.updated attempt 1")
		id := tn.user(ada)
		expect("created", "2 account.created attempt 1 ada@example.com version 1 active pending false")
		tn.user(`{"userName":"grace"}`)
		expect("another", "3 account.created attempt 1 grace version 1 active pending false")
		tn.setPolicy(`{"company":"One"}`) // leaves a job
		tn.set(id, `{"userName":"ada@example.com","title":"T"}`)
		expect("a job waits", "4 connection.updated attempt 1", "5 account.updated attempt 1 ada@example.com version 2 active pending true")
		tn.deleteAccount("ada@example.com")
		expect("deleted", "6 account.deleted attempt 1  version 3 deleted pending true")
		if took := time.Since(began); took > 0 {
			t.Errorf("the events took %v", took)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v", err)
		}
	})
}

// Errors are those of this package.
func TestConsumerErrors(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Logger = slog.New(slog.DiscardHandler)
		tn.engine.Retention = time.Hour
		host := tn.engine.Consumer("host")
		if _, err := host.Parked(t.Context(), "acme"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("Parked of an unknown consumer: %v", err)
		}
		id := tn.user(ada)
		account := tn.account("ada@example.com").ID
		ctx, cancel := context.WithCancel(t.Context())
		_ = host.Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
			if d.Event.Type == store.DeliveryParked {
				cancel()
			}
			if d.Event.AccountID == account && d.Event.Type != store.DeliveryParked {
				return errors.New("refused")
			}
			return nil
		}, provision.DeliveryOptions{Attempts: 1})
		list, err := host.Parked(t.Context(), "acme")
		want := []provision.Parked{{AccountID: account, Sequence: 2, Since: tn.clock.Now(), LastError: "refused"}}
		if diff := cmp.Diff(want, list); diff != "" || err != nil {
			t.Errorf("parked: %v (-want +got):\n%s", err, diff)
		}
		var parked *provision.ParkedError
		if err := host.Wait(t.Context(), "acme", account); !errors.As(err, &parked) ||
			*parked != (provision.ParkedError{Consumer: "host", Connection: "acme", Parked: want[0]}) {
			t.Errorf("Wait for a parked account: %v", err)
		}

		tn.clock.add(2 * time.Hour)
		tn.set(id, `{"userName":"ada@example.com","title":"T"}`)
		tn.user(`{"userName":"grace"}`)
		tn.runOnce()
		nothing := func(context.Context, provision.Delivery) error { return nil }
		late := tn.engine.Consumer("late")
		if err := late.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"Redrive":     host.Redrive(t.Context(), "acme", account),
			"Deliver":     late.Deliver(t.Context(), nothing, provision.DeliveryOptions{}),
			"DeliverOnce": late.DeliverOnce(t.Context(), nothing),
			"Wait":        late.Wait(t.Context(), "acme", account),
		} {
			var got *provision.CursorExpiredError
			if !errors.As(err, &got) || got.Connection != "acme" || (got.Consumer == "host") != (what == "Redrive") {
				t.Errorf("%s returned %v, want a CursorExpiredError", what, err)
			}
		}
		if err := late.Skip(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if err := late.DeliverOnce(t.Context(), nothing); err != nil {
			t.Errorf("after Skip: %v", err)
		}
		if err := late.SkipParked(t.Context(), "acme", account); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("SkipParked of an account that is not parked: %v", err)
		}
	})
}
