package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// consume delivers until fn has returned errStop.
var errStop = errors.New("stop")

// textAfter returns the text that an event changed an attribute to, or "".
func textAfter(ev *provision.Event, attribute string) (text string) {
	for _, c := range ev.Changes {
		if c.Attribute == attribute {
			_ = json.Unmarshal(c.After, &text)
		}
	}
	return text
}

func (tn *tenant) consume(consumer string, fn func(provision.Delivery) error) error {
	tn.t.Helper()
	ctx, cancel := context.WithTimeout(tn.t.Context(), 30*time.Second)
	defer cancel()
	err := tn.engine.Deliver(ctx, consumer, func(_ context.Context, d provision.Delivery) error {
		if d.Event.Connection != "acme" {
			return nil
		}
		err := fn(d)
		if errors.Is(err, errStop) {
			cancel()
			return nil
		}
		return err
	})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		tn.t.Fatal("the events do not come")
	}
	return err
}

func TestDeliver(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		for i := range 250 {
			tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
		}
		last := tn.lastEvent()
		var got []int64
		err := tn.consume("host", func(d provision.Delivery) error {
			got = append(got, d.Event.Sequence)
			if d.Event.Sequence == last {
				return errStop
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v, want context.Canceled", err)
		}
		want := make([]int64, last)
		for i := range want {
			want[i] = int64(i) + 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sequences (-want +got):\n%s", diff)
		}
		// Another run of the same consumer goes on behind what was seen.
		tn.user(ada)
		err = tn.consume("host", func(d provision.Delivery) error {
			if d.Event.Sequence <= last {
				t.Errorf("event %d came again", d.Event.Sequence)
			}
			if d.Event.Type == store.AccountCreated && textAfter(d.Event, "userName") == "ada@example.com" {
				return errStop
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v", err)
		}
	})
}

// A consumer that fails gets the same event again, and nothing else before it.
func TestDeliverRetries(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		var got []string
		_ = tn.consume("host", func(d provision.Delivery) error {
			got = append(got, fmt.Sprintf("%d.%d", d.Event.Sequence, d.Attempt))
			switch {
			case d.Attempt < 2:
				return errors.New("not now")
			case d.Event.Sequence == 2:
				return errStop
			}
			return nil
		})
		if diff := cmp.Diff([]string{"1.1", "1.2", "2.1", "2.2"}, got); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
	})
}

// A consumer that crashes in the middle misses nothing.
func TestDeliverAfterCrash(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		for i := range 20 {
			tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
		}
		last := tn.lastEvent()
		seen := map[int64]bool{}
		for stop := int64(1); stop <= last; stop += 3 {
			_ = tn.consume("host", func(d provision.Delivery) error {
				seen[d.Event.Sequence] = true
				if d.Event.Sequence >= stop {
					return errStop
				}
				return nil
			})
		}
		for n := int64(1); n <= last-2; n++ {
			if !seen[n] {
				t.Errorf("event %d was missed", n)
			}
		}
	})
}

// A host hears of a change without waiting for the poll.
func TestDeliverWakes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		heard := make(chan time.Time, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = tn.engine.Deliver(ctx, "host", func(_ context.Context, d provision.Delivery) error {
				if d.Event.Type == store.AccountCreated {
					heard <- time.Now()
				}
				return nil
			})
		})
		tn.user(ada)
		select {
		case <-heard:
		case <-time.After(30 * time.Second):
			t.Error("the event does not come")
		}
		cancel()
		wg.Wait()
	})
}

func TestDeliverBehindRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Retention = time.Hour
		tn.user(ada)
		tn.clock.add(2 * time.Hour)
		tn.user(`{"userName":"grace"}`)
		if err := provision.Prune(tn.engine, t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		fail := func(provision.Delivery) error { return errors.New("an event came") }
		if err := tn.consume("host", fail); !errors.Is(err, provision.ErrCursorExpired) {
			t.Errorf("Deliver returned %v, want ErrCursorExpired", err)
		}
		if err := tn.engine.SkipEvents(t.Context(), "host", "acme"); err != nil {
			t.Fatal(err)
		}
		tn.user(`{"userName":"annie"}`)
		_ = tn.consume("host", func(d provision.Delivery) error {
			if got := textAfter(d.Event, "userName"); got != "annie" {
				t.Errorf("the event of %q came", got)
			}
			return errStop
		})
	})
}
