package provision_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// runOnce does the background work that is due.
func (tn *tenant) runOnce() {
	tn.t.Helper()
	if err := tn.engine.RunOnce(tn.t.Context()); err != nil {
		tn.t.Fatal(err)
	}
}

// unsaved is a store that refuses to write in one scope.
type unsaved struct {
	store.Store
	scope string
	err   error
}

func (s *unsaved) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if scope == s.scope {
		return s.err
	}
	return s.Store.Update(ctx, scope, fn)
}

// RunOnce passes over what fails, and says so.
func TestRunOnceFails(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		broken := &unsaved{Store: st, scope: "half", err: errors.New("disk full")}
		tn := newTenant(t, broken, `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		if _, err := tn.engine.Directory("half").As(tester).SaveConnection(t.Context(), provision.Connection{ID: "half"}); !errors.Is(err, broken.err) {
			t.Fatal(err)
		}
		tn.runOnce() // half is listed and has no settings
		if _, err := tn.engine.Directory("other").As(tester).SaveConnection(t.Context(), provision.Connection{ID: "other"}); err != nil {
			t.Fatal(err)
		}
		id := tn.user(ada)
		tn.set(id, adaInactive)
		tn.clock.add(day)
		broken.scope = "acme"
		err := tn.engine.RunOnce(t.Context())
		if !errors.Is(err, broken.err) || !strings.Contains(err.Error(), `deleting accounts of connection "acme"`) {
			t.Errorf("RunOnce returned %v", err)
		}
		broken.scope = ""
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tn.engine.RunOnce(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("RunOnce with an ended context returned %v", err)
		}
		tn.runOnce()
		if got := tn.accounts("ada@example.com"); len(got) != 0 {
			t.Errorf("%d accounts are left", len(got))
		}
	})
}

// Run does the jobs of its own process at once, and the rest by the clock.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, memory.New(), `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		tn.engine.Now = nil // the time of the bubble
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 2, Deprovision: -1}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := tn.engine.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v", err)
			}
		})
		synctest.Wait()
		out := tn.user(adaInactive)
		for _, name := range []string{"a", "b", "c"} {
			tn.user(`{"userName":"` + name + `"}`)
		}
		tn.setPolicy(`{"company":"One","deprovisionMethod":"delete","deleteAfterDays":1}`)
		synctest.Wait()
		if n, got := tn.countPending(), tn.account("b").Company; n != 0 || got != "One" {
			t.Errorf("%d accounts are pending, the company is %q", n, got)
		}
		tn.set(out, ada)
		tn.set(out, adaInactive)
		status := func() (list []policy.Status) {
			for _, a := range tn.accounts("ada@example.com") {
				list = append(list, a.Status)
			}
			return list
		}
		time.Sleep(day - time.Minute)
		if diff := cmp.Diff([]policy.Status{policy.StatusDisabled}, status()); diff != "" {
			t.Errorf("before the day is over (-want +got):\n%s", diff)
		}
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if got := status(); len(got) != 0 {
			t.Errorf("after the day the account is %v", got)
		}
		cancel()
		wg.Wait()
	})
}

// away is a store that takes no writes of connections for a while.
type away struct {
	store.Store
	gone atomic.Bool
}

func (a *away) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if scope != store.Global && a.gone.Load() {
		return errors.New("away")
	}
	return a.Store.Update(ctx, scope, fn)
}

// A job that fails is tried again at once when the store is back, though nothing tells
// of it.
func TestJobOfFailingStore(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			st := &away{Store: memory.New()}
			tn := newTenant(t, st, `{}`)
			tn.engine.Now, tn.engine.SingleProcess = nil, alone
			tn.engine.Limits = provision.Limits{Inline: 1, Batch: 2, Deprovision: -1}
			for _, name := range []string{"a", "b", "c"} {
				tn.user(`{"userName":"` + name + `"}`)
			}
			tn.setPolicy(`{"company":"One"}`)
			st.gone.Store(true)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = tn.engine.Run(ctx) })
			time.Sleep(20 * time.Second)
			st.gone.Store(false)
			time.Sleep(5 * time.Second)
			if n := tn.countPending(); n != 0 {
				t.Errorf("alone %v: %d accounts are pending", alone, n)
			}
			cancel()
			wg.Wait()
		})
	}
}

