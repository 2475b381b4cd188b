package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// leaving is how long a function of the host may take to end after its context did,
// before it is left behind.
const leaving = 500 * time.Millisecond

var (
	errGoexit = errors.New("the consumer ended its goroutine")

	// errStillRuns is what counts as the refusal of an event while an earlier call for
	// its account runs.
	errStillRuns = errors.New("an earlier call for this account has not returned yet")

	// errUnended is why a line is parked whose last attempt never ended.
	errUnended = errors.New("the process ended during the last attempt")
)

// hungError says that a function of the host did not return in time.
type hungError struct {
	after time.Duration
	runs  bool  // still, though its context has ended
	err   error // what it returned then
}

func (e *hungError) Error() string {
	text := fmt.Sprintf("the consumer did not return within %v", e.after)
	switch {
	case e.runs:
		text += ", nor when its context ended"
	case e.err != nil:
		text += ": " + e.err.Error()
	}
	return text
}

// Unwrap returns what the function returned in the end.
func (e *hungError) Unwrap() error { return e.err }

// Hung are the calls of this process that were left behind: they returned neither in
// time nor when their context ended. It is safe for concurrent use.
type Hung struct {
	mu    sync.Mutex
	calls map[hungCall]struct{}
}

type hungCall struct{ consumer, connection, account string }

func (h *Hung) has(c hungCall) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.calls[c]
	return ok
}

// add leaves a call behind until done says that it has returned.
func (h *Hung) add(c hungCall, done <-chan error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = map[hungCall]struct{}{}
	}
	h.calls[c] = struct{}{}
	go func() {
		<-done
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.calls, c)
	}()
}

// call gives an event to the consumer and waits as long as the delivery allows. The
// error is why the event counts as refused. A delivery that allows nothing of the
// kind calls on this goroutine and waits for ever.
func (t *turn) call(ctx context.Context, d Delivery) error {
	if t.timeout == 0 {
		return call(ctx, t.fn, d)
	}
	key := hungCall{t.Name, t.connection, lineOf(d.Event)}
	if t.hung.has(key) {
		return errStillRuns
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() { done <- err }()
		err = call(ctx, t.fn, d)
	}()
	if err, ok := within(t.timeout, done); ok {
		return err
	}
	cancel()
	err, ok := within(leaving, done)
	switch {
	case !ok:
		t.hung.add(key, done)
		return &hungError{after: t.timeout, runs: true}
	case err != nil:
		return &hungError{after: t.timeout, err: err}
	}
	return nil // it was late, but has seen the event
}

// within returns what comes within a time, if it does. A negative time has no end.
func within(d time.Duration, done <-chan error) (error, bool) {
	if d < 0 {
		return <-done, true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-done:
		return err, true
	case <-timer.C:
		return nil, false
	}
}

// begin stores an attempt before it is made, where the process may not live to store
// it afterwards: a retry, or the first turn after a process that ended while it
// delivered. What kills a process that nothing can recover from is parked then, like
// any other refusal, and cannot kill for ever.
func (t *turn) begin(ctx context.Context, ln line, sequence int64) (line, error) {
	if !t.counts || ln.Value.Attempts == 0 && !t.unclean {
		return ln, nil
	}
	before := ln.Value
	v := &ln.Value
	if v.Since.IsZero() {
		v.Since = t.Now()
	}
	v.Sequence, v.Attempts, v.Begun = sequence, before.Attempts+1, true
	ln, err := t.write(ctx, ln, retryDelay(v.Attempts), nil)
	ln.Value.Attempts = before.Attempts // whoever refuses counts
	return ln, err
}

// unbegin takes back an attempt that was stopped: it is no refusal.
func (t *turn) unbegin(ctx context.Context, ln line) {
	if !ln.Value.Begun {
		return
	}
	ln.Value.Begun = false
	if _, err := t.write(ctx, ln, 0, nil); err != nil && !errors.Is(err, errLeaseLost) {
		t.Logger.Warn("taking back an attempt that was stopped", "consumer", t.Name, "connection", t.connection, "error", err)
	}
}
