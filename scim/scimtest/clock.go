package scimtest

import (
	"sync"
	"time"
)

// Clock is a time that stands still until it is moved. The zero Clock is ready
// to use and starts at 2026-01-01T00:00:00Z. It is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	passed time.Duration
}

// Now returns the time, in UTC. It is a value for the field Now of an Engine.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(c.passed)
}

// Advance moves the time forward, or back when d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}
