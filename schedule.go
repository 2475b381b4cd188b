package provision

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/records"
)

// task is work that Run does again and again.
type task struct {
	what  string
	every time.Duration
	final bool
	do    func() error
}

// What cannot be undone is final: it waits while the clock may be wrong.
const (
	always     = false
	unlessHeld = true
)

var (
	// errAgain is what a task returns that could not be done now and is due again.
	errAgain = errors.New("provision: not now")

	// errMore is what a task returns that has left something to its next time.
	errMore = errors.New("provision: there is more")
)

// schedule is when the tasks of a scope were done. Its times are readings of the clock
// of the engine, which may be set.
type schedule struct {
	done    []time.Time // in the order of the tasks
	next    time.Time   // when a task is due first; zero: now
	changed time.Time   // when something has happened last, or was left undone
	warn    bool        // to tell warnings is due

	// quiet is how often a task is done at least where nothing has happened.
	quiet time.Duration
}

// scheduleOf returns the schedule of a scope, or nil where everything is due.
func (b *background) scheduleOf(scope string) *schedule {
	if b.schedules == nil {
		return nil
	}
	s := b.schedules[scope]
	if s == nil {
		s = &schedule{quiet: quietInterval}
		b.schedules[scope] = s
	}
	return s
}

// due reports whether a task may be due. A time that is further ahead than any task
// is from its last time was reckoned by a clock that has been set back since.
func (s *schedule) due(now time.Time) bool {
	return !now.Before(s.next) || s.next.Sub(now) > pruneInterval
}

// every returns after how long a task is due again: later where nothing has happened
// since it was done.
func (s *schedule) every(t *task, done time.Time) time.Duration {
	if s.changed.Before(done) {
		return max(t.every, s.quiet)
	}
	return t.every
}

// waits reports whether what cannot be undone must wait. The clock may have jumped
// since the round began.
func (b *background) waits(ctx context.Context) bool {
	if b.clock != nil && b.clock.moved() {
		b.look(ctx)
	}
	return b.held
}

// tasks does the tasks of a scope whose time has come. One that was done in the
// future was so by a clock that has been set back since.
func (b *background) tasks(ctx context.Context, scope string, tasks []task) {
	s := b.scheduleOf(scope)
	if s == nil {
		for i := range tasks {
			_ = b.do(ctx, scope, &tasks[i]) // it has told failed
		}
		return
	}
	if s.done == nil {
		s.done = make([]time.Time, len(tasks))
	}
	now := b.engine.reading()
	warn := s.warn
	s.next, s.warn = now.Add(pruneInterval), false // a task may see the clock jump, and say them anew
	for i := range tasks {
		t, done := &tasks[i], &s.done[i]
		if due := !records.Within(*done, now, s.every(t, *done)) || warn && t.what == tellingWarnings; due {
			if t.final && b.waits(ctx) {
				continue // hold makes it due again
			}
			*done = now
			switch err := b.do(ctx, scope, t); {
			case errors.Is(err, errAgain):
				*done = time.Time{}
			case err != nil:
				s.changed = now // what is left does not wait as long as where nothing is
			}
		}
		if next := done.Add(s.every(t, *done)); next.Before(s.next) {
			s.next = next
		}
	}
}

// do does a task.
func (b *background) do(ctx context.Context, scope string, t *task) error {
	if ctx.Err() != nil {
		return errAgain
	}
	err := t.do()
	if err != nil && !errors.Is(err, errAgain) && !errors.Is(err, errMore) {
		b.failed(t.what, scope, err)
	}
	return err
}
