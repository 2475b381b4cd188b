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

// errAgain is what a task returns that could not be done now and is due again.
var errAgain = errors.New("provision: not now")

// schedule is when the tasks of a scope were done. Its times are readings of the clock
// of the engine, which may be set.
type schedule struct {
	done    []time.Time // in the order of the tasks
	next    time.Time   // when a task is due first; zero: now
	changed time.Time   // when something has happened last
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
			b.do(ctx, scope, &tasks[i])
		}
		return
	}
	if s.done == nil {
		s.done = make([]time.Time, len(tasks))
	}
	now := b.engine.reading()
	s.next = now.Add(pruneInterval)
	defer func() { s.warn = false }()
	for i := range tasks {
		t, done := &tasks[i], &s.done[i]
		if due := !records.Within(*done, now, s.every(t, *done)) || s.warn && t.what == tellingWarnings; due {
			if t.final && b.waits(ctx) {
				continue // hold makes it due again
			}
			if *done = now; b.do(ctx, scope, t) {
				*done = time.Time{}
			}
		}
		if next := done.Add(s.every(t, *done)); next.Before(s.next) {
			s.next = next
		}
	}
}

// do does a task, and reports whether it is due again.
func (b *background) do(ctx context.Context, scope string, t *task) (again bool) {
	if ctx.Err() != nil {
		return true
	}
	err := t.do()
	if err != nil && !errors.Is(err, errAgain) {
		b.failed(t.what, scope, err)
	}
	return errors.Is(err, errAgain)
}
