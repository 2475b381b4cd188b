package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
)

// A call that does not return in time is told so, and counts as refused. Others go on
// then, and the account is parked with the cause.
func TestHangEnds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.change("grace")
		began := time.Now()
		var told []time.Duration
		h := refusing()
		stop := s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			if d.Event.AccountID != "ada" || d.Event.Type == store.DeliveryParked {
				return h.take(ctx, d)
			}
			<-ctx.Done()
			told = append(told, time.Since(began))
			return ctx.Err()
		}, outbox.Options{Attempts: 2})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"2 grace"}, h.said()); diff != "" {
			t.Errorf("after 30 s (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		_ = stop()
		if diff := cmp.Diff([]time.Duration{30 * time.Second, 60*time.Second + 100*time.Millisecond}, told); diff != "" {
			t.Errorf("contexts ended (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || list[0].LastError != "the consumer did not return within 30s: context canceled" {
			t.Errorf("parked: %+v", list)
		}
	})
}

// A call that ignores the end of its context is left behind. While it runs there is
// no other for the account, also not by another Deliver of the process, and whoever
// stops waits for it no longer than others did.
func TestHangIsLeftBehind(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.Hung = &outbox.Hung{}
		s.change("ada")
		s.change("grace")
		s.change("ada")
		release := make(chan struct{})
		var running, most, calls atomic.Int32
		h := refusing()
		fn := func(ctx context.Context, d outbox.Delivery) error {
			if d.Event.AccountID == "ada" && d.Event.Type != store.DeliveryParked {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				calls.Add(1)
				<-release
			}
			return h.take(ctx, d)
		}
		stop := s.start(s.Consumer, fn, outbox.Options{Attempts: 10, Timeout: 10 * time.Second})
		time.Sleep(10*time.Second + 900*time.Millisecond)
		if diff := cmp.Diff([]string{"2 grace"}, h.said()); diff != "" {
			t.Errorf("within a second after the time-out (-want +got):\n%s", diff)
		}
		_ = stop()
		s.start(s.Consumer, fn, outbox.Options{Attempts: 10, Timeout: 10 * time.Second})
		time.Sleep(time.Minute)
		if calls.Load() != 1 {
			t.Errorf("%d calls while the first one runs", calls.Load())
		}
		if list := s.parked(); len(list) != 1 || !strings.Contains(list[0].LastError, "has not returned yet") {
			t.Errorf("parked: %+v", list)
		}
		close(release)
		synctest.Wait()
		h.said()
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"1 ada", "3 ada"}, h.said()); diff != "" || most.Load() != 1 {
			t.Errorf("redriven, %d calls at once (-want +got):\n%s", most.Load(), diff)
		}
	})
}

// Stop waits for a call no longer than the delivery would.
func TestStopLeavesHangBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.change("ada")
		release := make(chan struct{})
		defer close(release)
		stop := s.start(s.Consumer, func(context.Context, outbox.Delivery) error {
			<-release
			return nil
		}, outbox.Options{})
		synctest.Wait()
		began := time.Now()
		if err := stop(); !errors.Is(err, context.Canceled) || time.Since(began) != 30500*time.Millisecond {
			t.Errorf("Deliver returned %v after %v", err, time.Since(began))
		}
	})
}

// A consumer without a time-out is waited for.
func TestWithoutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.change("ada")
		h := refusing()
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			time.Sleep(24 * time.Hour)
			return h.take(ctx, d)
		}, outbox.Options{Timeout: -1})
		time.Sleep(25 * time.Hour)
		if diff := cmp.Diff([]string{"1 ada"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// A consumer that ends its goroutine, as a failed test does, has refused the event.
func TestConsumerEndsGoroutine(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.change("grace")
		h := refusing()
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			if d.Event.Sequence == 1 {
				runtime.Goexit()
			}
			return h.take(ctx, d)
		}, outbox.Options{Attempts: 2})
		synctest.Wait()
		if diff := cmp.Diff([]string{"2 grace"}, h.said()); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		if list := s.parked(); len(list) != 1 || list[0].LastError != "the consumer ended its goroutine" {
			t.Errorf("parked: %+v", list)
		}
		if got := s.logs.of(slog.LevelWarn, "consumer refused an event"); len(got) != 2 {
			t.Errorf("logged %v, want each refusal", got)
		}
	})
}

