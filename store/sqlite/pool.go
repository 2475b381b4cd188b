package sqlite

import (
	"context"
	"fmt"
	"sync"

	"github.com/scimjit/provision/store"
)

// pool holds the sessions of views. Each is opened when it is first needed.
type pool struct {
	open   func(context.Context) (*session, error)
	slots  chan *session // nil for one that is not open
	closed chan struct{}
	once   sync.Once
}

func newPool(size int, open func(context.Context) (*session, error)) *pool {
	p := &pool{open: open, slots: make(chan *session, size), closed: make(chan struct{})}
	for range size {
		p.slots <- nil
	}
	return p
}

// get waits for a session.
func (p *pool) get(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store: view not started: %w", err)
	}
	var s *session
	select {
	case <-p.closed:
		return nil, store.ErrClosed
	default:
	}
	select {
	case s = <-p.slots:
	case <-p.closed:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("store: view not started: %w", ctx.Err())
	}
	if s != nil {
		return s, nil
	}
	s, err := p.open(context.WithoutCancel(ctx))
	if err != nil {
		p.slots <- nil
		return nil, err
	}
	return s, nil
}

// put gives a session back.
func (p *pool) put(s *session) { p.slots <- s }

// close waits for the views that run and closes their sessions. It reports
// whether this is the first call.
func (p *pool) close() (first bool) {
	p.once.Do(func() {
		first = true
		close(p.closed)
		for range cap(p.slots) {
			if s := <-p.slots; s != nil {
				s.close()
			}
		}
	})
	return first
}
