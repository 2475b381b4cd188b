package scim

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiters holds one token bucket per credential that is in use.
type limiters struct {
	mu sync.Mutex
	m  map[client]*rate.Limiter
}

// client is whose requests are counted together. A host's own credentials may
// have the same names in two connections.
type client struct{ connection, credential string }

// maxIdle is how many buckets are kept before full ones, which are as good as
// new, are dropped.
const maxIdle = 1024

// allow takes one request from the bucket of a credential, or returns the
// error that says when to come back. A bucket holds five seconds' worth.
func (l *limiters) allow(p Principal, perSecond float64, now time.Time) error {
	if perSecond <= 0 {
		return nil
	}
	r := l.bucket(client{p.Connection, p.Credential}, perSecond, now).ReserveN(now, 1)
	delay := r.DelayFrom(now)
	if delay == 0 {
		return nil
	}
	r.CancelAt(now)
	return refuse(codeTooManyRequests, "too many requests, try again later").after(delay)
}

func (l *limiters) bucket(c client, perSecond float64, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limiter := l.m[c]; limiter != nil {
		return limiter
	}
	burst := max(1, int(5*perSecond))
	if len(l.m) >= maxIdle {
		for other, limiter := range l.m {
			if limiter.TokensAt(now) >= float64(burst) {
				delete(l.m, other)
			}
		}
	}
	if l.m == nil {
		l.m = map[client]*rate.Limiter{}
	}
	limiter := rate.NewLimiter(rate.Limit(perSecond), burst)
	l.m[c] = limiter
	return limiter
}

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

// failures counts failed authentications by address. Its zero value is ready to
// use; its size is bounded, whatever clients send.
type failures struct {
	mu     sync.Mutex
	seed   maphash.Seed
	m      map[uint64]*failureTimes
	shared failureTimes
	swept  time.Time
}

// failureTimes is a ring of the latest failures.
type failureTimes struct {
	at   [freeFailures]time.Time
	next int // the oldest
}

// add counts a failure, and returns the error to answer it with when there were
// too many before it.
func (f *failures) add(address string, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := f.times(address, now).add(now)
	if wait <= 0 {
		return nil
	}
	return refuse(codeTooManyFailures, "too many failed authentications, try again later").after(wait)
}

// add notes a failure and returns how long the oldest one in the ring still
// counts.
func (t *failureTimes) add(now time.Time) time.Duration {
	oldest := t.at[t.next]
	t.at[t.next] = now
	t.next = (t.next + 1) % freeFailures
	return oldest.Add(failureWindow).Sub(now)
}

// over reports whether no failure counts any more.
func (t *failureTimes) over(now time.Time) bool {
	latest := t.at[(t.next+freeFailures-1)%freeFailures]
	return now.Sub(latest) >= failureWindow
}

// times returns the failures of an address.
func (f *failures) times(address string, now time.Time) *failureTimes {
	if f.m == nil {
		f.seed, f.m = maphash.MakeSeed(), map[uint64]*failureTimes{}
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
	t := &failureTimes{}
	f.m[key] = t
	return t
}

// sweep forgets the addresses whose failures do not count any more, at most once
// a second: a flood must not make each request look at all of them.
func (f *failures) sweep(now time.Time) {
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
