package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A clock that jumps must not do what nobody can undo: accounts would be deleted,
// events and used keys pruned, rights withdrawn, years before their time. After a
// jump this work of Run waits until the clock was steady for a day, or an operator
// says that it is right.
const (
	jumpWithin = time.Hour           // of the clock against the time that passes, while a process runs
	jumpAhead  = 30 * 24 * time.Hour // since any process looked: it may have been down
	jumpBack   = time.Minute         // since any process looked: clocks of replicas differ a little
	steadyFor  = 24 * time.Hour

	// clockLook is how often the time is stored.
	clockLook = 10 * time.Minute

	// clockMoves is how far the clock is from the last look when it is looked at again
	// before anything is done that cannot be undone.
	clockMoves = 30 * time.Second
)

// clockWatch sees jumps of the clock.
type clockWatch struct {
	engine  *Engine
	elapsed func() time.Duration // since the process began, by a clock that nobody sets

	wall time.Time // at the last look; zero before the first
	mono time.Duration
	told time.Time // when it noted a jump last
}

func newClockWatch(e *Engine) *clockWatch {
	w := &clockWatch{engine: e}
	if began := time.Now(); e.Now == nil {
		w.elapsed = func() time.Duration { return time.Since(began) }
	}
	return w
}

// moved reports whether the clock may have jumped since the last look.
func (w *clockWatch) moved() bool {
	since := w.engine.now().Sub(w.wall)
	return since < 0 || since > clockMoves
}

// look reports whether what cannot be undone must wait.
func (w *clockWatch) look(ctx context.Context) (waits bool, err error) {
	stored, err := records.ClockSeen.View(ctx, w.engine.store(), store.Global, "")
	if err != nil {
		return true, err
	}
	now, c := w.engine.now().Round(0), stored.Value
	defer func() { w.engine.noteJump(c) }()
	if w.jumped(c, now) || c.Jumped.After(now) {
		if !c.Jumped.IsZero() && records.Within(w.told, now, clockLook) {
			return true, nil // it goes on, since the clocks of two processes disagree
		}
		w.told = now
		if c.Before.IsZero() {
			c.Before = c.Seen
		}
		w.engine.logger().Warn("the clock has jumped: what cannot be undone waits for a day, or for Engine.ConfirmClock", "from", c.Seen, "to", now)
		c.Jumped = now
	} else if !records.Within(c.Jumped, now, steadyFor) {
		c.Jumped, c.Before = time.Time{}, time.Time{}
	}
	if c.Jumped.Equal(stored.Value.Jumped) && records.Within(c.Seen, now, clockLook) {
		return !c.Jumped.IsZero(), nil
	}
	c.Seen = now
	err = w.engine.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ClockSeen.Put(tx, "", c)
	})
	return !c.Jumped.IsZero() || err != nil, err
}

// noteJump remembers the time before a jump, as long as work waits for it.
func (e *Engine) noteJump(c records.Clock) {
	if c.Jumped.IsZero() {
		e.beforeJump.Store(nil)
		return
	}
	e.beforeJump.Store(&c.Before)
}

// sure returns the last time that is known to have come: now, or while work waits for
// a jump that may have been ahead, the time before it. What ends by it ends late, and
// not early. Jumps are known where Run is.
func (e *Engine) sure(now time.Time) time.Time {
	if at := e.beforeJump.Load(); at != nil && at.Before(now) {
		return *at
	}
	return now
}

// jumped compares the time with that of the last look, of this process or of any.
func (w *clockWatch) jumped(c records.Clock, now time.Time) bool {
	first, wall, mono := w.wall.IsZero(), w.wall, w.mono
	if w.wall = now; w.elapsed != nil {
		w.mono = w.elapsed()
	}
	if first || w.elapsed == nil {
		return clocksApart(now, c.Seen, jumpBack)
	}
	drift := now.Sub(wall) - (w.mono - mono)
	return drift > jumpWithin || drift < -jumpWithin || clocksApart(now, c.Seen, jumpWithin)
}

// clocksApart reports whether the clock is not that by which any process looked last: none
// stays away for so long, and none comes before another by more than back. So two
// replicas that disagree both wait, whichever is wrong.
func clocksApart(now, seen time.Time, back time.Duration) bool {
	since := now.Sub(seen)
	return !seen.IsZero() && (since > jumpAhead || since < -back)
}

// ClockJumped returns since when work waits because [Engine.Run] has seen the clock
// jump, or the zero time where none does. See [Engine.ConfirmClock].
func (e *Engine) ClockJumped(ctx context.Context) (time.Time, error) {
	c, err := records.ClockSeen.View(ctx, e.present().store(), store.Global, "")
	return c.Value.Jumped, err
}

// ConfirmClock says that the clock is right after a jump: the deletion of accounts, the
// removal of old events, used keys, sessions and counts of refusals, and the withdrawal
// of rights that have lapsed, go on. Without it they wait until [Engine.Run] has seen a
// steady clock for a day. A jump is more than an hour while a process runs, and back,
// or ahead by more than 30 days, while none did, or between processes. [Engine.RunOnce]
// does not look. While work waits, each connection has the warning clock_jumped.
func (e *Engine) ConfirmClock(ctx context.Context) error {
	e = e.present()
	c := records.Clock{Seen: e.now().Round(0)}
	err := e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ClockSeen.Put(tx, "", c)
	})
	if err == nil {
		e.noteJump(c)
	}
	return err
}
