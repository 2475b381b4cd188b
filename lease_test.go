package provision_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// mortal is a store that a process loses when it dies.
type mortal struct {
	store.Store
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func (m *mortal) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Update(ctx, scope, fn)
}

// replica is one process of several that deliver to a consumer.
type replica struct {
	engine *provision.Engine
	store  *mortal
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startReplica delivers to the consumer "host" until the test ends or the
// replica is stopped.
func (tn *tenant) startReplica(fn func(context.Context, provision.Delivery) error) *replica {
	st := &mortal{Store: tn.engine.Store}
	r := &replica{store: st, engine: &provision.Engine{
		Store: st, Now: tn.clock.Now, Delivery: tn.engine.Delivery,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}}
	provision.Hurry(r.engine)
	ctx, cancel := context.WithCancel(tn.t.Context())
	r.cancel = cancel
	r.ended.Go(func() {
		if err := r.engine.Deliver(ctx, "host", fn); !errors.Is(err, context.Canceled) {
			tn.t.Errorf("Deliver returned %v", err)
		}
	})
	tn.t.Cleanup(r.stop)
	return r
}

// stop ends the replica in good order.
func (r *replica) stop() {
	r.cancel()
	r.ended.Wait()
}

// crash ends the replica without any further write.
func (r *replica) crash() {
	r.store.dead.Store(true)
	r.stop()
}

// expect waits for a value, but not for ever.
func expect[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not come", what)
		panic("unreachable")
	}
}

// until polls for a condition, but not for ever.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting in vain: %s", what)
		}
	}
}

func (tn *tenant) lease() (fence int64, ends time.Time) {
	tn.t.Helper()
	fence, ends, err := provision.Lease(tn.engine, tn.t.Context(), "host", "acme")
	if err != nil {
		tn.t.Fatal(err)
	}
	return fence, ends
}

// blocking is a consumer that waits with each event until the test lets it go.
func blocking(came chan<- provision.Delivery, answers <-chan error) func(context.Context, provision.Delivery) error {
	return func(ctx context.Context, d provision.Delivery) error {
		came <- d
		select {
		case err := <-answers:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A process that stands still loses its lease. What it has seen then does not
// move the cursor.
func TestLeaseFencesOffAStaleHolder(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		firstCame, firstAnswers := make(chan provision.Delivery, 1), make(chan error)
		warned := make(chan bool, 1)
		first := tn.startReplica(func(ctx context.Context, d provision.Delivery) error {
			firstCame <- d
			<-ctx.Done()
			warned <- true
			return <-firstAnswers
		})
		got := expect(t, firstCame, "the first event")
		if got.Event.Sequence != 1 || got.Fence != 1 {
			t.Errorf("event %d came with fence %d, want 1 and 1", got.Event.Sequence, got.Fence)
		}

		first.store.dead.Store(true) // it can no longer renew
		secondCame := make(chan provision.Delivery, 1)
		second := tn.startReplica(blocking(secondCame, nil))
		tn.clock.add(9 * time.Second)
		select {
		case d := <-secondCame:
			t.Fatalf("event %d came twice while the lease was held", d.Event.Sequence)
		case <-time.After(20 * time.Millisecond):
		}
		tn.clock.add(time.Second)
		if got = expect(t, secondCame, "the event after the lease"); got.Event.Sequence != 1 || got.Fence != 2 {
			t.Errorf("event %d came with fence %d, want 1 and 2", got.Event.Sequence, got.Fence)
		}

		expect(t, warned, "the end of the context of the stale holder")
		first.store.dead.Store(false)
		firstAnswers <- nil // the stale holder says that it has seen event 1
		first.stop()
		second.crash()
		tn.clock.add(10 * time.Second)
		thirdCame := make(chan provision.Delivery, 1)
		tn.startReplica(blocking(thirdCame, nil))
		if got = expect(t, thirdCame, "the event for the third"); got.Event.Sequence != 1 || got.Fence != 3 {
			t.Errorf("event %d came with fence %d, want 1 and 3", got.Event.Sequence, got.Fence)
		}
	})
}

// While a consumer takes its time, the lease is renewed.
func TestLeaseIsRenewed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		came, other := make(chan provision.Delivery, 1), make(chan provision.Delivery, 1)
		tn.startReplica(blocking(came, nil))
		expect(t, came, "the event")
		tn.startReplica(blocking(other, nil))
		for range 5 {
			tn.clock.add(6 * time.Second)
			until(t, "renewal", func() bool {
				_, ends := tn.lease()
				return ends.Equal(tn.clock.Now().Add(10 * time.Second))
			})
		}
		select {
		case d := <-other:
			t.Errorf("event %d came to the other process", d.Event.Sequence)
		default:
		}
		if fence, _ := tn.lease(); fence != 1 {
			t.Errorf("fence %d, want 1", fence)
		}
	})
}

// A consumer is told that its lease is gone.
func TestLeaseEndsContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		came, ended := make(chan int64, 10), make(chan int64, 10)
		tn.startReplica(func(ctx context.Context, d provision.Delivery) error {
			came <- d.Event.Sequence
			<-ctx.Done()
			ended <- d.Event.Sequence
			return ctx.Err()
		})
		expect(t, came, "the event")
		if err := tn.engine.SkipEvents(t.Context(), "host", "acme"); err != nil {
			t.Fatal(err)
		}
		expect(t, ended, "the end of the context")
		tn.user(ada)
		if n := expect(t, came, "the event after those skipped"); n != 2 {
			t.Errorf("event %d came, want 2", n)
		}
	})
}

// interrupted is a store on which others are faster: something happens after
// the first View of a connection.
type interrupted struct {
	store.Store
	once sync.Once
	then func()
}

func (i *interrupted) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	err := i.Store.View(ctx, scope, fn)
	if scope != store.Global {
		i.once.Do(i.then)
	}
	return err
}

// What a process has read before it had the lease may have been delivered by
// another since.
func TestLeaseComesBeforeReading(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		var seen []string
		slow := &provision.Engine{Now: tn.clock.Now, Store: &interrupted{Store: st, then: func() { seen = (&host{}).take(tn) }}}
		provision.Hurry(slow)
		ctx, cancel := context.WithCancel(t.Context())
		err := slow.Deliver(ctx, "host", func(_ context.Context, d provision.Delivery) error {
			if d.Event.Sequence <= int64(len(seen)) {
				t.Errorf("event %d came again", d.Event.Sequence)
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) || len(seen) != 2 {
			t.Errorf("Deliver returned %v after %q", err, seen)
		}
	})
}

// A delivery that has nothing to do holds no lease and writes nothing.
func TestLeaseIsGivenBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		came := make(chan provision.Delivery, 10)
		first := tn.startReplica(func(_ context.Context, d provision.Delivery) error {
			came <- d
			return nil
		})
		expect(t, came, "the event")
		until(t, "the end of the lease", func() bool {
			_, ends := tn.lease()
			return !ends.After(tn.clock.Now())
		})
		first.crash()
		tn.startReplica(func(_ context.Context, d provision.Delivery) error {
			came <- d
			return nil
		})
		tn.user(ada)
		if d := expect(t, came, "the event for the next"); d.Event.Sequence != 2 || d.Fence != 2 {
			t.Errorf("event %d came with fence %d, want 2 and 2", d.Event.Sequence, d.Fence)
		}
	})
}
