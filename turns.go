package provision

import (
	"context"
	"sync"
)

// turns lets one at a time do something of a name in this process; others wait in any
// order. Its zero value is ready to use.
type turns struct {
	mu      sync.Mutex
	running map[string]*turn
}

type turn struct {
	free  chan struct{} // holds a value while nobody has the turn
	users int           // that have it or wait
}

// enter waits for the turn, which leave ends. Waiting ends with ctx.
func (t *turns) enter(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	if t.running == nil {
		t.running = map[string]*turn{}
	}
	r := t.running[name]
	if r == nil {
		r = &turn{free: make(chan struct{}, 1)}
		r.free <- struct{}{}
		t.running[name] = r
	}
	r.users++
	t.mu.Unlock()

	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if r.users--; r.users == 0 {
			delete(t.running, name)
		}
	}
	select {
	case <-r.free:
		return func() {
			r.free <- struct{}{}
			forget()
		}, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
