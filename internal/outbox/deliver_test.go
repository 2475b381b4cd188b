package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func TestDeliver(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		var want []string
		for i := range 250 {
			want = append(want, fmt.Sprintf("%d u%d", s.change(fmt.Sprint("u", i%7)), i%7))
		}
		h := refusing()
		stop := s.start(s.Consumer, h.take, outbox.Options{})
		synctest.Wait()
		if diff := cmp.Diff(want, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v, want context.Canceled", err)
		}
		// Another run of the same consumer goes on behind what was seen.
		s.change("ada")
		s.start(s.process(st), h.take, outbox.Options{})
		synctest.Wait()
		if diff := cmp.Diff([]string{"251 ada"}, h.said()); diff != "" {
			t.Errorf("seen by another process (-want +got):\n%s", diff)
		}
	})
}

// A consumer that crashes in the middle misses nothing.
func TestDeliverAfterCrash(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		for i := range 20 {
			s.change(fmt.Sprint("u", i))
		}
		seen := map[int64]bool{}
		for end := int64(1); end <= 20; end += 3 {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.process(st).Deliver(ctx, func(_ context.Context, d outbox.Delivery) error {
				seen[d.Event.Sequence] = true
				if d.Event.Sequence >= end {
					cancel()
				}
				return nil
			}, outbox.Options{})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		for n := int64(1); n <= 19; n++ {
			if !seen[n] {
				t.Errorf("event %d was missed", n)
			}
		}
	})
}

// What this process stores comes at once, what another one does at the next poll.
func TestDeliverWakes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h, other := refusing(), refusing()
		stop := s.start(s.Consumer, h.take, outbox.Options{})
		synctest.Wait()
		began := time.Now()
		s.change("ada")
		synctest.Wait()
		if got := h.said(); len(got) != 1 || time.Since(began) > 0 {
			t.Errorf("after %v: %v, want ada at once", time.Since(began), got)
		}
		_ = stop()
		s.start(s.process(elsewhere{st}), other.take, outbox.Options{})
		synctest.Wait()
		s.change("ada")
		synctest.Wait()
		if got := other.said(); len(got) != 0 {
			t.Errorf("%v came without a question", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := other.said(); len(got) != 1 {
			t.Errorf("after the question: %v, want ada", got)
		}
	})
}

// What comes while a connection is being delivered is not left to the poll.
func TestNewsDuringDelivery(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h, next := refusing(), make(chan bool)
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			<-next
			return h.take(ctx, d)
		}, outbox.Options{})
		synctest.Wait()
		began := time.Now()
		s.change("ada")
		synctest.Wait()
		s.change("grace")
		next <- true
		next <- true
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 ada", "2 grace"}, h.said()); diff != "" || time.Since(began) > 0 {
			t.Errorf("after %v (-want +got):\n%s", time.Since(began), diff)
		}
	})
}

// What comes while the consumer takes its time comes once and in order, also where it
// is more than can be handed over.
func TestManyNewsDuringDelivery(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		var seen []int64
		next := make(chan bool)
		s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
			if len(seen) < 2 {
				<-next
			}
			seen = append(seen, d.Event.Sequence)
			return nil
		}, outbox.Options{})
		want := []int64{s.change("ada")}
		synctest.Wait()
		next <- true // from here on a lease is kept
		for range 2 {
			for range 150 {
				want = append(want, s.change("ada"))
				synctest.Wait()
			}
			if len(seen) == 1 {
				next <- true
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// What a consumer has seen when it is stopped, it has seen.
func TestStop(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		for range 5 {
			s.change("ada")
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Deliver(ctx, func(_ context.Context, d outbox.Delivery) error {
			if d.Event.Sequence == 3 {
				cancel()
			}
			return nil
		}, outbox.Options{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v", err)
		}
		h := refusing()
		s.must(s.DeliverOnce(t.Context(), h.take))
		if diff := cmp.Diff([]string{"4 ada", "5 ada"}, h.said()); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
	})
}

// The account comes as it is in the snapshot of the events.
func TestDeliveryBringsAccount(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("")
		s.change("ada")
		s.change("ada")
		s.change("grace")
		s.update("acme", func(tx store.Tx) error {
			return tx.AppendEvent(&store.Event{Type: store.LoginDenied, Connection: "acme", AccountID: "nobody"})
		})
		s.Pending = func(_ store.Reader, list []*store.Account) ([]*store.Account, error) {
			out := make([]*store.Account, len(list))
			for i, a := range list {
				out[i] = a.Clone()
				out[i].Pending = true
			}
			return out, nil
		}
		var got []string
		s.must(s.DeliverOnce(t.Context(), func(_ context.Context, d outbox.Delivery) error {
			text := describe(d.Event)
			if a := d.Account; a != nil {
				text += fmt.Sprintf(": %s version %d, pending %t", a.ID, a.Version, a.Pending)
			}
			got = append(got, text)
			return nil
		}))
		want := []string{
			"1 connection.updated", "2 ada: ada version 2, pending true", "3 ada: ada version 2, pending true",
			"4 grace: grace version 1, pending true", "5 nobody",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
	})
}

func TestDeliverExpired(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "globex", "acme")
		s.change("ada")
		s.change("grace")
		s.update("acme", func(tx store.Tx) error {
			_, err := tx.PruneEvents(1)
			return err
		})
		h := refusing()
		want := &outbox.ExpiredError{Consumer: "host", Connection: "acme"}
		var expired *outbox.ExpiredError
		if err := s.Deliver(t.Context(), h.take, outbox.Options{}); !errors.As(err, &expired) || *expired != *want {
			t.Errorf("Deliver returned %v, want %v", err, want)
		}
		if err := s.DeliverOnce(t.Context(), h.take); !errors.As(err, &expired) || *expired != *want {
			t.Errorf("DeliverOnce returned %v, want %v", err, want)
		}
		if err := s.Wait(t.Context(), "acme", "grace"); !errors.As(err, &expired) || *expired != *want {
			t.Errorf("Wait returned %v, want %v", err, want)
		}
		s.must(s.Skip(t.Context(), "acme"))
		s.change("annie")
		s.must(s.DeliverOnce(t.Context(), h.take))
		if diff := cmp.Diff([]string{"3 annie"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// Not more connections than asked for are delivered at once, and none waits until
// another is done.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		for i := range 30 {
			ids = append(ids, fmt.Sprint("c", i))
		}
		s := newSite(t, memory.New(), ids...)
		for _, id := range ids {
			for range 10 {
				s.changeIn(id, "ada")
			}
		}
		var now, most, all, begun atomic.Int64
		s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
			most.Store(max(most.Load(), now.Add(1)))
			if d.Event.Sequence == 1 {
				begun.Add(1)
			}
			time.Sleep(time.Second) // as long as a turn
			now.Add(-1)
			all.Add(1)
			return nil
		}, outbox.Options{Concurrency: 4})
		time.Sleep(time.Second * 30 / 4)
		if begun.Load() != 30 {
			t.Errorf("%d connections have begun when each had the time for an event", begun.Load())
		}
		time.Sleep(time.Second*300/4 + time.Minute)
		if most.Load() != 4 || all.Load() != 300 {
			t.Errorf("%d at once, want 4; %d in all, want 300", most.Load(), all.Load())
		}
	})
}

