package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// clockJumps are how far a clock was wrong before it was set right.
var clockJumps = []time.Duration{-3 * 365 * oneDay, -time.Hour, -15 * time.Second, time.Hour, 3 * 365 * oneDay}

// afterJump calls fn before and after a jump, within a process and across a restart.
func afterJump(t *testing.T, policyJSON string, before, after func(tn *tenant)) {
	for _, jump := range clockJumps {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, restart %v", jump, restart), func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := newTenant(t, st, policyJSON)
					before(tn)
					tn.clock.add(jump)
					if restart {
						tn.engine = &provision.Engine{Store: st, Now: tn.clock.Now, Limits: tn.engine.Limits}
						tn.dir = tn.engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
					}
					after(tn)
				})
			})
		}
	}
}

// Whatever was done before, the mass guard lets nobody go without counting, and does
// not count what a wrong clock says of the past.
func TestMassGuardAfterJump(t *testing.T) {
	afterJump(t, `{"requiredGroups":"Staff"}`, func(tn *tenant) {
		tn.group("Staff", tn.people(60)...)
		tn.group("Few", tn.user(`{"userName":"few","active":true}`))
		tn.setPolicy(`{"requiredGroups":["Staff","Few"]}`)
		tn.setPolicy(`{"requiredGroups":"Staff"}`) // one goes, which begins an hour
	}, func(tn *tenant) {
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		if n := len(tn.held()); n != 60 {
			tn.t.Errorf("%d accounts are held, want 60", n)
		}
	})
}

// stuck is a source that does not go on before it is let.
type stuck struct {
	listed
	began, goOn chan struct{}
}

func (s stuck) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		close(s.began)
		<-s.goOn
		s.listed.Users(ctx)(yield)
	}
}

// A sync that does not go on blocks the next one for minutes, whatever the clock said
// when it began.
func TestSyncLeaseAfterJump(t *testing.T) {
	var src stuck
	var first chan error
	afterJump(t, `{}`, func(tn *tenant) {
		src = stuck{listed: listed{t: tn.t, users: named("ann")}, began: make(chan struct{}), goOn: make(chan struct{})}
		first = make(chan error, 1)
		go func() {
			_, err := tn.engine.Directory("acme").Sync(context.Background(), src, provision.SyncOptions{})
			first <- err
		}()
		<-src.began
	}, func(tn *tenant) {
		tn.clock.add(5 * time.Minute)
		tn.sync(listed{users: named("bob")}, provision.SyncOptions{})
		close(src.goOn)
		if err := <-first; !errors.Is(err, provision.ErrSyncRunning) {
			tn.t.Errorf("the first sync: %v, want that another one runs", err)
		}
		if got := tn.withStatus(policy.StatusActive); len(got) != 1 || got[0] != "bob" {
			tn.t.Errorf("active are %v, want bob", got)
		}
	})
}

// Jobs go on after a jump.
func TestJobAfterJump(t *testing.T) {
	afterJump(t, `{}`, func(tn *tenant) {
		tn.group("Staff", tn.people(30)...)
		tn.engine.Limits = provision.Limits{Inline: 5, Batch: 4, Deprovision: -1}
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		tn.work(2)
	}, func(tn *tenant) {
		tn.runUntilSettled()
		if n := tn.count(policy.StatusDisabled); n != 30 {
			tn.t.Errorf("%d accounts are disabled, want 30", n)
		}
	})
}

// A jump is seen before anything is done that cannot be undone, also when news of a
// connection comes before the next look at all of them.
func TestJumpBetweenLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		engine := &provision.Engine{Store: memory.New(), Logger: slog.New(slog.DiscardHandler), Now: func() time.Time {
			return time.Now().Add(time.Duration(offset.Load()))
		}}
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
		engine := &provision.Engine{Store: st, Now: c.Now}
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

// While the clock may be wrong, nobody is deleted and no event is pruned.
func TestHeldWork(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":30}`)
		id := tn.user(`{"userName":"ann","active":true}`)
		tn.set(id, `{"userName":"ann","active":false}`)
		before := tn.lastEvent()
		tn.clock.add(3 * 365 * oneDay)
		errs, goOn := provision.RunHeld(tn.engine, t.Context())
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		tn.expectStatus("ann", policy.StatusDisabled)
		list, err := tn.dir.Events(t.Context(), 0, 0)
		if err != nil || int64(len(list)) < before {
			t.Errorf("%d events are left of %d, %v", len(list), before, err)
		}
		if errs := goOn(); len(errs) > 0 {
			t.Fatal(errs)
		}
		if n := len(tn.accounts("ann")); n != 0 {
			t.Errorf("%d accounts are left when the clock counts again", n)
		}
	})
}
