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
	if w.jumped(c, now) || c.Jumped.After(now) {
		w.engine.logger().Warn("the clock has jumped: what cannot be undone waits for a day, or for Engine.ConfirmClock", "from", c.Seen, "to", now)
		c.Jumped = now
	} else if !records.Within(c.Jumped, now, steadyFor) {
		c.Jumped = time.Time{}
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

// jumped compares the time with that of the last look, of this process or of any.
func (w *clockWatch) jumped(c records.Clock, now time.Time) bool {
	first, wall, mono := w.wall.IsZero(), w.wall, w.mono
	if w.wall = now; w.elapsed != nil {
		w.mono = w.elapsed()
	}
	switch {
	case !first && w.elapsed != nil:
		drift := now.Sub(wall) - (w.mono - mono)
		return drift > jumpWithin || drift < -jumpWithin
	case c.Seen.IsZero():
		return false
	}
	since := now.Sub(c.Seen)
	return since > jumpAhead || since < -jumpBack
}

// ConfirmClock says that the clock is right after a jump: the deletion of accounts and
// of old events and used keys, and the withdrawal of rights that have lapsed, go on.
// Without it they wait until [Engine.Run] has seen a steady clock for a day. A jump is
// more than an hour while a process runs, and back, or ahead by more than 30 days,
// while none did. [Engine.RunOnce] does not look.
func (e *Engine) ConfirmClock(ctx context.Context) error {
	return e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ClockSeen.Put(tx, "", records.Clock{Seen: e.now().Round(0)})
	})
}
