//go:build unix

package postgrestest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Wire stands between clients and a database and counts trips: what a client sends and
// then waits for. Each way takes a millisecond. It lets no ROLLBACK pass that comes alone while it counts, so that
// who waits for one does not end.
type Wire struct {
	// URL is the connection string through the wire.
	URL string

	mu         sync.Mutex
	counts     int // how often it has begun to count, negative while it does not
	trips      int
	statements int
	held       sync.Cond // of mu: counts has changed
}

// NewWire returns a wire before a database of [Server.Database].
func NewWire(t *testing.T, url string) *Wire {
	t.Helper()
	w := &Wire{}
	w.held.L = &w.mu
	w.URL = Between(t, url, w.serve)
	return w
}

// Count returns how many trips are made while fn runs.
func (w *Wire) Count(fn func()) int {
	w.mu.Lock()
	w.counts, w.trips, w.statements = 1-w.counts, 0, 0
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.counts = -w.counts
		w.held.Broadcast()
		w.mu.Unlock()
	}()
	fn()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trips
}

// Statements returns how many statements were run in the last Count.
func (w *Wire) Statements() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statements
}

func (w *Wire) serve(client, server net.Conn) {
	go func() {
		_, _ = io.Copy(late{client}, server)
		_ = client.Close()
	}()
	w.forward(client, late{server})
}

// late is where everything arrives late.
type late struct{ io.Writer }

// Write implements [io.Writer].
func (l late) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return l.Writer.Write(p)
}

// forward passes what a client sends on, each trip as a whole.
func (w *Wire) forward(client io.Reader, server io.Writer) {
	start := make([]byte, 4) // the first message has no type
	if _, err := io.ReadFull(client, start); err != nil {
		return
	}
	rest := make([]byte, binary.BigEndian.Uint32(start)-4)
	if _, err := io.ReadFull(client, rest); err != nil {
		return
	}
	if _, err := server.Write(append(start, rest...)); err != nil {
		return
	}
	var trip []byte
	statements, runs, rollbacks, last, settings := 0, 0, 0, 0, false
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		trip = append(append(trip, head...), body...)
		switch head[0] {
		case 'P', 'Q', 'B': // Parse, Query, Bind
			statements++
			if head[0] != 'P' {
				runs++
			}
			if bytes.Contains(body, []byte("ROLLBACK\x00")) {
				rollbacks++
			}
			settings = settings || bytes.Contains(body, []byte("set_config("))
		}
		if end := head[0] != 'P' && head[0] != 'B' && head[0] != 'D' && head[0] != 'E' && head[0] != 'C'; !end {
			continue
		}
		// A new connection is set up by what goes before, and is not waited for.
		if waits := head[0] == 'S' || head[0] == 'Q'; waits && (!settings || statements > 2) {
			last = w.pass(last, runs, rollbacks == 1 && statements <= 2) // a Parse and its Bind
		}
		if _, err := server.Write(trip); err != nil {
			return
		}
		trip, statements, runs, rollbacks, settings = trip[:0], 0, 0, 0, false
	}
}

// pass counts a trip and returns when that was, given when the one before was. A
// ROLLBACK alone waits until the counting ends of what it rolls back.
func (w *Wire) pass(last, statements int, rollback bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.counts
	if now > 0 && !rollback {
		w.trips++
		w.statements += statements
	}
	for rollback && now > 0 && now == last && w.counts == now {
		w.held.Wait()
	}
	return now
}
