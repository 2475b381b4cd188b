package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// An account whose event is refused waits, and others go on at once. What was
// refused comes again with growing delays, before the later events of its account.
func TestRetry(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing("ada")
		for _, account := range []string{"ada", "grace", "ada", "grace"} {
			s.change(account)
		}
		began := time.Now()
		s.start(s.Consumer, h.take, outbox.Options{})
		synctest.Wait()
		if diff := cmp.Diff([]string{"2 grace", "4 grace"}, h.said()); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		time.Sleep(3150 * time.Millisecond)
		var after []time.Duration
		for _, at := range h.attempts() {
			after = append(after, at.Sub(began))
		}
		want := []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond, 3100 * time.Millisecond}
		if diff := cmp.Diff(want, after); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
		h.accept("ada")
		s.change("ada")
		s.change("grace")
		time.Sleep(4 * time.Second)
		if diff := cmp.Diff([]string{"6 grace", "1 ada", "3 ada", "5 ada"}, h.said()); diff != "" {
			t.Errorf("no longer refused (-want +got):\n%s", diff)
		}
		s.change("ada")
		synctest.Wait()
		if diff := cmp.Diff([]string{"7 ada"}, h.said()); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
	})
}

// After too many attempts the account is parked, with the cause. Redriven, its
// events come in order, before newer ones.
func TestPark(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing("ada")
		s.change("ada")
		s.change("ada")
		s.start(s.Consumer, h.take, outbox.Options{Attempts: 3})
		time.Sleep(time.Minute)
		if n := len(h.attempts()); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		since := time.Date(2000, 1, 1, 0, 0, 0, 300e6, time.UTC)
		want := []outbox.Parked{{AccountID: "ada", Sequence: 1, Since: since, LastError: "refused"}}
		if diff := cmp.Diff(want, s.parked()); diff != "" {
			t.Errorf("parked (-want +got):\n%s", diff)
		}
		logged := []map[string]string{{
			"consumer": "host", "connection": "acme", "account": "ada", "sequence": "1", "attempts": "3", "error": "refused",
		}}
		if diff := cmp.Diff(logged, s.logs.of(slog.LevelError, "parked the events of an account")); diff != "" {
			t.Errorf("logged (-want +got):\n%s", diff)
		}
		if got := s.logs.of(slog.LevelWarn, "consumer refused an event"); len(got) != 3 || got[1]["attempt"] != "2" || got[1]["error"] != "refused" {
			t.Errorf("logged %v, want each refusal", got)
		}

		h.accept("ada")
		s.change("ada")
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"parked ada at 1"}, h.said()); diff != "" {
			t.Errorf("no longer refused, still parked (-want +got):\n%s", diff)
		}
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 ada", "2 ada", "4 ada"}, h.said()); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) > 0 {
			t.Errorf("still parked: %v", list)
		}
		if err := s.Redrive(t.Context(), "acme", "ada"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Redrive of an account that is not parked: %v", err)
		}
	})
}

// A redriven account that is refused again is parked again, at the event that was
// refused, after as many attempts as at first.
func TestParkAgain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing()
		var refused atomic.Int64
		refused.Store(1)
		var attempts []string
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			if d.Event.AccountID == "ada" && d.Event.Sequence >= refused.Load() && d.Event.Type != store.DeliveryParked {
				attempts = append(attempts, fmt.Sprintf("%d.%d", d.Event.Sequence, d.Attempt))
				return errRefused
			}
			return h.take(ctx, d)
		}, outbox.Options{Attempts: 2})
		for range 3 {
			s.change("ada")
		}
		time.Sleep(time.Minute)
		refused.Store(2)
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		if list := s.parked(); len(list) != 1 || !list[0].Redriven {
			t.Errorf("parked after Redrive: %v", list)
		}
		time.Sleep(time.Minute)
		want := []string{"parked ada at 1", "1 ada", "parked ada at 2"}
		if diff := cmp.Diff(want, h.said()); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1.1", "1.2", "2.1", "2.2"}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || list[0].Sequence != 2 || list[0].Redriven {
			t.Errorf("parked: %v", list)
		}
	})
}