// running does the background work of a tenant by the time of the bubble, until the
// test ends.
func (tn *tenant) running() (stop func()) {
	tn.engine.Now = nil
	ctx, cancel := context.WithCancel(tn.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = tn.engine.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// Work that failed does not wait as long as where there is nothing to do.
func TestFailedTaskIsSoonTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &away{Store: memory.New()}
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		defer tn.running()()
		tn.set(tn.user(ada), adaInactive)
		time.Sleep(day - 30*time.Second)
		st.gone.Store(true)
		time.Sleep(15 * time.Minute)
		st.gone.Store(false)
		time.Sleep(90 * time.Second)
		if n := len(tn.accounts("ada@example.com")); n != 0 {
			t.Errorf("%d accounts are left", n)
		}
	})
}

// So many events that erasing goes on later are gone on with within minutes.
func TestErasureGoesOnSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			for range 250_000 {
				if err := tx.AppendEvent(&store.Event{Type: store.ConnectionUpdated, Time: time.Now(), Connection: "acme"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer tn.running()()
		user := tn.user(eve)
		tn.remove("User", user)
		time.Sleep(5 * time.Minute)
		if traces := tn.traces(); len(traces) > 0 {
			t.Errorf("%d traces, such as %s", len(traces), traces[0])
		}
	})
}

// jumping is a store at whose next look at a connection the clock jumps.
type jumping struct {
	store.Store
	jump func()
}

func (j *jumping) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if scope != store.Global && j.jump != nil {
		j.jump()
		j.jump = nil
	}
	return j.Store.View(ctx, scope, fn)
}

// A jump that is seen in the middle of the duties of a connection is told there, too.
func TestJumpDuringDutiesIsTold(t *testing.T) {
	st := &jumping{Store: memory.New()}
	tn := newTenant(t, st, `{}`)
	round := provision.Rounds(tn.engine, func() time.Duration { return 0 }, func(what, scope string, err error) {
		t.Errorf("%s of %q: %v", what, scope, err)
	})
	at := tn.lastEvent()
	st.jump = func() { tn.clock.add(threeYears) }
	for range 2 {
		round(t.Context())
	}
	if n := tn.countEvents(at, store.ConnectionWarning); n != 1 {
		t.Errorf("%d warnings were told, want 1", n)
	}
}

// What a consumer has refused of a deleted connection comes again, also after a restart.
func TestRefusedEventsOfDeletedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, memory.New(), `{"deprovisionMethod":"delete"}`)
		defer tn.running()()
		tn.user(ada)
		var seen []store.EventType
		deliver := func(refuse bool, d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			_ = tn.engine.Consumer("table").Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
				if refuse && d.Event.AccountID != "" {
					return errors.New("not now")
				}
				seen = append(seen, d.Event.Type)
				return nil
			}, provision.DeliveryOptions{})
		}
		deliver(true, time.Second)
		if err := tn.engine.Directory("acme").DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		deliver(true, time.Minute)
		time.Sleep(15 * time.Minute) // the process is down, or another one forgets the connection
		seen = nil
		deliver(false, 5*time.Minute)
		if !slices.Contains(seen, store.AccountDeleted) {
			t.Errorf("seen after the restart: %v", seen)
		}
		time.Sleep(15 * time.Minute)
		listed, err := records.ConnectionList.Any(t.Context(), tn.engine.Store, store.Global)
		if listed || err != nil {
			t.Errorf("in the end the connection is listed: %t, %v", listed, err)
		}
	})
}
