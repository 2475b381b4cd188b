package outbox_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// mortal is a store that a process loses when it dies.
type mortal struct {
	store.Store
	dead atomic.Bool
}

func (m *mortal) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if m.dead.Load() {
		return errAway
	}
	return m.Store.Update(ctx, scope, fn)
}

// replica is one process of several that deliver to a consumer.
type replica struct {
	store *mortal
	stop  func() error
}

func (s *site) startReplica(fn outbox.Func, o outbox.Options) *replica {
	r := &replica{store: &mortal{Store: s.st}}
	r.stop = s.start(s.process(r.store), fn, o)
	return r
}

// crash ends the replica without any further write.
func (r *replica) crash() {
	r.store.dead.Store(true)
	_ = r.stop()
}

// lease returns the fence of the delivery, and when its lease ends.
func (s *site) lease() (fence int64, ends time.Time) {
	s.t.Helper()
	c, err := records.Cursor.View(s.t.Context(), s.st, "acme", "host")
	s.must(err)
	return c.Value.Fence, c.Expires
}

// blocking is a consumer that keeps each event until its context ends.
type blocking struct {
	mu    sync.Mutex
	came  []delivered
	ended int
}

// delivered is what a replica was told.
type delivered struct{ Sequence, Fence int64 }

func (b *blocking) take(ctx context.Context, d outbox.Delivery) error {
	b.mu.Lock()
	b.came = append(b.came, delivered{d.Event.Sequence, d.Fence})
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.ended++
	b.mu.Unlock()
	return nil // it says that it has seen the event, however late
}

func (b *blocking) all() []delivered {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.came
}

// over returns how many events were kept until their context ended.
func (b *blocking) over() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// A process that stands still loses its lease. What it has seen then does not
// move the cursor.
func TestLeaseFencesOffAStaleHolder(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		expect := func(b *blocking, want ...delivered) {
			t.Helper()
			if diff := cmp.Diff(want, b.all()); diff != "" {
				t.Errorf("deliveries (-want +got):\n%s", diff)
			}
		}
		var first, second, third blocking
		stale := s.startReplica(first.take, outbox.Options{})
		synctest.Wait()
		expect(&first, delivered{1, 1})
		stale.store.dead.Store(true) // it can no longer renew
		other := s.startReplica(second.take, outbox.Options{})
		time.Sleep(9 * time.Second)
		expect(&second)
		time.Sleep(2 * time.Second) // the lease is over, and the poll
		synctest.Wait()
		expect(&second, delivered{1, 2})
		if first.over() != 1 {
			t.Error("the context of the stale holder did not end")
		}
		stale.store.dead.Store(false)
		time.Sleep(time.Second)
		_ = stale.stop()
		other.crash()
		time.Sleep(10 * time.Second)
		s.startReplica(third.take, outbox.Options{})
		synctest.Wait()
		expect(&third, delivered{1, 3})
	})
}

// While a consumer takes its time, the lease is renewed.
func TestLeaseIsRenewed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var first, other blocking
		s.startReplica(first.take, outbox.Options{Lease: 4 * time.Second, Timeout: -1})
		synctest.Wait()
		s.startReplica(other.take, outbox.Options{Lease: 4 * time.Second, Timeout: -1})
		time.Sleep(time.Minute)
		if got := other.all(); len(got) != 0 {
			t.Errorf("%v came to the other process", got)
		}
		if fence, ends := s.lease(); fence != 1 || time.Until(ends) < 2*time.Second {
			t.Errorf("fence %d until %v, want 1 for two seconds more", fence, ends)
		}
	})
}

// A consumer is told that its lease is gone.
func TestLeaseEndsContext(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var b blocking
		s.startReplica(b.take, outbox.Options{})
		synctest.Wait()
		s.must(s.Skip(t.Context(), "acme"))
		s.change("grace")
		time.Sleep(10*time.Second/3 + time.Millisecond) // the next renewal
		synctest.Wait()
		if b.over() != 1 {
			t.Error("the context did not end")
		}
		if diff := cmp.Diff([]delivered{{1, 1}, {2, 3}}, b.all()); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
	})
}

// interrupted is a store on which others are faster: something happens after
// the first View of a connection, by a worker who is about to take the lease.
type interrupted struct {
	store.Store
	views atomic.Int64
	then  func()
}

