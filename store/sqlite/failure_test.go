package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// codedError is an error with a result code of SQLite.
type codedError int

func (e codedError) Error() string { return fmt.Sprintf("result code %d", int(e)) }
func (e codedError) Code() int     { return int(e) }

const (
	ioError      = codedError(10 | 3<<8) // extended, as the driver reports it
	busy         = codedError(5)
	readOnlyFile = codedError(8)
)

// users returns how many users there are.
func users(t *testing.T, s store.Store) (n int) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		page, err := r.Query(store.Query{Types: []string{"User"}})
		n = page.Total
		return err
	})
	return n
}

// isUnavailable reports whether err tells the caller to come back.
func isUnavailable(err error) bool {
	var unavailable *store.UnavailableError
	return errors.As(err, &unavailable) && unavailable.RetryAfter >= time.Second
}

// TestGroupCommit queues updates behind one and counts the commits.
func TestGroupCommit(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	const clients = 64
	var wg sync.WaitGroup
	started, release := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		update(t, s, func(store.Tx) error {
			close(started)
			<-release
			return nil
		})
	})
	<-started
	for n := range int64(clients) {
		scope := fmt.Sprintf("scope-%d", n%4)
		wg.Go(func() {
			err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return createIn(tx, n) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	for s.Waiting() < clients {
		runtime.Gosched()
	}
	if !s.Awaited() {
		t.Error("updates wait, and Awaited says no")
	}
	close(release)
	wg.Wait()
	if s.Awaited() {
		t.Error("no update waits, and Awaited says yes")
	}
	// How many join a batch depends on the speed of the machine, as it also ends
	// after some time; the tests of the queue are exact.
	if n := count(tr.take(), "COMMIT"); n < 1 || n >= clients {
		t.Errorf("%d commits for %d updates", n, clients)
	}
}

// TestFailures makes one statement fail and expects that the update has no
// effect, that the error is clear, and that the next update succeeds.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name        string
		statement   string
		err         error
		unavailable bool
		text        string
	}{
		{"commit", "COMMIT", ioError, false, "result code"},
		{"commit while busy", "COMMIT", busy, true, ""},
		{"begin", "BEGIN IMMEDIATE", ioError, false, "result code"},
		{"begin while busy", "BEGIN IMMEDIATE", busy, true, ""},
		{"read-only", "INSERT INTO provision_resources", readOnlyFile, false, "cannot be written"},
		{"in the middle", "INSERT INTO provision_events", ioError, false, "result code"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, tr := openTraced(t, sqlite.Config{BusyTimeout: time.Millisecond})
			if err := create(s, 1); err != nil {
				t.Fatal(err)
			}
			tr.failOn(test.statement, test.err)
			err := create(s, 2)
			if err == nil || isUnavailable(err) != test.unavailable || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v", err)
			}
			if !errors.Is(err, test.err) {
				t.Errorf("%v hides its cause", err)
			}
			tr.failOn("", nil)
			if n := users(t, s); n != 1 {
				t.Errorf("%d users after a failure", n)
			}
			if err := create(s, 2); err != nil {
				t.Errorf("the next update: %v", err)
			}
		})
	}
}

// TestSwallowedError expects that an update whose function ignores a failed
// statement commits nothing.
func TestSwallowedError(t *testing.T) {
	s, tr := openTraced(t, sqlite.Config{})
	err := s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error {
		if err := createIn(tx, 1); err != nil {
			return err
		}
		tr.failOn("INSERT INTO provision_records", ioError)
		if err := tx.PutRecord(&store.Record{Kind: "k", Key: "a"}); !errors.Is(err, ioError) {
			t.Errorf("PutRecord: %v", err)
		}
		tr.failOn("", nil)
		if err := createIn(tx, 2); !errors.Is(err, ioError) {
			t.Errorf("a write after the failure: %v", err)
		}
		return nil
	})
	if !errors.Is(err, ioError) {
		t.Errorf("Update: %v", err)
	}
	if n := users(t, s); n != 0 {
		t.Errorf("%d users", n)
	}
}

// TestKeptTx expects that a transaction is of no use after its end.
func TestKeptTx(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	var kept store.Tx
	update(t, s, func(tx store.Tx) error {
		kept = tx
		return nil
	})
	update(t, s, func(store.Tx) error {
		if err := createIn(kept, 1); err == nil {
			t.Error("a transaction works after its end")
		}
		return nil
	})
}

// TestLocked holds the write lock with another connection.
func TestLocked(t *testing.T) {
	path := made(t)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	lock, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	control := func(statement string) {
		t.Helper()
		if _, err := lock.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, BusyTimeout: 60 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	patient, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, BusyTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = patient.Close() }()

	control("BEGIN IMMEDIATE")
	if err := create(s, 2); !isUnavailable(err) {
		t.Errorf("error %v while the database is locked", err)
	}
	if n := users(t, s); n != 1 {
		t.Errorf("%d users are read while the database is locked", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = patient.Update(ctx, benchScope, func(_ context.Context, tx store.Tx) error { return createIn(tx, 2) })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v when the caller gives up", err)
	}
	if waited := time.Since(start); waited > 30*time.Second {
		t.Errorf("waited %s for a caller that had given up", waited)
	}
	control("COMMIT")
	for _, s := range []store.Store{s, patient} {
		n := int64(users(t, s))
		update(t, s, func(tx store.Tx) error { return createIn(tx, n+1) })
	}
}

// TestFull lets the database grow to a limit.
func TestFull(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{}, "max_page_count = 150")
	written := int64(0)
	var err error
	for ; written < 10_000 && err == nil; written++ {
		err = create(s, written)
	}
	written--
	if !isUnavailable(err) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("error %v after %d users", err, written)
	}
	var wg sync.WaitGroup
	for n := range int64(8) {
		wg.Go(func() {
			if err := create(s, written+n); !isUnavailable(err) {
				t.Errorf("error %v of an update among others", err)
			}
		})
	}
	wg.Wait()
	if n := users(t, s); n != int(written) {
		t.Errorf("%d users, %d were acknowledged", n, written)
	}
	update(t, s, func(tx store.Tx) error {
		for n := range written / 2 {
			if err := tx.DeleteResource("User", userID(n)); err != nil {
				return err
			}
		}
		_, err := tx.PruneEvents(written / 2)
		return err
	})
	if err := create(s, written+1); err != nil {
		t.Errorf("after making room: %v", err)
	}
}

// TestClose expects that Close waits for what runs and refuses what comes.
func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	update(t, s, func(tx store.Tx) error {
		go func() { closed <- s.Close() }()
		return createIn(tx, 1)
	})
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Ping: %v", err)
	}
	if err := create(s, 2); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update: %v", err)
	}
	again, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if n := users(t, again); n != 1 {
		t.Errorf("%d users", n)
	}
}