// A restart does not begin the attempts anew, nor does it try sooner.
func TestAttemptsSurvive(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var attempts []int
		for range 10 {
			stop := s.start(s.process(st), func(_ context.Context, d outbox.Delivery) error {
				if d.Event.Type != store.DeliveryParked {
					attempts = append(attempts, d.Attempt)
					panic("ada makes me panic")
				}
				return nil
			}, outbox.Options{Attempts: 4})
			synctest.Wait()
			_ = stop()
			time.Sleep(100 * time.Millisecond)
		}
		if diff := cmp.Diff([]int{1, 2, 3, 4}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || list[0].LastError != "panic: ada makes me panic" {
			t.Errorf("parked: %v", list)
		}
		if got := s.logs.of(slog.LevelWarn, "consumer refused an event"); len(got) == 0 || !strings.Contains(got[0]["stack"], "TestAttemptsSurvive") {
			t.Errorf("the log does not tell where it panicked: %v", got)
		}
	})
}

// nilError is an error whose text cannot be had.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// What is kept of an error fits on one line.
func TestLastError(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"long", errors.New("a" + strings.Repeat("é", 200)), "a" + strings.Repeat("é", 149)},
		{"300 bytes", errors.New(strings.Repeat("x", 300)), strings.Repeat("x", 300)},
		{"lines and controls", errors.New("one\ntwo\x1b[31m\u202ethree"), "one two [31m three"},
		{"not UTF-8", errors.New("a\xffb"), "a\uFFFDb"},
		{"without a text", (*nilError)(nil), "error of type *outbox_test.nilError without a text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemorySite(t)
				s.change("ada")
				s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
					if d.Event.AccountID == "" || d.Event.Type == store.DeliveryParked {
						return nil
					}
					return test.err
				}, outbox.Options{Attempts: 1})
				synctest.Wait()
				list := s.parked()
				if len(list) != 1 {
					t.Fatalf("parked: %v", list)
				}
				if diff := cmp.Diff(test.want, list[0].LastError); diff != "" {
					t.Errorf("LastError (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A process that ends in the middle of parked events leaves the rest of them in
// their place.
func TestRedriveInterrupted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		for range 3 {
			s.change("ada")
		}
		stop := s.start(s.Consumer, refusing("ada").take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		s.change("ada")
		for _, last := range []int64{1, 3, 5} { // 4 is of the parking
			ctx, cancel := context.WithCancel(t.Context())
			h := refusing()
			_ = s.Deliver(ctx, func(ctx context.Context, d outbox.Delivery) error {
				if d.Event.Sequence == last {
					cancel()
				}
				return h.take(ctx, d)
			}, outbox.Options{})
			want := map[int64][]string{1: {"1 ada"}, 3: {"2 ada", "3 ada"}, 5: {"5 ada"}}[last]
			if diff := cmp.Diff(want, h.said()); diff != "" {
				t.Errorf("until event %d (-want +got):\n%s", last, diff)
			}
		}
		if list := s.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
	})
}

// A consumer that fails because it is being stopped has not failed.
func TestStoppingParksNobody(t *testing.T) {
	onServersToo(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Deliver(ctx, func(ctx context.Context, _ outbox.Delivery) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}, outbox.Options{Attempts: 1})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Deliver returned %v", err)
		}
		if list := s.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
		h := refusing()
		s.must(s.DeliverOnce(t.Context(), h.take))
		if diff := cmp.Diff([]string{"1 ada"}, h.said()); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
	})
}

// Events without an account, and news of parking, wait apart from all accounts.
func TestParkWithoutAccount(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("")
		s.change("ada")
		h := refusing("")
		s.start(s.Consumer, h.take, outbox.Options{Attempts: 2})
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"2 ada"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || list[0].AccountID != "" || list[0].Sequence != 1 {
			t.Errorf("parked: %v", list)
		}
		h.accept("")
		s.must(s.Redrive(t.Context(), "acme", ""))
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 connection.updated", "parked  at 1"}, h.said()); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
	})
}

