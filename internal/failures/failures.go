// Package failures slows down who guesses credentials: it counts what failed, by
// address.
package failures

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
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
	m      map[uint64]*times
	others times // of addresses for which there is no room
	fresh  []uint64
	swept  time.Time
}

// times is a ring of the latest failures.
type times struct {
	at    [freeFailures]time.Time
	next  int // the oldest
	fresh int // how many of the latest were not taken by [Counts.Take]
}

// Add counts a failure of an address, with or without a port. When there were too
// many before it, it returns how long the address should wait, never longer than the
// window: a failure that is still to come was noted by a clock that has been set back
// since, and does not count. Readings of [time.Now] know nothing of that, since they
// are monotonic.
func (f *Counts) Add(address string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := keyOf(address)
	t := f.of(key, now)
	if t == nil {
		return f.others.add(now)
	}
	if t.fresh == 0 {
		f.fresh = append(f.fresh, key)
	}
	t.fresh = min(t.fresh+1, freeFailures)
	return t.add(now)
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

// of returns the failures of an address, or nil where there is no room for it.
func (f *Counts) of(key uint64, now time.Time) *times {
	if f.m == nil {
		f.m = map[uint64]*times{}
	}
	if t := f.m[key]; t != nil {
		return t
	}
	if len(f.m) >= maxAddresses {
		f.sweep(now)
	}
	if len(f.m) >= maxAddresses {
		return nil
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
	f.fresh = slices.DeleteFunc(f.fresh, func(key uint64) bool { return f.m[key] == nil })
}

// keyOf returns what an address is counted by, the same in every process. Who finds two
// addresses with one key finds two of their own.
func keyOf(address string) uint64 {
	sum := sha256.Sum256([]byte(network(address)))
	return binary.BigEndian.Uint64(sum[:])
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
