package scim

import (
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
