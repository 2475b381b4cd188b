package sqlite

import (
	"context"
	"fmt"
	"sync"

	"github.com/scimjit/provision/store"
)

// pool holds the sessions of views, or those of scans. Who waits gets one in the
// order of arrival. The one used last is used first, so that under little load there
// are few, with warm caches.
type pool struct {
	what   string // what the sessions are for
	open   func(context.Context) (*session, error)
	tokens chan struct{} // one for each session that may be in use
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	idle []*session
}

func newPool(what string, size int, open func(context.Context) (*session, error)) *pool {
	return &pool{what: what, open: open, tokens: make(chan struct{}, size), closed: make(chan struct{})}
}

// get waits for a session.
func (p *pool) get(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store: %s not started: %w", p.what, err)
	}
	select {
	case <-p.closed:
		return nil, store.ErrClosed
	default:
	}
	select {
	case p.tokens <- struct{}{}:
	case <-p.closed:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("store: %s not started: %w", p.what, ctx.Err())
	}
	if s := p.pop(); s != nil {
		return s, nil
	}
	s, err := p.open(context.WithoutCancel(ctx))
	if err != nil {
		<-p.tokens
		return nil, err
	}
	return s, nil
}

func (p *pool) pop() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	s := p.idle[last]
	p.idle = p.idle[:last]
	return s
}

// put gives a session back.
func (p *pool) put(s *session) {
	p.mu.Lock()
	p.idle = append(p.idle, s)
	p.mu.Unlock()
	<-p.tokens
}

// close waits for what runs and closes the sessions. It reports whether
// this is the first call.
func (p *pool) close() (first bool) {
	p.once.Do(func() {
		first = true
		close(p.closed)
		for range cap(p.tokens) {
			p.tokens <- struct{}{}
		}
		for s := p.pop(); s != nil; s = p.pop() {
			s.close()
		}
	})
	return first
}
