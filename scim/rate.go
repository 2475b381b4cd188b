package scim

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiters holds one bucket per credential and connection that is in use.
type limiters struct {
	mu sync.Mutex
	m  map[client]*bucket
}

// client is whose requests are counted together. A host's own credentials may
// have the same names in two connections.
type client struct{ connection, credential string }

// maxIdle is how many buckets are kept before full ones, which are as good as
// new, are dropped.
const maxIdle = 1024

// burstSeconds is how many seconds' worth a bucket holds.
const burstSeconds = 5

// bucket is what a credential may send to this process: no more than the limit, nor
// than this process has taken of what all processes may allow together.
type bucket struct {
	alone *rate.Limiter

	mu   sync.Mutex
	left int       // of the last chunk
	next time.Time // before it there is no use in asking for another; zero: there is
}

// everyCredential stands for all credentials of a connection. No credential has the name.
const everyCredential = "\x00all"

// allow takes one request from what a credential may send, and from what the connection
// may, or returns the error that says when to come back.
func (h *Handler) allow(ctx context.Context, p Principal) error {
	now := h.now()
	delay, giveBack := h.takeOne(ctx, client{p.Connection, p.Credential}, h.Limits.rate(), now)
	if delay == 0 {
		if delay, _ = h.takeOne(ctx, client{p.Connection, everyCredential}, h.Limits.ConnectionRate, now); delay > 0 {
			giveBack() // nothing was served
		}
	}
	if delay == 0 {
		return nil
	}
	return refuse(codeTooManyRequests, "too many requests, try again later").after(delay)
}

// takeOne takes one request, or returns after how long that is worth another try. What it
// took can be given back. No limit is a rate of 0.
func (h *Handler) takeOne(ctx context.Context, c client, perSecond float64, now time.Time) (delay time.Duration, giveBack func()) {
	if perSecond <= 0 {
		return 0, func() {}
	}
	b := h.limiters.bucket(c, perSecond, now)
	r := b.alone.ReserveN(now, 1)
	delay = r.DelayFrom(now)
	if delay == 0 {
		delay = b.take(now, perSecond, func(chunk int) (int, error) {
			// A client that goes away does not get more than others.
			return h.Engine.Plumbing().TakeRequests(context.WithoutCancel(ctx), c.connection, c.credential, chunk, perSecond, burst(perSecond))
		})
	}
	if delay > 0 {
		r.CancelAt(now)
		return delay, func() {}
	}
	return 0, func() {
		r.CancelAt(now)
		b.putBack()
	}
}

// putBack returns a request that was taken and not served.
func (b *bucket) putBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
}

// take takes one request of those that this process has taken, or of the next chunk. It
// returns after how long that is worth another try, where there is none.
func (b *bucket) take(now time.Time, perSecond float64, more func(chunk int) (int, error)) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left > 0 {
		b.left--
		return 0
	}
	pause := max(chunkPause, time.Duration(float64(time.Second)/perSecond))
	if in := b.next.Sub(now); !b.next.IsZero() && in > 0 && in <= pause { // else the clock was set back
		return in
	}
	want := chunk(perSecond)
	got, err := more(want)
	if err != nil {
		got = want // the request tells what is wrong with the store
	}
	if b.next = (time.Time{}); got < want {
		b.next = now.Add(pause)
	}
	if got == 0 {
		return pause
	}
	b.left = got - 1
	return 0
}

// chunkPause is how long a process that got less than it wanted waits at least before
// it asks for more.
const chunkPause = time.Second / 4

// chunk is how many requests a process takes at a time.
func chunk(perSecond float64) int { return max(1, int(perSecond)) }

func burst(perSecond float64) int { return max(1, int(burstSeconds*perSecond)) }

func (l *limiters) bucket(c client, perSecond float64, now time.Time) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.m[c]; b != nil {
		return b
	}
	full := burst(perSecond)
	if len(l.m) >= maxIdle {
		for other, b := range l.m {
			if b.alone.TokensAt(now) >= float64(full) {
				delete(l.m, other)
			}
		}
	}
	if l.m == nil {
		l.m = map[client]*bucket{}
	}
	b := &bucket{alone: rate.NewLimiter(rate.Limit(perSecond), full), left: chunk(perSecond)}
	l.m[c] = b
	return b
}
