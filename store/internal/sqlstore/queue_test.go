package sqlstore_test

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

// fakeWriter keeps numbers as a database keeps rows: what a test writes counts
// when it is committed.
type fakeWriter struct {
	mu        sync.Mutex
	calls     []string
	errs      map[string]error
	open      []int // written in the transaction
	mark      int   // length of open at the savepoint
	committed []int
}

func (w *fakeWriter) call(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	err := w.errs[name]
	if err == nil {
		switch name {
		case "savepoint":
			w.mark = len(w.open)
		case "rollbackTo":
			w.open = w.open[:w.mark]
		case "commit":
			w.committed = append(w.committed, w.open...)
			w.open = nil
		}
	}
	if name == "rollback" || (name == "commit" && err != nil) {
		w.open = nil
	}
	return err
}

func (w *fakeWriter) write(n int) { w.open = append(w.open, n) }

func (w *fakeWriter) count(name string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c == name {
			n++
		}
	}
	return n
}

func (w *fakeWriter) Begin(context.Context) error { return w.call("begin") }
func (w *fakeWriter) Commit() error               { return w.call("commit") }
func (w *fakeWriter) Rollback()                   { _ = w.call("rollback") }
func (w *fakeWriter) Savepoint() error            { return w.call("savepoint") }
func (w *fakeWriter) Release() error              { return w.call("release") }
func (w *fakeWriter) RollbackTo() error           { return w.call("rollbackTo") }
func (w *fakeWriter) Rows() int                   { return len(w.open) }

// batch runs functions so that they queue while the first of them runs, in
// their order, and returns their errors.
type batch struct {
	t *testing.T
	w *fakeWriter
	q *sqlstore.Queue
}

func newBatch(t *testing.T, size, rows int) *batch {
	w := &fakeWriter{errs: map[string]error{}}
	return &batch{t, w, sqlstore.NewQueue(w, sqlstore.QueueLimits{Size: size, Rows: rows, Time: time.Hour})}
}

func (b *batch) run(fns ...func() error) []error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	started := make(chan struct{})
	queued := make(chan struct{})
	wg.Go(func() {
		errs[0] = b.q.Do(b.t.Context(), func() error {
			close(started)
			<-queued
			return fns[0]()
		})
	})
	<-started
	for i, fn := range fns[1:] {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i+1] = p.(error)
				}
			}()
			errs[i+1] = b.q.Do(b.t.Context(), fn)
		})
		b.waiting(i + 1)
	}
	close(queued)
	wg.Wait()
	return errs
}

// waiting returns when n callers wait.
func (b *batch) waiting(n int) {
	for b.q.Waiting() < n {
		runtime.Gosched()
	}
}

func (b *batch) writes(list ...int) func() error {
	return func() error {
		for _, n := range list {
			b.w.write(n)
		}
		return nil
	}
}

func (b *batch) writesAndFails(n int, err error) func() error {
	return func() error {
		b.w.write(n)
		return err
	}
}

var (
	errFn = errors.New("fn")
	errDB = errors.New("database")
)