func (i *interrupted) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	err := i.Store.View(ctx, scope, fn)
	if scope != store.Global && i.views.Add(1) == 1 {
		i.then()
	}
	return err
}

// What a process has read before it had the lease may have been delivered by
// another since.
func TestLeaseComesBeforeReading(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		fast, slow := refusing(), refusing()
		s.start(s.process(&interrupted{Store: st, then: func() {
			s.must(s.DeliverOnce(t.Context(), fast.take))
			s.change("grace")
		}}), slow.take, outbox.Options{})
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff([][]string{{"1 ada"}, {"2 grace"}}, [][]string{fast.said(), slow.said()}); diff != "" {
			t.Errorf("seen by the fast and the slow (-want +got):\n%s", diff)
		}
	})
}

// Of two processes that saw an event, one gets the lease. The other neither
// delivers nor writes.
func TestLeaseIsExclusive(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var first, other blocking
		late := &counting{Store: &interrupted{Store: st, then: func() {
			s.startReplica(first.take, outbox.Options{})
			synctest.Wait()
		}}}
		s.must(s.Register(t.Context()))
		s.start(s.process(late), other.take, outbox.Options{})
		time.Sleep(time.Minute)
		if got := other.all(); len(got) != 0 || late.updates.Load() != 1 {
			t.Errorf("%v came to the other process, which tried %d updates, want one", got, late.updates.Load())
		}
	})
}

// A process that came too late for the lease takes over when the one that was faster
// dies.
func TestLeaseOfFasterIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.change("ada")
		var first blocking
		slow := refusing()
		s.must(s.Register(t.Context()))
		s.start(s.process(&interrupted{Store: s.st, then: func() {
			fast := s.startReplica(first.take, outbox.Options{})
			synctest.Wait()
			fast.crash()
		}}), slow.take, outbox.Options{})
		time.Sleep(11 * time.Second)
		if diff := cmp.Diff([]string{"1 ada"}, slow.said()); diff != "" {
			t.Errorf("seen by the one that is left (-want +got):\n%s", diff)
		}
	})
}

// hanging is a store that does not answer for a while.
type hanging struct {
	store.Store
	hang atomic.Bool
	end  chan struct{}
}

func (h *hanging) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if h.hang.Load() {
		<-h.end
		return errAway
	}
	return h.Store.Update(ctx, scope, fn)
}

// A process whose store hangs brings no further event when its lease is over.
func TestLeaseOfHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.change("ada")
		s.change("ada")
		st := &hanging{Store: s.st, end: make(chan struct{})}
		var came atomic.Int64
		s.start(s.process(st), func(context.Context, outbox.Delivery) error {
			came.Add(1)
			st.hang.Store(true)
			time.Sleep(600 * time.Millisecond)
			return nil
		}, outbox.Options{Lease: 500 * time.Millisecond})
		time.Sleep(20 * time.Second)
		if n := came.Load(); n != 1 {
			t.Errorf("%d events came, want 1", n)
		}
		close(st.end)
	})
}

// A delivery that has nothing to do holds no lease: another process need not wait
// for its end, nor does the clock matter.
func TestLeaseIsGivenBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		h := refusing()
		first := s.startReplica(h.take, outbox.Options{Lease: time.Hour})
		synctest.Wait()
		if fence, ends := s.lease(); fence != 1 || !ends.IsZero() {
			t.Errorf("fence %d until %v, want 1 and given back", fence, ends)
		}
		first.crash()
		s.startReplica(h.take, outbox.Options{})
		s.change("grace")
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 ada", "2 grace"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// Who holds a lease and can no longer renew it gives up in time, also when the clock
// was set back meanwhile.
func TestLeaseEndsWhenClockIsSetBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var jump atomic.Int64
		var held blocking
		stale := &replica{store: &mortal{Store: clocktest.New(s.st, func() time.Time { return time.Now().Add(time.Duration(jump.Load())) })}}
		process := s.process(stale.store)
		stale.stop = s.start(process, held.take, outbox.Options{})
		synctest.Wait()
		stale.store.dead.Store(true)
		jump.Store(-int64(time.Hour))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if held.over() != 1 {
			t.Error("the context of the stale holder did not end with its lease")
		}
		_ = stale.stop()
	})
}

