package provision_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// countedUpdates is a store that counts how often it is written.
type countedUpdates struct {
	store.Store
	n int
}

func (s *countedUpdates) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	s.n++
	return s.Store.Update(ctx, scope, fn)
}

// Of processes whose clocks disagree, those wait whose clock is not that of the store.
// They tell nobody else, and do not write at each look.
func TestClocksDisagree(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		right := newClock()
		counted := &countedUpdates{Store: clocktest.New(st, right.Now)}
		var passed time.Duration
		replica := func(by time.Duration) func(context.Context) (bool, error) {
			now := func() time.Time { return right.Now().Add(by) }
			return provision.ClockWatch(&provision.Engine{Store: counted, Now: now, Logger: slog.New(slog.DiscardHandler)}, func() time.Duration { return passed })
		}
		type process struct {
			name  string
			look  func(context.Context) (bool, error)
			waits bool
		}
		processes := []process{
			{"right", replica(0), false},
			{"ahead by an hour", replica(time.Hour), false},
			{"back by an hour", replica(-time.Hour), false},
			{"ahead by more", replica(time.Hour + time.Second), true},
			{"back by more", replica(-time.Hour - time.Second), true},
			{"ahead by three years", replica(threeYears), true},
			{"back by three years", replica(-threeYears), true},
		}
		for range 50 * 60 {
			for _, p := range processes {
				if waits, err := p.look(t.Context()); err != nil || waits != p.waits {
					t.Fatalf("after %v: the process that is %s waits %v, %v", passed, p.name, waits, err)
				}
			}
			if jumped, err := (&provision.Engine{Store: counted}).ClockJumped(t.Context()); err != nil || !jumped.IsZero() {
				t.Fatalf("after %v the clock has jumped at %v, %v", passed, jumped, err)
			}
			right.add(time.Minute)
			passed += time.Minute
		}
		if n := counted.n; n > 320 {
			t.Errorf("%d updates in fifty hours, want one each ten minutes", n)
		}
	})
}

// A jump is seen before anything is done that cannot be undone, also when news of a
// connection comes before the next look at all of them.
func TestJumpBetweenLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		st := memory.New()
		st.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		engine := &provision.Engine{Store: st, Logger: slog.New(slog.DiscardHandler), Now: st.Now}
		d := engine.Directory("acme").Via(store.SourceSCIM)
		change := func() {
			t.Helper()
			_, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error {
				c.Name += "x"
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		change()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- engine.Run(ctx) }()
		synctest.Wait()
		offset.Store(int64(3 * 365 * oneDay))
		change()
		synctest.Wait()
		events, err := d.Events(t.Context(), 0, 0)
		if err != nil || len(events) != 2 || events[0].Sequence != 1 {
			t.Errorf("%d events are left of 2, %v", len(events), err)
		}
		cancel()
		<-done
	})
}

// After a jump, what cannot be undone waits for a steady day, or for an operator.
func TestClockWatch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const hour = time.Hour
		c := newClock()
		engine := &provision.Engine{Store: clocktest.New(st, c.Now), Now: c.Now}
		var passed time.Duration
		start := func() func(context.Context) (bool, error) {
			return provision.ClockWatch(engine, func() time.Duration { return passed })
		}
		look := start()
		for _, step := range []struct {
			name         string
			wall, passes time.Duration // by the clock, and in truth
			restart      bool
			confirm      bool
			waits        bool
		}{
			{name: "the first look"},
			{name: "steady", wall: hour, passes: hour},
			{name: "half an hour off", wall: 90 * time.Minute, passes: hour},
			{name: "ahead by three years", wall: 3 * 365 * oneDay, passes: time.Second, waits: true},
			{name: "23 hours later", wall: 23 * hour, passes: 23 * hour, waits: true},
			{name: "a day later", wall: 2 * hour, passes: 2 * hour},
			{name: "back by three years", wall: -3 * 365 * oneDay, passes: time.Second, waits: true},
			{name: "in another process", wall: time.Minute, passes: time.Minute, restart: true, waits: true},
			{name: "confirmed", wall: time.Minute, passes: time.Minute, confirm: true},
			{name: "down for 29 days", wall: 29 * oneDay, restart: true},
			{name: "down for 31 days, as it seems", wall: 31 * oneDay, restart: true, waits: true},
			{name: "confirmed again", confirm: true},
			{name: "back by 15 seconds, as replicas differ", wall: -15 * time.Second, restart: true},
			{name: "back by an hour while none ran", wall: -hour, restart: true, waits: true},
			{name: "back by two hours more", wall: -2 * hour, passes: time.Second, waits: true},
			{name: "a steady day", wall: 25 * hour, passes: 25 * hour},
		} {
			c.add(step.wall)
			passed += step.passes
			if step.restart {
				look = start()
			}
			if step.confirm {
				if err := engine.ConfirmClock(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if waits, err := look(t.Context()); err != nil || waits != step.waits {
				t.Errorf("%s: waits %v, %v; want %v", step.name, waits, err, step.waits)
			}
		}
	})
}