func TestQueueBatches(t *testing.T) {
	panics := func(b *batch, n int) func() error {
		return func() error {
			b.w.write(n)
			panic(errFn)
		}
	}
	for _, test := range []struct {
		name  string
		size  int
		rows  int
		fns   func(b *batch) []func() error
		fails map[string]error
		errs  []error
		want  []int
		calls []string
	}{
		{
			name: "one",
			fns:  func(b *batch) []func() error { return []func() error{b.writes(1)} },
			errs: []error{nil}, want: []int{1}, calls: []string{"begin", "commit"},
		},
		{
			name: "what has queued commits together",
			fns:  func(b *batch) []func() error { return []func() error{b.writes(1), b.writes(2), b.writes(3)} },
			errs: []error{nil, nil, nil}, want: []int{1, 2, 3},
			calls: []string{"begin", "savepoint", "release", "savepoint", "release", "commit"},
		},
		{
			name: "a batch has a limit", size: 2,
			fns:  func(b *batch) []func() error { return []func() error{b.writes(1), b.writes(2), b.writes(3)} },
			errs: []error{nil, nil, nil}, want: []int{1, 2, 3},
			calls: []string{"begin", "savepoint", "release", "commit", "begin", "commit"},
		},
		{
			name: "a batch has a limit of rows", rows: 3,
			fns: func(b *batch) []func() error {
				return []func() error{b.writes(1), b.writes(2, 3, 4), b.writes(5), b.writesAndFails(6, errFn), b.writes(7, 8, 9, 10), b.writes(11)}
			},
			errs: []error{nil, nil, nil, errFn, nil, nil}, want: []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 11},
			calls: []string{
				"begin", "savepoint", "release", "commit", // 1 and the next three
				"begin", "savepoint", "rollbackTo", "savepoint", "release", "commit",
				"begin", "commit",
			},
		},
		{
			name: "an error undoes its own writes",
			fns: func(b *batch) []func() error {
				return []func() error{b.writes(1), b.writesAndFails(2, errFn), b.writes(3)}
			},
			errs: []error{nil, errFn, nil}, want: []int{1, 3},
			calls: []string{"begin", "savepoint", "rollbackTo", "savepoint", "release", "commit"},
		},
		{
			name: "an error of the first",
			fns: func(b *batch) []func() error {
				return []func() error{b.writesAndFails(1, errFn), b.writes(2)}
			},
			errs: []error{errFn, nil}, want: []int{2},
			calls: []string{"begin", "rollback", "begin", "commit"},
		},
		{
			name: "a panic undoes its own writes",
			fns: func(b *batch) []func() error {
				return []func() error{b.writes(1), panics(b, 2), b.writes(3)}
			},
			errs: []error{nil, errFn, nil}, want: []int{1, 3},
			calls: []string{"begin", "savepoint", "rollbackTo", "savepoint", "release", "commit"},
		},
		{
			name: "a failed commit fails everybody, refusals too", fails: map[string]error{"commit": errDB},
			fns: func(b *batch) []func() error {
				return []func() error{b.writes(1), b.writesAndFails(2, errFn), b.writes(3)}
			},
			errs:  []error{errDB, errDB, errDB},
			calls: []string{"begin", "savepoint", "rollbackTo", "savepoint", "release", "commit"},
		},
		{
			name: "a database that rolls everything back fails those before and serves those after",
			fns: func(b *batch) []func() error {
				return []func() error{b.writes(1), b.writesAndFails(2, errFn), b.writes(3)}
			},
			fails: map[string]error{"rollbackTo": errDB},
			errs:  []error{errDB, errFn, nil}, want: []int{3},
			calls: []string{"begin", "savepoint", "rollbackTo", "rollback", "begin", "commit"},
		},
		{
			name:  "a lost savepoint is no success",
			fns:   func(b *batch) []func() error { return []func() error{b.writes(1), b.writes(2)} },
			fails: map[string]error{"release": errDB},
			errs:  []error{errDB, errDB},
			calls: []string{"begin", "savepoint", "release", "rollback"},
		},
		{
			name:  "no savepoint",
			fns:   func(b *batch) []func() error { return []func() error{b.writes(1), b.writes(2)} },
			fails: map[string]error{"savepoint": errDB},
			errs:  []error{errDB, errDB},
			calls: []string{"begin", "savepoint", "rollback"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBatch(t, cmp.Or(test.size, 100), cmp.Or(test.rows, 100))
			if test.fails != nil {
				b.w.errs = test.fails
			}
			errs := b.run(test.fns(b)...)
			for i, err := range errs {
				if !errors.Is(err, test.errs[i]) || (test.errs[i] == nil && err != nil) {
					t.Errorf("caller %d got %v, want %v", i, err, test.errs[i])
				}
			}
			if diff := gocmp.Diff(test.want, b.w.committed); diff != "" {
				t.Errorf("committed (-want +got):\n%s", diff)
			}
			if diff := gocmp.Diff(test.calls, b.w.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestQueueBatchTime lets functions take time: who has queued joins the batch until
// its time is up, and the next batch has a time of its own.
func TestQueueBatchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeWriter{errs: map[string]error{}}
		b := &batch{t, w, sqlstore.NewQueue(w, sqlstore.QueueLimits{Size: 100, Rows: 100, Time: 10 * time.Millisecond})}
		takes := func(n, milliseconds int) func() error {
			return func() error {
				time.Sleep(time.Duration(milliseconds) * time.Millisecond) // of the clock of the test
				return b.writes(n)()
			}
		}
		b.run(takes(1, 9), takes(2, 1), takes(3, 9), takes(4, 0), takes(5, 1), takes(6, 0))
		want := []string{
			"begin", "savepoint", "release", "commit", // 1, and 2 after 9 of 10 ms
			"begin", "savepoint", "release", "savepoint", "release", "commit", // 3, 4 and 5
			"begin", "commit", // 6
		}
		if diff := gocmp.Diff(want, w.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if diff := gocmp.Diff([]int{1, 2, 3, 4, 5, 6}, w.committed); diff != "" {
			t.Errorf("committed (-want +got):\n%s", diff)
		}
	})
}

// TestQueueGoexit ends the goroutine of a function in the middle, as t.Fatal
// does, and expects that the next caller is served.
func TestQueueGoexit(t *testing.T) {
	b := newBatch(t, 100, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.q.Do(t.Context(), func() error {
			b.w.write(1)
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	if err := b.q.Do(t.Context(), b.writes(2)); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]int{2}, b.w.committed); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
}

func TestQueueContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	t.Run("ended before", func(t *testing.T) {
		b := newBatch(t, 100, 100)
		if err := b.q.Do(ended, b.writes(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if len(b.w.calls) > 0 {
			t.Errorf("calls %v", b.w.calls)
		}
	})
	t.Run("ends while queued", func(t *testing.T) {
		b := newBatch(t, 100, 100)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		err := b.q.Do(t.Context(), func() error {
			go func() { left <- b.q.Do(ctx, b.writes(2)) }()
			b.waiting(1)
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			return b.writes(1)()
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff([]int{1}, b.w.committed); diff != "" {
			t.Errorf("committed (-want +got):\n%s", diff)
		}
	})
	t.Run("ends while it runs", func(t *testing.T) {
		b := newBatch(t, 100, 100)
		ctx, cancel := context.WithCancel(t.Context())
		err := b.q.Do(ctx, func() error {
			cancel()
			return b.writes(1)()
		})
		if err != nil || !slices.Equal(b.w.committed, []int{1}) {
			t.Errorf("error %v, committed %v", err, b.w.committed)
		}
	})
}

// TestQueueBusy expects that those who wait for a database that is busy do not
// wait for it one after the other.
func TestQueueBusy(t *testing.T) {
	b := newBatch(t, 100, 100)
	results := make(chan error)
	err := b.q.Do(t.Context(), func() error {
		for range 3 {
			go func() { results <- b.q.Do(t.Context(), b.writes(2)) }()
		}
		b.waiting(3)
		b.w.errs["begin"] = errDB
		return errFn
	})
	if !errors.Is(err, errFn) {
		t.Errorf("error %v", err)
	}
	for range 3 {
		if err := <-results; !errors.Is(err, errDB) {
			t.Errorf("error %v", err)
		}
	}
	if n := b.w.count("begin"); n != 2 {
		t.Errorf("%d attempts to begin, want 2", n)
	}
}

func TestQueueClose(t *testing.T) {
	b := newBatch(t, 100, 100)
	left, closed := make(chan error, 1), make(chan struct{})
	err := b.q.Do(t.Context(), func() error {
		go func() { left <- b.q.Do(t.Context(), b.writes(2)) }()
		b.waiting(1)
		go func() {
			b.q.Close()
			close(closed)
		}()
		if err := <-left; !errors.Is(err, store.ErrClosed) {
			t.Errorf("a waiting caller got %v", err)
		}
		select {
		case <-closed:
			t.Error("closed before the running function returned")
		default:
		}
		return b.writes(1)()
	})
	if err != nil {
		t.Error(err)
	}
	<-closed
	if !slices.Equal(b.w.committed, []int{1}) {
		t.Errorf("committed %v", b.w.committed)
	}
	if err := b.q.Do(t.Context(), b.writes(3)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
	b.q.Close()
}

// TestQueueSerial runs many callers and expects that no two functions overlap
// and that nothing is lost.
func TestQueueSerial(t *testing.T) {
	b := newBatch(t, 7, 100)
	var wg sync.WaitGroup
	const callers, each = 20, 50
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if err := b.q.Do(t.Context(), b.writes(c*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(b.w.committed)
	if len(slices.Compact(b.w.committed)) != callers*each {
		t.Errorf("%d of %d are there", len(b.w.committed), callers*each)
	}
	if begins, commits := b.w.count("begin"), b.w.count("commit"); begins != commits {
		t.Errorf("%d begins and %d commits", begins, commits)
	}
}

// TestQueueAlone lets one of several who wait have a batch of its own, and fails all who
// wait where a transaction turns out to be one that cannot begin.
func TestQueueAlone(t *testing.T) {
	b := newBatch(t, 10, 100)
	started, queued := make(chan struct{}), make(chan struct{})
	errs := make([]error, 4)
	var wg sync.WaitGroup
	wg.Go(func() {
		errs[0] = b.q.Do(t.Context(), func() error {
			close(started)
			<-queued
			return nil
		})
	})
	<-started
	wg.Go(func() { errs[1] = b.q.DoAlone(t.Context(), b.writes(1)) })
	b.waiting(1)
	for i, fn := range []func() error{func() error { return &sqlstore.BeginError{Err: errDB} }, b.writes(2)} {
		wg.Go(func() { errs[i+2] = b.q.Do(t.Context(), fn) })
		b.waiting(i + 2)
	}
	close(queued)
	wg.Wait()
	if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], errDB) || !errors.Is(errs[3], errDB) {
		t.Errorf("errors %v", errs)
	}
	want := []string{"begin", "commit", "begin", "commit", "begin", "rollback"}
	if diff := gocmp.Diff(want, b.w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