// Redrive has an account that is being retried tried at once, and from the first
// attempt on.
func TestRedriveHastens(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing("ada")
		s.change("ada")
		s.start(s.Consumer, h.take, outbox.Options{Attempts: 12})
		time.Sleep(55 * time.Second) // the next attempt would come in 47 seconds
		h.attempts()
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		synctest.Wait()
		if n := len(h.attempts()); n != 1 {
			t.Errorf("%d attempts at once, want 1", n)
		}
		time.Sleep(time.Second)
		if n := len(h.attempts()); n != 3 {
			t.Errorf("%d attempts in the next second, want 3", n)
		}
		if list := s.parked(); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
	})
}

// When the clock is set back, however little, nobody waits until the old time is
// reached again.
func TestRetryWhenClockIsSetBack(t *testing.T) {
	for _, jump := range []time.Duration{30 * time.Second, time.Hour} {
		onEveryStore(t, func(t *testing.T, st store.Store) {
			s := newSite(t, st, "acme")
			var back atomic.Int64
			s.Store = clocktest.New(st, func() time.Time { return time.Now().Add(-time.Duration(back.Load())) })
			h := refusing("ada")
			s.change("ada")
			s.start(s.Consumer, h.take, outbox.Options{})
			synctest.Wait()
			back.Store(int64(jump))
			h.accept("ada")
			time.Sleep(2 * time.Second)
			if diff := cmp.Diff([]string{"1 ada"}, h.said()); diff != "" {
				t.Errorf("set back by %v, seen (-want +got):\n%s", jump, diff)
			}
		})
	}
}

// Other consumers hear of parking at once, and the attempts of an event are its
// own.
func TestParkTellsOthers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		audit := *s.Consumer
		audit.Name = "audit"
		h := refusing()
		s.start(&audit, h.take, outbox.Options{})
		var attempts []string
		s.change("ada")
		s.change("ada")
		s.start(s.Consumer, func(_ context.Context, d outbox.Delivery) error {
			if d.Event.AccountID == "ada" && d.Event.Type != store.DeliveryParked {
				attempts = append(attempts, fmt.Sprintf("%d.%d", d.Event.Sequence, d.Attempt))
			}
			if d.Attempt == 1 || d.Event.Sequence == 2 {
				return errRefused
			}
			return nil
		}, outbox.Options{Attempts: 3})
		time.Sleep(400 * time.Millisecond) // refused at 0, seen at 0.1, refused at 0.1, 0.2 and 0.4 seconds
		synctest.Wait()
		if diff := cmp.Diff([]string{"1 ada", "2 ada", "parked ada at 2"}, h.said()); diff != "" {
			t.Errorf("the other consumer has seen (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1.1", "1.2", "2.1", "2.2", "2.3"}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// Redrive counts also while the event is being tried.
func TestRedriveDuringAttempt(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		var attempts []int
		s.start(s.Consumer, func(ctx context.Context, d outbox.Delivery) error {
			attempts = append(attempts, d.Attempt)
			switch len(attempts) {
			case 1:
				return errRefused
			case 2:
				return errors.Join(errRefused, s.Redrive(ctx, "acme", "ada"))
			}
			return nil
		}, outbox.Options{Attempts: 2})
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if diff := cmp.Diff([]int{1, 2, 1}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// What retention removed cannot be redriven, and is not passed over in silence.
func TestParkExpired(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		h := refusing("ada", "grace")
		s.change("ada")
		s.change("grace")
		s.start(s.Consumer, h.take, outbox.Options{Attempts: 11})
		time.Sleep(50 * time.Second) // between the attempts, a minute from each other
		s.update("acme", func(tx store.Tx) error {
			_, err := tx.PruneEvents(1)
			return err
		})
		h.accept("ada", "grace")
		time.Sleep(2 * time.Minute)
		if diff := cmp.Diff([]string{"parked ada at 1", "2 grace"}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		if list := s.parked(); len(list) != 1 || !strings.Contains(list[0].LastError, "removed") {
			t.Errorf("parked: %v", list)
		}
		var expired *outbox.ExpiredError
		if err := s.Redrive(t.Context(), "acme", "ada"); !errors.As(err, &expired) || expired.Connection != "acme" {
			t.Errorf("Redrive returned %v, want an ExpiredError", err)
		}
		if err := s.SkipParked(t.Context(), "acme", "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("SkipParked of another account: %v", err)
		}
		s.must(s.SkipParked(t.Context(), "acme", "ada"))
		s.change("ada")
		synctest.Wait()
		if diff := cmp.Diff([]string{"4 ada"}, h.said()); diff != "" {
			t.Errorf("after SkipParked (-want +got):\n%s", diff)
		}
	})
}

// Skip ends all lines.
func TestSkip(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "acme")
		s.change("ada")
		h := refusing("ada")
		stop := s.start(s.Consumer, h.take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		if len(s.parked()) != 1 {
			t.Fatalf("parked: %v", s.parked())
		}
		s.must(s.Skip(t.Context(), "acme"))
		if len(s.parked()) != 0 {
			t.Errorf("parked: %v", s.parked())
		}
		h.accept("ada")
		h.said()
		s.must(s.DeliverOnce(t.Context(), h.take))
		if got := h.said(); len(got) != 0 {
			t.Errorf("%v came after Skip", got)
		}
	})
}

