package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

// Statements that are beside those of package sqlstore. The lock is a statement of its
// own: what is read by the statement that waits for it is older than the lock.
const (
	beginUpdate = `BEGIN ISOLATION LEVEL READ COMMITTED` // not READ WRITE, whose error on a standby has no code of its own
	beginView   = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	commit      = `COMMIT`
	rollback    = `ROLLBACK`
	savepoint   = `SAVEPOINT one_update`
	release     = `RELEASE SAVEPOINT one_update`
	rollbackTo  = `ROLLBACK TO SAVEPOINT one_update`

	insertScope = `INSERT INTO provision_scopes (scope) VALUES (?) ON CONFLICT DO NOTHING`
	lockScope   = `SELECT position, sequence, pruned FROM provision_scopes WHERE scope = ? FOR UPDATE`

	putCommit = `INSERT INTO provision_commits (scope, process, number, written)
		VALUES (?, ?, ?, now()) ON CONFLICT (scope, process)
		DO UPDATE SET number = excluded.number, written = excluded.written`
	findCommit   = `SELECT number FROM provision_commits WHERE scope = ? AND process = ?`
	pruneCommits = `DELETE FROM provision_commits WHERE scope = ? AND process <> ? AND written < now() - interval '1 day'`
)

// Limits of a batch of Updates. The server remembers 64 parts of a transaction in its
// fast memory.
const (
	batchSize = 60
	batchTime = 20 * time.Millisecond
)

// scope is where the Updates of one scope wait for each other, without a connection
// of the pool. It lives while somebody uses it.
type scope struct {
	*writer
	queue *sqlstore.Queue
	users int // guarded by scopes.mu
}

// scopes are the scopes in use.
type scopes struct {
	mu     sync.Mutex
	inUse  map[string]*scope
	users  int
	closed bool
	idle   chan struct{} // closed when closed and nobody is inside
}

// enter lets somebody in, and returns the scope of an Update.
func (s *Store) enter(name string, updates bool) (*scope, error) {
	s.scopes.mu.Lock()
	defer s.scopes.mu.Unlock()
	if s.scopes.closed {
		return nil, store.ErrClosed
	}
	s.scopes.users++
	if !updates {
		return nil, nil
	}
	c := s.scopes.inUse[name]
	if c == nil {
		w := &writer{store: s, scope: name}
		c = &scope{writer: w, queue: sqlstore.NewQueue(w, sqlstore.QueueLimits{Size: batchSize, Time: batchTime})}
		s.scopes.inUse[name] = c
	}
	if c.users > s.config.MaxWaiting {
		s.scopes.users--
		return nil, away(fmt.Errorf("%d updates wait for their turn", c.users-1), retrySoon, false)
	}
	c.users++
	return c, nil
}

// leave is the end of what enter began.
func (s *Store) leave(c *scope) {
	s.scopes.mu.Lock()
	defer s.scopes.mu.Unlock()
	if c != nil {
		if c.users--; c.users == 0 {
			delete(s.scopes.inUse, c.scope)
		}
	}
	if s.scopes.users--; s.scopes.users == 0 && s.scopes.closed {
		close(s.scopes.idle)
	}
}

// shut lets nobody in any more, fails those that wait for their turn, and waits for
// the others. It reports whether this is the first call.
func (s *Store) shut() (first bool) {
	s.scopes.mu.Lock()
	first = !s.scopes.closed
	var queues []*sqlstore.Queue
	if first {
		s.scopes.closed = true
		for _, c := range s.scopes.inUse {
			queues = append(queues, c.queue)
		}
		if s.scopes.users == 0 {
			close(s.scopes.idle)
		}
	}
	s.scopes.mu.Unlock()
	for _, q := range queues {
		q.Close()
	}
	<-s.scopes.idle
	return first
}

// writer writes one scope. It implements [sqlstore.Writer].
type writer struct {
	store *Store
	scope string

	// The open transaction. Its state is saved when it is committed, outside any part
	// of it: a row that parts have locked and changed costs the server much more.
	*session
	state sqlstore.State
	isNew bool // the scope is not known to this process
}

// Begin takes a connection and the lock of the scope.
func (w *writer) Begin(ctx context.Context) error {
	_, known := w.store.known.Load(w.scope)
	w.isNew = !known
	return w.lock(ctx)
}

// lockWithin is lock for a part of the time.
func (w *writer) lockWithin(ctx context.Context, wait time.Duration) error {
	c := &w.store.config
	list := []control{
		{text: beginUpdate},
		{text: fmt.Sprintf(`SET LOCAL lock_timeout = %d`, max(1, wait.Milliseconds()))}, // 0 is no limit
		{text: fmt.Sprintf(`SET LOCAL idle_in_transaction_session_timeout = %d`, c.IdleTimeout.Milliseconds())},
		{text: fmt.Sprintf(`SET LOCAL statement_timeout = %d`, c.StatementTimeout.Milliseconds())},
	}
	if w.isNew {
		list = append(list, control{insertScope, []any{w.scope}})
	}
	list = append(list, control{lockScope, []any{w.scope}})
	conn, locked, err := w.store.begin(ctx, list...)
	if err != nil {
		return err
	}
	w.session = conn
	if w.state, err = readState(locked); err != nil {
		w.store.known.Delete(w.scope) // as after a restore: the next one makes the row
		w.Rollback()
		return away(err, retrySoon, true)
	}
	return nil
}

