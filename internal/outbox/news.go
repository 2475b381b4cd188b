package outbox

import (
	"maps"
	"slices"
	"sync"
)

// News tells listeners of one process in which connections something happened.
// Its zero value is ready to use.
type News struct {
	mu        sync.Mutex
	listeners map[string]map[*Listener]struct{} // by connection; "" for all
}

// Listener collects news until they are taken.
type Listener struct {
	news       *News
	connection string
	wake       chan struct{}
	heard      map[string]struct{}
}

// Listen returns a listener to a connection, or to all of them when it is empty.
// It must be closed.
func (n *News) Listen(connection string) *Listener {
	l := &Listener{news: n, connection: connection, wake: make(chan struct{}, 1), heard: map[string]struct{}{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]map[*Listener]struct{}{}
	}
	if n.listeners[connection] == nil {
		n.listeners[connection] = map[*Listener]struct{}{}
	}
	n.listeners[connection][l] = struct{}{}
	return l
}

// Send tells that something happened in a connection.
func (n *News) Send(connection string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, listeners := range []map[*Listener]struct{}{n.listeners[connection], n.listeners[""]} {
		for l := range listeners {
			l.heard[connection] = struct{}{}
			select {
			case l.wake <- struct{}{}:
			default: // it has not taken the news before
			}
		}
	}
}

// C receives a value when there is news to take.
func (l *Listener) C() <-chan struct{} { return l.wake }

// Take returns the connections of the news since it was called last.
func (l *Listener) Take() []string {
	l.news.mu.Lock()
	defer l.news.mu.Unlock()
	ids := slices.Collect(maps.Keys(l.heard))
	clear(l.heard)
	return ids
}

// Close ends listening.
func (l *Listener) Close() {
	l.news.mu.Lock()
	defer l.news.mu.Unlock()
	delete(l.news.listeners[l.connection], l)
	if len(l.news.listeners[l.connection]) == 0 {
		delete(l.news.listeners, l.connection)
	}
}
