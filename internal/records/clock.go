package records

import "time"

// Ahead reports whether a stored time is still to come. One that is further ahead
// than its span, and as much again for clocks that differ, was written by a clock
// that was wrong: nobody waits for it. A clock that jumps ahead ends a wait early;
// so this is for what may come early, such as another try or a lease with a fence.
func Ahead(t, now time.Time, span time.Duration) bool {
	in := t.Sub(now)
	return in > 0 && in <= 2*span
}

// Within reports whether less than a span has passed since a stored time. A time that
// is still to come was written by a clock that was wrong, and nothing is known of
// when that was. Two readings of time.Now in one process are compared by the
// monotonic clock, which nobody sets.
func Within(t, now time.Time, span time.Duration) bool {
	since := now.Sub(t)
	return since >= 0 && since < span
}
