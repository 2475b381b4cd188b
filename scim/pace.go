package scim

import (
	"sync"
	"time"
)

// Requests of all connections share the processor, and the collector that follows their
// work. A request that works for longer than most do rests for as long, again and again,
// while other connections are served: those then wait for two milliseconds of it at most,
// and not for ten, after which the scheduler takes the processor away, nor for a
// collector that has as much to do as one client alone can leave behind. The heavy
// requests of one connection rest together, so that many work no more than one.
//
// Where nobody else is served nobody rests, and nobody rests inside a transaction.
const (
	// slice is how long a request works until it rests.
	slice = 2 * time.Millisecond

	// longSlice is how much of a longer slice counts: the rest of it, such as waiting
	// for the store, was hardly work.
	longSlice = 10 * time.Millisecond

	// mostRest is the longest rest, where many heavy requests of a connection share
	// one turn.
	mostRest = 50 * time.Millisecond

	// company is for how long others count as served after a request of theirs began.
	company = 100 * time.Millisecond
)

// pace is that of one request. Its zero value never rests. It is used by one goroutine
// at a time.
type pace struct {
	turns      *turns
	connection string
	began      time.Time // to work, after it rested last; the monotonic clock
	inside     bool      // of a transaction
}

// GiveWay is called between two pieces of work. It returns after the rest that is due.
func (p *pace) GiveWay() {
	if p.turns == nil || p.inside {
		return
	}
	now := time.Now()
	worked := now.Sub(p.began)
	if worked < slice {
		return
	}
	if rest := p.turns.rest(p.connection, min(worked, longSlice), now); rest > 0 {
		time.Sleep(rest)
		now = time.Now()
	}
	p.began = now
}

// waited says that what was done since the last piece of work was to wait: for a client
// to read, for example.
func (p *pace) waited() { p.began = time.Now() }

// turns knows which connections are served beside each other. Its zero value is ready to
// use.
type turns struct {
	mu          sync.Mutex
	last, other visit                // the last one, and the last of another connection
	rests       map[string]time.Time // until when the turns of a connection's heavy requests are taken
}

// visit is a request that began.
type visit struct {
	connection string
	at         time.Time
}

// mostRests is how many connections are noted before those are dropped that rest no more.
const mostRests = 1024

// begin returns the pace of a request that begins.
func (t *turns) begin(connection string) pace {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.connection != connection {
		t.other = t.last
	}
	t.last = visit{connection, now}
	return pace{turns: t, connection: connection, began: now}
}

// rest returns how long a request rests that has worked for a while.
func (t *turns) rest(connection string, worked time.Duration, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	beside := t.last
	if beside.connection == connection {
		beside = t.other
	}
	if beside.at.IsZero() || now.Sub(beside.at) > company {
		return 0
	}
	if len(t.rests) >= mostRests {
		for c, until := range t.rests {
			if until.Before(now) {
				delete(t.rests, c)
			}
		}
	}
	if t.rests == nil {
		t.rests = map[string]time.Time{}
	}
	again := now
	if until := t.rests[connection]; until.After(now) {
		again = until
	}
	again = again.Add(worked)
	t.rests[connection] = again.Add(worked) // when its next slice ends
	return min(again.Sub(now), mostRest)
}