// When many accounts fail it is the consumer that fails: what comes after them
// waits, so that not everybody is parked.
func TestCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &counting{Store: memory.New()}
		s := newSite(t, st, "acme")
		for i := range 100 {
			s.change(fmt.Sprint("u", i))
		}
		var down atomic.Bool
		var seen atomic.Int64
		down.Store(true)
		s.start(s.Consumer, func(context.Context, outbox.Delivery) error {
			if down.Load() {
				return errRefused
			}
			seen.Add(1)
			return nil
		}, outbox.Options{})
		time.Sleep(4 * time.Minute)
		updates := st.updates.Load()
		time.Sleep(time.Minute)
		if n := st.updates.Load() - updates; n != 34 {
			t.Errorf("%d updates in a minute, want two for each of 16, and two for the lease", n)
		}
		if list := s.parked(); len(list) != 0 {
			t.Errorf("%d are parked after five minutes, want none", len(list))
		}
		down.Store(false)
		time.Sleep(time.Minute)
		if seen.Load() != 100 {
			t.Errorf("%d events came when the consumer was back, want 100", seen.Load())
		}
		down.Store(true)
		s.must(s.Skip(t.Context(), "acme"))
		for i := range 100 {
			s.change(fmt.Sprint("u", i))
		}
		time.Sleep(10 * time.Minute)
		if list := s.parked(); len(list) != 16 {
			t.Errorf("%d are parked after ten minutes, want 16", len(list))
		}
	})
}

// What an operator redrives keeps nobody else waiting, however many fail again.
func TestRedriveMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		h := refusing()
		for i := range 20 {
			h.refused[fmt.Sprint("u", i)] = true
			s.change(fmt.Sprint("u", i))
		}
		stop := s.start(s.Consumer, h.take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.redriveAll()
		s.start(s.Consumer, h.take, outbox.Options{})
		time.Sleep(10 * time.Second)
		h.said()
		grace := s.change("grace")
		synctest.Wait()
		if diff := cmp.Diff([]string{fmt.Sprint(grace, " grace")}, h.said()); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
	})
}

// A long line that is redriven, and what comes after it, take turns.
func TestLongLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemorySite(t)
		for range 2500 {
			s.change("ada")
		}
		stop := s.start(s.Consumer, refusing("ada").take, outbox.Options{Attempts: 1})
		synctest.Wait()
		_ = stop()
		s.must(s.Redrive(t.Context(), "acme", "ada"))
		grace := s.change("grace")
		h := refusing()
		s.start(s.process(s.st), h.take, outbox.Options{})
		synctest.Wait()
		got := h.said()
		at := slices.Index(got, fmt.Sprint(grace, " grace"))
		if len(got) != 2501 || at < 0 || at > 1100 {
			t.Errorf("%d events, that of grace at place %d, want 2501 and within the first 1100", len(got), at)
		}
	})
}
