package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

// Writer is the connection of a [Queue]. Its methods run one at a time.
type Writer interface {
	Begin(ctx context.Context) error // starts a transaction, or gives up when ctx ends
	Commit() error                   // after an error, nothing was committed and no transaction is open
	Rollback()                       // ends the transaction, if there still is one

	Savepoint() error  // starts a part of the transaction
	Release() error    // keeps that part
	RollbackTo() error // undoes that part; fails when the whole transaction was undone

	// Rows returns how many rows the open transaction has written, or is going to write
	// when what was deferred is sent. Those of a part that was undone may be among them.
	Rows() int
}

// Queue runs transactions one after the other and commits those together that
// have queued meanwhile (group commit). It adds no delay: a batch ends as soon
// as nobody waits.
//
// There is no goroutine behind it. Each caller runs its own function when its
// turn comes and hands the turn on; the last of a batch commits for all. So a
// panic, or a runtime.Goexit, happens where the caller expects it.
type Queue struct {
	writer Writer
	limits QueueLimits

	mu      sync.Mutex
	waiting []*ticket
	running bool          // somebody has the turn
	closed  bool          // no new callers
	idle    chan struct{} // closed when closed and no longer running

	// The open transaction. Only who has the turn touches it.
	open   bool
	opened time.Time
	alone  bool // nobody may join it
	batch  []*ticket
}

// QueueLimits bound a batch.
type QueueLimits struct {
	Size int           // transactions in a batch
	Rows int           // written by the others when the last one joins
	Time time.Duration // from its start until the last one may join
}

// ticket is one caller.
type ticket struct {
	turn  chan error // nil: it is your turn
	done  chan error // what became of the batch
	alone bool
}

// BeginError is the error of a function whose transaction turned out, as it ran, to be
// one that cannot begin. Everybody who waits fails with it: each of them would wait as
// long as this caller did.
type BeginError struct{ Err error }

// Error implements error.
func (e *BeginError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *BeginError) Unwrap() error { return e.Err }

// NewQueue returns a queue that writes with w.
func NewQueue(w Writer, limits QueueLimits) *Queue {
	return &Queue{writer: w, limits: limits, idle: make(chan struct{})}
}

// Do runs fn in a transaction and returns when what it wrote is committed, or
// the error of fn after its writes were undone. When ctx ends before fn was
// started, it is not run.
//
// An error of fn waits for the commit too: it may come from what an earlier
// transaction of the batch wrote.
func (q *Queue) Do(ctx context.Context, fn func() error) error { return q.do(ctx, false, fn) }

// DoAlone is Do in a batch that nobody else takes part in.
func (q *Queue) DoAlone(ctx context.Context, fn func() error) error { return q.do(ctx, true, fn) }

func (q *Queue) do(ctx context.Context, alone bool, fn func() error) error {
	t := &ticket{turn: make(chan error, 1), done: make(chan error, 1), alone: alone}
	if err := q.wait(ctx, t); err != nil {
		return err
	}
	joined, err := q.run(ctx, t, fn)
	if joined {
		if failed := <-t.done; failed != nil {
			return failed
		}
	}
	return err
}

// wait returns when it is the turn of t.
func (q *Queue) wait(ctx context.Context, t *ticket) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return store.ErrClosed
	}
	if !q.running {
		q.running = true
		q.mu.Unlock()
		return nil
	}
	q.waiting = append(q.waiting, t)
	q.mu.Unlock()

	select {
	case err := <-t.turn:
		return err
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, t)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 {
		if err := <-t.turn; err == nil {
			q.pass()
		}
	}
	return notStarted(ctx)
}

// notStarted is the error of a caller that gave up.
func notStarted(ctx context.Context) error {
	return fmt.Errorf("store: update not started: %w", ctx.Err())
}

// run calls fn in the open transaction, or in one that it starts, and passes
// the turn on. It reports whether t takes part in the batch: whether it must
// wait for the commit.
func (q *Queue) run(ctx context.Context, t *ticket, fn func() error) (joined bool, err error) {
	defer q.pass()
	first := !q.open
	if err := q.start(ctx); err != nil {
		return false, err
	}
	returned := false
	defer func() {
		if !returned { // a panic
			q.undo(first)
		}
	}()
	err = fn()
	returned = true
	var begin *BeginError
	if errors.As(err, &begin) {
		q.failWaiting(begin)
	}
	switch {
	case err != nil && !q.undo(first):
		return false, err
	case err != nil && first:
		return false, err
	case err == nil && !first:
		if failed := q.writer.Release(); failed != nil {
			q.fail(failed)
			return false, failed
		}
	}
	q.alone = t.alone
	q.batch = append(q.batch, t)
	return true, err
}

// start begins a transaction, or a part of the open one. When that fails,
// everybody who waits fails with it, see [BeginError].
func (q *Queue) start(ctx context.Context) error {
	if ctx.Err() != nil {
		return notStarted(ctx)
	}
	if q.open {
		err := q.writer.Savepoint()
		if err != nil {
			q.fail(err)
		}
		return err
	}
	if err := q.writer.Begin(ctx); err != nil {
		if ctx.Err() != nil {
			return notStarted(ctx)
		}
		q.failWaiting(err)
		return err
	}
	q.open, q.opened = true, time.Now()
	return nil
}

// failWaiting fails those that wait for their turn.
func (q *Queue) failWaiting(err error) {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	for _, t := range waiting {
		t.turn <- err
	}
}

// undo takes back what the function that has the turn wrote. It reports false
// when the whole batch is lost.
func (q *Queue) undo(first bool) bool {
	if first {
		q.writer.Rollback()
		q.open = false
		return true
	}
	err := q.writer.RollbackTo()
	if err == nil {
		return true
	}
	q.fail(err)
	return false
}

// fail gives up the open transaction and tells its batch why.
func (q *Queue) fail(err error) {
	q.writer.Rollback()
	q.settle(err)
}

// settle ends the batch.
func (q *Queue) settle(err error) {
	for _, t := range q.batch {
		t.done <- err
	}
	clear(q.batch)
	q.batch = q.batch[:0]
	q.open = false
}

// pass gives the turn to the next caller. It commits before that when the batch
// is complete.
func (q *Queue) pass() {
	if q.open {
		if !q.complete() && q.next(true) {
			return
		}
		q.settle(q.writer.Commit())
	}
	q.next(false)
}

// complete reports whether nobody else may join the batch.
func (q *Queue) complete() bool {
	return q.alone || len(q.batch) >= q.limits.Size || q.writer.Rows() >= q.limits.Rows || time.Since(q.opened) >= q.limits.Time
}

// next gives the turn to the next caller. When there is none it reports false
// and gives the turn back, unless it is to be kept. To keep it is to go on with the
// batch, which who must be alone does not take part in.
func (q *Queue) next(keep bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && (!keep || !q.waiting[0].alone) {
		t := q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
		t.turn <- nil
		return true
	}
	if !keep {
		q.running = false
		if q.closed {
			close(q.idle)
		}
	}
	return false
}

// Waiting returns how many callers wait for their turn.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Close lets the transactions that have started finish, fails those that wait
// with [store.ErrClosed], and returns when none runs. Every further one fails.
func (q *Queue) Close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		for _, t := range q.waiting {
			t.turn <- store.ErrClosed
		}
		q.waiting = nil
		if !q.running {
			close(q.idle)
		}
	}
	q.mu.Unlock()
	<-q.idle
}
