package outbox_test

import (
	"context"
	"errors"
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

// ended is how a Wait ended.
type ended struct {
	err   error
	after time.Duration
}

// waiting is a Wait that goes on, or has ended.
type waiting struct{ ended atomic.Pointer[ended] }

func (s *site) wait(c *outbox.Consumer, account string) *waiting {
	w, began := &waiting{}, time.Now()
	go func() {
		err := c.Wait(s.t.Context(), "acme", account)
		w.ended.Store(&ended{err, time.Since(began)})
	}()
	synctest.Wait()
	return w
}

// goesOn fails the test when a Wait has ended.
func (s *site) goesOn(what string, w *waiting) {
	s.t.Helper()
	synctest.Wait()
	if e := w.ended.Load(); e != nil {
		s.t.Errorf("%s: ended after %v with %v", what, e.after, e.err)
	}
}

// hasEnded returns how a Wait ended.
func (s *site) hasEnded(what string, w *waiting) ended {
	s.t.Helper()
	synctest.Wait()
	e := w.ended.Load()
	if e == nil {
		s.t.Fatalf("%s: does not end", what)
	}
	return *e
}

// A wait ends when the consumer has seen the events of the account, whatever else
// is behind: at once in the process that delivers, soon in another.
func TestWait(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		next := make(chan bool)
		s.start(s.Consumer, func(context.Context, outbox.Delivery) error {
			<-next
			time.Sleep(2 * time.Second)
			return nil
		}, outbox.Options{})
		s.change("ada")
		s.change("grace")
		s.change("ada")
		s.change("grace")
		synctest.Wait()
		waits := map[string]*waiting{
			"ada here": s.wait(s.Consumer, "ada"), "ada there": s.wait(s.process(st), "ada"),
			"grace here": s.wait(s.Consumer, "grace"),
		}
		s.change("ada") // a wait does not wait for what came later
		expect := func(done ...string) {
			t.Helper()
			for name, w := range waits {
				if !slices.Contains(done, name) {
					s.goesOn(name, w)
				} else if e := s.hasEnded(name, w); e.err != nil {
					t.Errorf("%s: %v", name, e.err)
				}
			}
		}
		next <- true
		next <- true
		time.Sleep(2 * time.Second)
		expect()
		next <- true
		time.Sleep(2 * time.Second)
		expect("ada here")
		time.Sleep(time.Second / 2)
		expect("ada here", "ada there")
		next <- true
		time.Sleep(2 * time.Second)
		expect("ada here", "ada there", "grace here")
		if e := s.hasEnded("seen already", s.wait(s.process(st), "grace")); e.after > 0 || e.err != nil {
			t.Errorf("what was seen already took %v, %v", e.after, e.err)
		}
		next <- true
	})
}

// A wait for an account far behind does not read all that comes before, again and
// again.
func TestWaitFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		for i := range 3000 {
			s.change(fmt.Sprint("u", i%100))
		}
		s.change("ada")
		s.must(s.Register(t.Context()))
		w, next := s.wait(s.Consumer, "ada"), make(chan bool)
		s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
			if d.Event.Sequence == 1000 || d.Event.Sequence == 2900 {
				<-next
			}
			return nil
		}, outbox.Options{})
		s.goesOn("at the beginning", w)
		next <- true
		s.goesOn("near the end", w)
		next <- true
		if e := s.hasEnded("far behind", w); e.err != nil || e.after > 0 {
			t.Errorf("ended after %v with %v", e.after, e.err)
		}
	})
}

// A wait for an account that is being retried goes on; for one that is parked it
// ends with the cause.
func TestWaitParked(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.start(s.Consumer, refusing("ada").take, outbox.Options{Attempts: 3})
		synctest.Wait()
		w := s.wait(s.Consumer, "ada")
		time.Sleep(200 * time.Millisecond)
		s.goesOn("while the account is being retried", w)
		time.Sleep(100 * time.Millisecond)
		e := s.hasEnded("when it is parked", w)
		var parked *outbox.ParkedError
		if !errors.As(e.err, &parked) {
			t.Fatalf("ended with %v, want a ParkedError", e.err)
		}
		want := outbox.ParkedError{Consumer: "host", Connection: "acme", Parked: s.parked()[0]}
		if diff := cmp.Diff(want, *parked); diff != "" || !strings.HasSuffix(parked.Error(), ": refused") {
			t.Errorf("%v (-want +got):\n%s", parked, diff)
		}
	})
}

// A wait is for the events that there are, not for later ones of the account, be
// they seen, refused or parked.
func TestWaitBeforeLine(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		stop, h := make(chan bool), refusing("ada")
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			<-stop
			if d.Event.Sequence == 1 {
				return nil
			}
			return h.take(ctx, d)
		}, outbox.Options{Attempts: 1})
		synctest.Wait()
		w := s.wait(s.process(st), "ada")
		stop <- true // alone, so that the cursor is stored
		synctest.Wait()
		s.change("ada")
		time.Sleep(time.Second)
		if e := s.hasEnded("before the later event is seen", w); e.err != nil {
			t.Error(e.err)
		}
		close(stop)
	})
}

func TestWaitEnds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.must(s.Register(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Wait(ctx, "acme", "ada"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait returned %v", err)
		}
		if err := s.Wait(t.Context(), "acme", "nobody"); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), `"nobody"`) {
			t.Errorf("Wait for nobody returned %v", err)
		}
	})
}