// readState reads the row of a scope.
func readState(r *pgconn.Result) (st sqlstore.State, err error) {
	if len(r.Rows) != 1 || len(r.Rows[0]) != 3 {
		return st, errors.New("the row of the scope is gone")
	}
	for i, n := range []*int64{&st.Position, &st.Sequence, &st.Pruned} {
		if *n, err = strconv.ParseInt(string(r.Rows[0][i]), 10, 64); err != nil {
			return st, err
		}
	}
	return st, nil
}

// Commit makes the transaction durable. It is never canceled. Where nobody can tell
// whether it was committed, it asks.
func (w *writer) Commit() error {
	conn := w.session
	defer w.end()
	if conn.failed != nil {
		return conn.failed
	}
	if !conn.wrote && !w.state.Changed() {
		return nil // nor is there a row of a new scope then
	}
	number := w.store.number.Add(1)
	var last collector
	if _, err := w.state.Save(&last, w.scope); err != nil {
		return err
	}
	last.list = append(last.list, control{putCommit, []any{w.scope, w.store.process, number}})
	if w.isNew {
		last.list = append(last.list, control{pruneCommits, []any{w.scope, w.store.process}})
	}
	sure, err := conn.commit(append(last.list, control{text: commit}))
	if !sure {
		w.end()
		err = w.resolve(number, err)
	}
	if err == nil {
		w.store.known.Store(w.scope, nil) // not before the commit: its row may be undone
	}
	return err
}

// collector is a connection that keeps what is to travel with the COMMIT. Each of its
// statements is known to write one row, by the lock.
type collector struct{ list []control }

// Exec implements [sqlstore.Conn].
func (c *collector) Exec(query string, args ...any) (int64, error) {
	c.list = append(c.list, control{query, args})
	return 1, nil
}

// Query implements [sqlstore.Conn].
func (c *collector) Query(string, func(sqlstore.Scanner) error, ...any) error {
	return errAtCommit
}

// Now implements [sqlstore.Conn].
func (c *collector) Now() (time.Time, error) { return time.Time{}, errAtCommit }

var errAtCommit = errors.New("postgres: nothing can be read while a transaction is committed")

// commit sends statements that end with COMMIT. It reports whether it is sure what
// became of it.
func (s *session) commit(list []control) (sure bool, err error) {
	data := s.conn.Conn().PgConn().CustomData()
	delete(data, warned)
	results, err := s.pipeline(list...)
	var failed *pgconn.PgError
	switch {
	case errors.As(err, &failed) && failed.SeverityUnlocalized == "ERROR" && !s.lost():
		return true, s.fail(err)
	case err != nil:
		return false, s.fail(err)
	case len(results) != len(list):
		return false, s.fail(errors.New("the server answered less than it was asked"))
	}
	if tag := results[len(results)-1].CommandTag.String(); tag != commit {
		return true, s.fail(fmt.Errorf("COMMIT was answered by %q", tag))
	}
	if data[warned] != nil {
		return false, s.fail(errors.New("the wait for a standby was canceled"))
	}
	return true, nil
}

// resolveTime is how long the outcome of a COMMIT is asked for, beside the waits that
// have bounds of their own.
const resolveTime = 30 * time.Second

// resolve finds out whether a transaction was committed: it takes the lock of the
// scope, so that the old session has ended, and looks for the number. It commits
// itself, which waits for a standby as the lost COMMIT did.
func (w *writer) resolve(number int64, cause error) error {
	for deadline, pause := time.Now().Add(w.store.resolveTime), firstPause; ; pause = min(2*pause, maxPause) {
		committed, err := w.committed(number)
		switch {
		case err == nil && committed:
			return nil
		case err == nil:
			return away(cause, retrySoon, true)
		case time.Now().After(deadline):
			return away(fmt.Errorf("%w: %w", errUnknown, errors.Join(cause, err)), retryLost, false)
		}
		time.Sleep(jitter(pause))
	}
}

// committed looks for the number of a transaction in a new session.
func (w *writer) committed(number int64) (bool, error) {
	if err := w.lock(context.Background()); err != nil {
		return false, err
	}
	defer w.end()
	found := int64(0)
	err := w.Query(findCommit, func(row sqlstore.Scanner) error { return row.Scan(&found) }, w.scope, w.store.process)
	if err != nil {
		return false, err
	}
	sure, err := w.commit([]control{{text: commit}})
	if err == nil && !sure {
		err = errUnknown
	}
	return found == number, err
}

// Rollback undoes the transaction.
func (w *writer) Rollback() { w.end() }

// end gives the connection back. What is still open is rolled back.
func (w *writer) end() {
	if w.session != nil {
		w.release()
		w.session = nil
	}
}

// Savepoint starts a part of the transaction.
func (w *writer) Savepoint() error { return w.control(savepoint) }

// Release keeps the part.
func (w *writer) Release() error { return w.control(release) }

// RollbackTo undoes the part. It fails when the connection is lost.
func (w *writer) RollbackTo() error { return w.control(rollbackTo, release) }

// control runs statements although another has failed.
func (w *writer) control(queries ...string) error {
	cause := w.failed
	list := make([]control, len(queries))
	for i, q := range queries {
		list[i].text = q
	}
	if w.lost() {
		return cause
	}
	if _, err := w.pipeline(list...); err != nil {
		return w.fail(err)
	}
	w.failed = nil
	return nil
}

// How an Update is run again.
const (
	attempts   = 4
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// jitter returns a time between a half and the whole of d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }
