package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A clock that jumps must not do what nobody can undo: accounts would be deleted,
// events and used keys pruned, rights withdrawn, years before their time. After a
// jump of the clock of the store this work of Run waits, in all processes, until the
// clock was steady for a day, or an operator says that it is right. In a process whose
// clock is not that of the store it waits as long as that is so.
const (
	jumpWithin = time.Hour           // of the clock against the time that passes, while a process runs, and against that of the store
	jumpAhead  = 30 * 24 * time.Hour // since any process looked: it may have been down
	jumpBack   = time.Minute         // since any process looked: after a fail-over the clock may differ a little
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

	wall  time.Time // at the last look, by the clock of the engine; zero before the first
	seen  time.Time // likewise, by that of the store
	mono  time.Duration
	told  time.Time // when it noted a jump last, by the clock of the store
	apart bool      // the clock of the engine was not that of the store
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
	var (
		c   records.Clock
		now time.Time
	)
	err = w.engine.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) (err error) {
		if c, err = records.ClockSeen.Value(r, ""); err == nil {
			now, err = r.Now()
		}
		return err
	})
	if err != nil {
		return true, err
	}
	if waits, err = w.lookAt(ctx, c, now); err != nil || w.compare(now) {
		return true, err
	}
	return waits, nil
}

// lookAt looks for a jump of the clock of the store since any process looked.
func (w *clockWatch) lookAt(ctx context.Context, c records.Clock, now time.Time) (waits bool, err error) {
	stored := c
	defer func() { w.engine.noteJump(c.Jumped, c.Before) }()
	if w.jumped(c, now) || c.Jumped.After(now) {
		if !c.Jumped.IsZero() && records.Within(w.told, now, clockLook) {
			return true, nil // it goes on
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
	if c.Jumped.Equal(stored.Jumped) && records.Within(c.Seen, now, clockLook) {
		return !c.Jumped.IsZero(), nil
	}
	c.Seen = now
	err = w.engine.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.ClockSeen.Put(tx, "", c)
	})
	return !c.Jumped.IsZero(), err
}

// compare reports whether the clock of the engine is not that of the store. It is
// nothing that other processes must know of: theirs may be right.
func (w *clockWatch) compare(now time.Time) (apart bool) {
	w.wall = w.engine.now()
	ahead := w.wall.Sub(now)
	apart = ahead > jumpWithin || ahead < -jumpWithin
	switch {
	case apart:
		w.engine.noteJump(now, now)
		if !w.apart {
			w.engine.logger().Error("the clock of this process is not that of the store: what cannot be undone waits here as long as that is so", "process", w.wall, "store", now)
		}
	case w.apart:
		w.engine.logger().Info("the clock of this process is that of the store again")
	}
	w.apart = apart
	return apart
}

// noteJump remembers the time before a jump, as long as work waits for it.
func (e *Engine) noteJump(jumped, before time.Time) {
	if jumped.IsZero() {
		e.beforeJump.Store(nil)
		return
	}
	e.beforeJump.Store(&before)
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

// surest is the last time that is known to have come, also by the clock of the store:
// that of another process may be behind ours.
func (e *Engine) surest(c store.Clock) (time.Time, error) {
	now, err := c.Now()
	if ours := e.sure(e.now()); ours.Before(now) {
		now = ours
	}
	return now, err
}

// jumped compares the time of the store with that of the last look, of this process or
// of any.
func (w *clockWatch) jumped(c records.Clock, now time.Time) bool {
	first, seen, mono := w.seen.IsZero(), w.seen, w.mono
	if w.seen = now; w.elapsed != nil {
		w.mono = w.elapsed()
	}
	if first || w.elapsed == nil {
		return clocksApart(now, c.Seen, jumpBack)
	}
	drift := now.Sub(seen) - (w.mono - mono)
	return drift > jumpWithin || drift < -jumpWithin || clocksApart(now, c.Seen, jumpWithin)
}

// clocksApart reports whether the clock is not that by which any process looked last:
// none stays away for so long, and none comes before another by more than back.
func clocksApart(now, seen time.Time, back time.Duration) bool {
	since := now.Sub(seen)
	return !seen.IsZero() && (since > jumpAhead || since < -back)
}

// ClockJumped returns since when work waits because [Engine.Run] has seen the clock
// jump, by the clock of the store, or the zero time where none does. See
// [Engine.ConfirmClock].
func (e *Engine) ClockJumped(ctx context.Context) (time.Time, error) {
	c, err := records.ClockSeen.View(ctx, e.present().store(), store.Global, "")
	return c.Value.Jumped, err
}

// ConfirmClock says that the clock is right after a jump: the deletion of accounts, the
// removal of old events, used keys, sessions and counts of refusals, and the withdrawal
// of rights that have lapsed, go on. Without it they wait until [Engine.Run] has seen a
// steady clock for a day. A jump is more than an hour while a process runs, and back,
// or ahead by more than 30 days, while none did. [Engine.RunOnce] does not look. While
// work waits, each connection has the warning clock_jumped.
//
// The clock is that of the store ([store.Clock]): replicas have it in common. One whose
// own clock, [Engine.Now], is more than an hour from it leaves such work to the others
// until the two agree, and logs that. To confirm does not end it.
func (e *Engine) ConfirmClock(ctx context.Context) error {
	e = e.present()
	err := e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		now, err := tx.Now()
		if err != nil {
			return err
		}
		return records.ClockSeen.Put(tx, "", records.Clock{Seen: now})
	})
	if err == nil {
		e.noteJump(time.Time{}, time.Time{})
	}
	return err
}