// counting is a store that counts what is asked of it.
type counting struct {
	store.Store
	views, updates, looks atomic.Int64
	fail                  atomic.Bool
}

func (c *counting) Watch() store.Watcher { return counted{c.Store.Watch(), c} }

type counted struct {
	store.Watcher
	by *counting
}

func (c counted) Look(ctx context.Context) ([]store.Appended, error) {
	c.by.looks.Add(1)
	return c.Watcher.Look(ctx)
}

var errAway = errors.New("the store is away")

func (c *counting) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	c.views.Add(1)
	return c.Store.View(ctx, scope, fn)
}

func (c *counting) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	c.updates.Add(1)
	if c.fail.Load() {
		return errAway
	}
	return c.Store.Update(ctx, scope, fn)
}

// Where nothing happens, nothing is written, and one question a second is asked for
// all connections. A connection with news costs the others nothing.
func TestIdleCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		for i := range 500 {
			ids = append(ids, fmt.Sprint("c", i))
		}
		st := &counting{Store: memory.New()}
		s := newSite(t, st, ids...)
		s.changeIn("c7", "ada")
		h := refusing()
		s.start(s.Consumer, h.take, outbox.Options{})
		time.Sleep(time.Second / 2)
		views, updates, looks := st.views.Load(), st.updates.Load(), st.looks.Load()
		time.Sleep(10 * time.Second)
		if n, m := st.views.Load()-views, st.looks.Load()-looks; n != 0 || m != 10 || st.updates.Load() != updates {
			t.Errorf("%d views, %d looks and %d updates in 10 seconds, want 10 looks and nothing else", n, m, st.updates.Load()-updates)
		}
		views, updates = st.views.Load(), st.updates.Load()
		s.changeIn("c7", "ada")
		synctest.Wait()
		// the event itself; the lease, and the cursor with the lease given back
		if n, m := st.views.Load()-views, st.updates.Load()-updates; n != 1 || m != 3 {
			t.Errorf("%d views and %d updates for an event, want 1 and 3", n, m)
		}
		if got := h.said(); len(got) != 2 {
			t.Errorf("seen %v, want both events", got)
		}
	})
}

// While the store is away it is asked more and more rarely, each time anew.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &counting{Store: memory.New()}
		s := newSite(t, st, "acme")
		h := refusing()
		s.start(s.Consumer, h.take, outbox.Options{})
		synctest.Wait()
		for range 2 {
			s.change("ada")
			st.fail.Store(true)
			before := st.updates.Load()
			s.Redriven.Send("acme")
			time.Sleep(20 * time.Second)
			if n := st.updates.Load() - before; n != 8 { // after 0, 0.1, 0.3, ... 12.7 seconds
				t.Errorf("%d updates were tried in 20 seconds, want 8", n)
			}
			st.fail.Store(false)
			time.Sleep(6 * time.Second)
			if got := h.said(); len(got) != 1 {
				t.Errorf("seen %v, want one event", got)
			}
		}
	})
}

// Where the question costs much, it is asked more rarely.
func TestPollPause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 20 * time.Millisecond: time.Second, 100 * time.Millisecond: 5 * time.Second, time.Minute: 15 * time.Second,
	} {
		if got := outbox.PollPause(took); got != want {
			t.Errorf("PollPause(%v) = %v, want %v", took, got, want)
		}
	}
}
