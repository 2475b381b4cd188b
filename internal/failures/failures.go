// Package failures slows down who guesses credentials: it counts what failed, by
// address.
package failures

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	failureWindow = time.Minute

	// freeFailures is how many failed authentications of one address within the
	// window are answered as such.
	freeFailures = 9

	// maxAddresses bounds how many addresses are counted one by one. While more
	// than that fail within the window, the others share one count: only
	// requests that fail anyway can notice.
	maxAddresses = 10_000
)

// Counts counts failed authentications by address. Its zero value is ready to
// use; its size is bounded, whatever clients send. It must not be copied.
type Counts struct {
	mu     sync.Mutex
	seed   maphash.Seed
	m      map[uint64]*times
	shared times
	swept  time.Time
}

// times is a ring of the latest failures.
type times struct {
	at   [freeFailures]time.Time
	next int // the oldest
}

// Add counts a failure of an address, with or without a port. When there were too
// many before it, it returns how long the address should wait, never longer than the
// window: a failure that is still to come was noted by a clock that has been set back
// since, and does not count. Readings of [time.Now] know nothing of that, since they
// are monotonic.
func (f *Counts) Add(address string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of(address, now).add(now)
}

// add notes a failure and returns how long the oldest one in the ring still
// counts.
func (t *times) add(now time.Time) time.Duration {
	oldest := t.at[t.next]
	t.at[t.next] = now
	t.next = (t.next + 1) % freeFailures
	if !counts(oldest, now) {
		return 0
	}
	return failureWindow - now.Sub(oldest)
}

// counts reports whether a failure is within the window.
func counts(at, now time.Time) bool {
	since := now.Sub(at)
	return since >= 0 && since < failureWindow
}

// over reports whether no failure counts any more.
func (t *times) over(now time.Time) bool {
	latest := t.at[(t.next+freeFailures-1)%freeFailures]
	return !counts(latest, now)
}

// of returns the failures of an address.
func (f *Counts) of(address string, now time.Time) *times {
	if f.m == nil {
		f.seed, f.m = maphash.MakeSeed(), map[uint64]*times{}
	}
	key := maphash.String(f.seed, network(address))
	if t := f.m[key]; t != nil {
		return t
	}
	if len(f.m) >= maxAddresses {
		f.sweep(now)
	}
	if len(f.m) >= maxAddresses {
		return &f.shared
	}
	t := &times{}
	f.m[key] = t
	return t
}

// sweep forgets the addresses whose failures do not count any more, at most once
// a second: a flood must not make each request look at all of them.
func (f *Counts) sweep(now time.Time) {
	if since := now.Sub(f.swept); since >= 0 && since < time.Second {
		return
	}
	f.swept = now
	for key, t := range f.m {
		if t.over(now) {
			delete(f.m, key)
		}
	}
}

// network returns the part of an address that one client can be taken to own: an
// IPv4 address, or 64 bits of an IPv6 address. Other text is left alone.
func network(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