// An event that kills the process, as a stack overflow does, is parked in the end;
// others come meanwhile, and after one more death than attempts nobody dies of it.
func TestDeathsAreAttempts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		s.change("grace")
		s.change("ada")
		h := refusing()
		var attempts []int
		for range 6 {
			died := make(chan struct{}, 1)
			process := &mortal{Store: st}
			stop := s.start(s.process(process), func(ctx context.Context, d outbox.Delivery) error {
				if d.Event.Sequence == 1 {
					attempts = append(attempts, d.Attempt)
					process.dead.Store(true) // from here on it stores nothing
					died <- struct{}{}
					<-ctx.Done()
					return ctx.Err()
				}
				return h.take(ctx, d)
			}, outbox.Options{Attempts: 3})
			select {
			case <-died:
			case <-time.After(15 * time.Second):
			}
			_ = stop()
		}
		if diff := cmp.Diff([]int{1, 1, 2, 3}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"2 grace", "parked ada at 1"}, h.said()); diff != "" {
			t.Errorf("others (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || list[0].LastError != "the process ended during the last attempt" {
			t.Errorf("parked: %+v", list)
		}
	})
}

// After a process that died of something else, events come once, and nothing of the
// care remains.
func TestCareAfterDeath(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		for _, account := range []string{"ada", "grace", "ada"} {
			s.change(account)
		}
		var b blocking
		process := s.startReplica(b.take, outbox.Options{})
		synctest.Wait()
		process.crash()
		h := refusing("grace")
		stop := s.start(s.process(st), h.take, outbox.Options{})
		time.Sleep(11 * time.Second)
		if diff := cmp.Diff([]string{"1 ada", "3 ada"}, h.said()); diff != "" {
			t.Errorf("after the lease (-want +got):\n%s", diff)
		}
		h.accept("grace")
		time.Sleep(time.Minute)
		s.change("ada")
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff([]string{"2 grace", "4 ada"}, h.said()); diff != "" {
			t.Errorf("then (-want +got):\n%s", diff)
		}
		_ = stop()
		s.must(s.DeliverOnce(t.Context(), h.take))
		if got := h.said(); len(got) != 0 {
			t.Errorf("%v came again", got)
		}
	})
}

// A process that is stopped while it is careful has not tried.
func TestCareIsNoAttempt(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var b blocking
		process := s.startReplica(b.take, outbox.Options{})
		synctest.Wait()
		process.crash()
		time.Sleep(11 * time.Second)
		stop := s.start(s.process(st), func(ctx context.Context, _ outbox.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}, outbox.Options{})
		synctest.Wait()
		_ = stop()
		var attempts []int
		stop = s.start(s.process(st), func(_ context.Context, d outbox.Delivery) error {
			attempts = append(attempts, d.Attempt)
			return nil
		}, outbox.Options{})
		time.Sleep(time.Second)
		_ = stop()
		if diff := cmp.Diff([]int{1}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// The context of a consumer ends with the lease also while the store hangs.
func TestHangingStoreEndsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		s.change("ada")
		st := &hanging{Store: s.st, end: make(chan struct{})}
		ended := make(chan time.Duration, 1)
		s.start(s.process(st), func(ctx context.Context, _ outbox.Delivery) error {
			began := time.Now()
			st.hang.Store(true)
			<-ctx.Done()
			ended <- time.Since(began)
			return ctx.Err()
		}, outbox.Options{Timeout: time.Hour})
		time.Sleep(time.Minute)
		close(st.end)
		if after := <-ended; after > 10*time.Second {
			t.Errorf("the context ended after %v, the lease after 10s", after)
		}
	})
}
