package scim

import (
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// limiters holds one token bucket per credential. There are as many as there
// are live credentials, since only an authenticated request gets one.
type limiters struct {
	mu sync.Mutex
	m  map[string]*rate.Limiter
}

// allow takes one request from the bucket of a credential, or returns the
// error that says when to come back. A bucket holds five seconds' worth.
func (l *limiters) allow(credential string, perSecond float64) error {
	if perSecond <= 0 {
		return nil
	}
	l.mu.Lock()
	limiter := l.m[credential]
	if limiter == nil {
		if l.m == nil {
			l.m = map[string]*rate.Limiter{}
		}
		limiter = rate.NewLimiter(rate.Limit(perSecond), max(1, int(5*perSecond)))
		l.m[credential] = limiter
	}
	l.mu.Unlock()
	r := limiter.Reserve()
	delay := r.Delay()
	if delay == 0 {
		return nil
	}
	r.Cancel()
	return &Error{Status: http.StatusTooManyRequests, Detail: "too many requests, try again later", retryAfter: delay}
}
