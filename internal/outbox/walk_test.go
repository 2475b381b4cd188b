package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
)

// readings is a store that counts the events that are read, and the updates.
type readings struct {
	store.Store
	events, updates atomic.Int64
}

func (r *readings) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return r.Store.View(ctx, scope, func(ctx context.Context, in store.Reader) error { return fn(ctx, readingsReader{in, r}) })
}

func (r *readings) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	r.updates.Add(1)
	return r.Store.Update(ctx, scope, func(ctx context.Context, in store.Tx) error { return fn(ctx, readingsTx{in, r}) })
}

type readingsReader struct {
	store.Reader
	by *readings
}

func (r readingsReader) Events(after int64, limit int) ([]*store.Event, error) {
	events, err := r.Reader.Events(after, limit)
	r.by.events.Add(int64(len(events)))
	return events, err
}

type readingsTx struct {
	store.Tx
	by *readings
}

func (r readingsTx) Events(after int64, limit int) ([]*store.Event, error) {
	return readingsReader{r.Tx, r.by}.Events(after, limit)
}

// fill appends events without an account.
func (s *site) fill(n int) {
	s.t.Helper()
	s.update("acme", func(tx store.Tx) error {
		for range n {
			if err := tell(tx, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *site) last() (last int64) {
	s.t.Helper()
	s.must(s.st.View(s.t.Context(), "acme", func(_ context.Context, r store.Reader) (err error) {
		_, last, err = r.EventRange()
		return err
	}))
	return last
}

// Lines that are due are looked for together: the events behind all of them are read
// about once, and what became of the lines is stored a batch at a time. A line that is
// refused stops none of the others.
func TestLinesShareAWalk(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		counts := &readings{Store: st}
		s := newSite(t, counts, "acme")
		_, s.Alone = st.(single)
		var accounts []string
		for i := range 40 {
			accounts = append(accounts, fmt.Sprint("u", i))
		}
		h, gate := refusing(), make(chan struct{})
		stop := s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			if d.Event.AccountID == "grace" {
				<-gate
			}
			return h.take(ctx, d)
		}, outbox.Options{Attempts: 1})
		for _, a := range accounts {
			s.change(a)
		}
		synctest.Wait() // these are not refused, and do not come again
		h.refuse(accounts...)
		first, second := map[string]int64{}, map[string]int64{}
		for _, a := range accounts {
			first[a] = s.change(a)
			s.fill(100)
		}
		for _, a := range accounts {
			second[a] = s.change(a)
		}
		synctest.Wait()

		begin := func() {
			h.said()
			counts.events.Store(0)
			counts.updates.Store(0)
		}
		end := func(what string, refused int64, accounts []string) {
			t.Helper()
			events, updates, last := counts.events.Load(), counts.updates.Load(), s.last()
			if events > 2*last || updates > last/100+refused {
				t.Errorf("%s: %d events were read of %d, with %d updates", what, events, last, updates)
			}
			want, got := map[string][]string{}, map[string][]string{}
			for _, a := range accounts {
				want[a] = []string{fmt.Sprint(first[a], " ", a), fmt.Sprint(second[a], " ", a)}
			}
			for _, text := range h.said() {
				if number, a, _ := strings.Cut(text, " "); number != "parked" && strings.HasPrefix(a, "u") {
					got[a] = append(got[a], text)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: seen (-want +got):\n%s", what, diff)
			}
		}

		h.accept(accounts[0])
		begin()
		s.must(s.Redrive(t.Context(), "acme", accounts[0]))
		synctest.Wait()
		end("one account", 0, accounts[:1])

		h.accept(accounts[20:]...)
		s.change("grace")
		synctest.Wait() // nothing is tried until she goes on
		s.redriveAll()
		begin()
		close(gate)
		synctest.Wait()
		end("all accounts", 19, accounts[20:])

		_ = stop()
		h.accept(accounts...)
		s.redriveAll()
		begin()
		s.must(s.DeliverOnce(t.Context(), h.take))
		end("DeliverOnce", 0, accounts[1:20])
		if list := s.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
	})
}

// An account whose events end close behind does not wait for those that are far behind,
// wherever these are, nor does a new event.
func TestShortLineDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		for range 10000 {
			s.change("ada")
		}
		s.change("annie")
		s.fill(5000)
		stop := s.start(s.Consumer, refusing("ada", "annie").take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.redriveAll()
		var seen, bob atomic.Int64
		s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
			time.Sleep(time.Millisecond) // a walk takes as long as a turn
			switch {
			case d.Event.AccountID != "bob":
				seen.Add(1)
			case bob.CompareAndSwap(0, -1):
				return errRefused
			default:
				bob.Store(seen.Load())
			}
			return nil
		}, outbox.Options{})
		time.Sleep(2500 * time.Millisecond)
		s.change("bob")
		s.change("bob")
		before := seen.Load()
		time.Sleep(time.Minute)
		if n := bob.Load() - before; n > 4000 {
			t.Errorf("%d events of others came before those of an account that end close behind", n)
		}
		if n := seen.Load(); n != 10001 || len(s.parked()) > 0 {
			t.Errorf("%d events came, and parked are %v", n, s.parked())
		}
	})
}

// Of the lines that are looked for together only those are parked whose events were
// removed.
func TestRedrivenExpired(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		accounts := []string{"ada", "annie", "grace", "bob"}
		for _, a := range accounts {
			s.change(a)
		}
		stop := s.start(s.Consumer, refusing(accounts...).take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.redriveAll()
		s.update("acme", func(tx store.Tx) error {
			_, err := tx.PruneEvents(2)
			return err
		})
		h := refusing()
		s.start(s.Consumer, h.take, outbox.Options{})
		synctest.Wait()
		got := slices.DeleteFunc(h.said(), func(text string) bool { return strings.HasPrefix(text, "parked") })
		if diff := cmp.Diff([]string{"3 grace", "4 bob"}, got); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		for i, p := range s.parked() {
			if p.AccountID != accounts[i] || !strings.Contains(p.LastError, "removed") {
				t.Errorf("parked: %+v", p)
			}
		}
		if n := len(s.parked()); n != 2 {
			t.Errorf("%d are parked, want 2", n)
		}
	})
}