// The lease of a process that crashed while the clock was ahead costs seconds.
func TestLeaseFromTheFuture(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var never blocking
		first := &replica{store: &mortal{Store: clocktest.New(s.st, func() time.Time { return time.Now().AddDate(3, 0, 0) })}}
		wrong := s.process(first.store)
		first.stop = s.start(wrong, never.take, outbox.Options{})
		synctest.Wait()
		if _, ends := s.lease(); ends.IsZero() {
			t.Fatal("the first process holds no lease")
		}
		first.crash()
		h := refusing()
		s.startReplica(h.take, outbox.Options{})
		s.change("grace")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 ada", "2 grace"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// A line that is not due holds no lease either.
func TestLeaseIsGivenBackBetweenAttempts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.startReplica(refusing("ada").take, outbox.Options{Attempts: 20})
		time.Sleep(2 * time.Minute)
		if _, ends := s.lease(); !ends.IsZero() {
			t.Errorf("the lease is held until %v", ends)
		}
	})
}

// A slow consumer does not keep what it has seen for itself, be it new or
// redriven.
func TestCursorOfSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		for range 50 {
			s.change("ada")
		}
		slow := func(context.Context, outbox.Delivery) error {
			time.Sleep(time.Second / 2)
			return nil
		}
		stop := s.start(s.Consumer, refusing("ada").take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		stop = s.start(s.Consumer, slow, outbox.Options{})
		time.Sleep(10*time.Second + time.Second/4)
		if list := s.parked(); len(list) != 1 || list[0].Sequence != 21 {
			t.Errorf("after ten seconds parked %v, want from 21 on", list)
		}
		_ = stop()

		s.must(s.Skip(t.Context(), "acme"))
		for range 50 {
			s.change("ada")
		}
		s.start(s.Consumer, slow, outbox.Options{})
		time.Sleep(10*time.Second + time.Second/4)
		c, err := records.Cursor.View(t.Context(), s.st, "acme", "host")
		if err != nil || c.Value.Sequence != 71 { // one is of the parking
			t.Errorf("cursor %+v after ten seconds, want 71, %v", c.Value, err)
		}
	})
}

// apart returns the consumer in a process whose clock is wrong by an hour.
func (s *site) apart(by time.Duration, st store.Store) *outbox.Consumer {
	c := s.process(st)
	c.Now = func() time.Time { return time.Now().Add(by) }
	return c
}

// Processes whose clocks are an hour apart agree on who holds a lease: nobody takes one
// that is held, and nobody waits for an hour where its holder is gone.
func TestLeaseGoesByClockOfStore(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		onEveryStore(t, func(t *testing.T, st store.Store) {
			s := newSite(t, st, "acme")
			s.change("ada")
			var first, other blocking
			holder := &replica{store: &mortal{Store: st}}
			holder.stop = s.start(s.apart(by, holder.store), first.take, outbox.Options{Timeout: -1})
			synctest.Wait()
			s.start(s.process(st), other.take, outbox.Options{Timeout: -1})
			time.Sleep(time.Minute)
			if got := other.all(); len(got) != 0 {
				t.Errorf("a clock that is wrong by %v: %v came to another process", by, got)
			}
			holder.crash()
			time.Sleep(12 * time.Second)
			if diff := cmp.Diff([]delivered{{1, 2}}, other.all()); diff != "" {
				t.Errorf("a clock that is wrong by %v: after the crash (-want +got):\n%s", by, diff)
			}
		})
	}
}

// The delays between attempts are kept, also when processes whose clocks are an hour
// apart take turns.
func TestRetryGoesByClockOfStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing("ada")
		s.change("ada")
		for i := range 20 {
			by := time.Hour
			if i%2 == 0 {
				by = -by
			}
			stop := s.start(s.apart(by, st), h.take, outbox.Options{Attempts: 100})
			time.Sleep(10 * time.Second)
			_ = stop()
		}
		// After 0.1, 0.2 ... 51.2 seconds and one minute each, and up to a second more as a
		// new process looks.
		if n := len(h.attempts()); n < 11 || n > 12 {
			t.Errorf("%d attempts in 200 seconds, want 11 or 12", n)
		}
	})
}
