package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	batchRows = 2000
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
		c = &scope{writer: w, queue: sqlstore.NewQueue(w, sqlstore.QueueLimits{Size: batchSize, Rows: batchRows, Time: s.batchTime})}
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
	first bool // nobody has run yet
	many  bool // more than one has run
}

// Begin makes a transaction whose first statement takes the lock of the scope.
func (w *writer) Begin(ctx context.Context) error {
	_, known := w.store.known.Load(w.scope)
	w.isNew = !known
	w.lock(ctx)
	return nil
}

// lock makes a transaction that will hold the lock of the scope.
func (w *writer) lock(ctx context.Context) {
	c := &w.store.config
	opening := []statement{control(beginUpdate)}
	if !w.store.owns() {
		opening = append(opening, w.store.set(c.IdleTimeout, c.lockPart()))
	}
	if w.isNew {
		opening = append(opening, statement{query: insertScope, args: []any{w.scope}, plain: true})
	}
	w.session = w.store.newSession(ctx, append(opening, statement{query: lockScope, args: []any{w.scope}})...)
	w.state, w.first, w.many = sqlstore.State{}, true, false
	w.blocked = w.endBlock(ctx)
	w.opened = func(locked *result) (err error) {
		if w.state, err = w.readState(locked); err != nil {
			w.store.known.Delete(w.scope) // as after a restore: the next one makes the row
			err = away(err, retrySoon, true)
		}
		return err
	}
}

// current returns what the scope counts, under the lock.
func (w *writer) current() (sqlstore.State, error) {
	err := w.start()
	return w.state, err
}

// readState reads the row of the scope.
func (w *writer) readState(r *result) (st sqlstore.State, err error) {
	if len(r.rows) != 1 {
		return st, errors.New("the row of the scope is gone")
	}
	err = r.each(w.conn.Conn().TypeMap(), func(row sqlstore.Scanner) error {
		return row.Scan(&st.Position, &st.Sequence, &st.Pruned)
	})
	return st, err
}

// Commit makes the transaction durable, with what was deferred. It is never canceled.
// Where nobody can tell whether it was committed, it asks.
func (w *writer) Commit() error {
	conn := w.session
	defer w.end()
	if conn.failed != nil {
		return conn.failed
	}
	if !conn.wrote && !w.state.Changed() {
		return nil // nor is there a row of a new scope then
	}
	if err := conn.start(); err != nil {
		return err
	}
	number := w.store.number.Add(1)
	last := collector{conn}
	if _, err := w.state.Save(last, w.scope); err != nil {
		return err
	}
	conn.add(putCommit, w.scope, w.store.process, number)
	if w.isNew {
		conn.add(pruneCommits, w.scope, w.store.process)
	}
	sure, err := conn.commit()
	switch {
	case !sure:
		w.end()
		err = w.resolve(number, err)
	case err != nil && w.many:
		err = alone(err)
	}
	if err == nil {
		w.store.known.Store(w.scope, nil) // not before the commit: its row may be undone
	}
	return err
}

// collector is a connection that adds to what travels with the COMMIT: what is written
// of the row of the scope, which is locked, and of the counts, which begin with what is
// added.
type collector struct{ session *session }

// Exec implements [sqlstore.Conn].
func (c collector) Exec(query string, args ...any) (int64, error) {
	c.session.add(query, args...)
	return 1, nil
}

// Query implements [sqlstore.Conn].
func (c collector) Query(string, func(sqlstore.Scanner) error, ...any) error {
	return errAtCommit
}

// Now implements [sqlstore.Conn].
func (c collector) Now() (time.Time, error) { return time.Time{}, errAtCommit }

var errAtCommit = errors.New("postgres: nothing can be read while a transaction is committed")

// add adds to what is deferred, whatever it writes.
func (s *session) add(query string, args ...any) {
	s.queue = append(s.queue, statement{query: query, args: args})
}

// commit sends what is deferred, and COMMIT. It reports whether it is sure what became
// of it.
func (s *session) commit() (sure bool, err error) {
	data := s.conn.Conn().PgConn().CustomData()
	delete(data, warned)
	tag := ""
	n, err := s.exchange(append(s.queue, control(commit)), func(_ int, r *pgconn.ResultReader) error {
		t, err := r.Close()
		tag = t.String()
		return err
	})
	sent := len(s.queue) + 1
	s.sent(true)
	var failed *pgconn.PgError
	switch {
	case errors.As(err, &failed) && failed.SeverityUnlocalized == "ERROR" && !s.lost():
		return true, s.fail(err)
	case err != nil:
		return false, s.fail(err)
	case n != sent:
		return false, s.fail(errors.New("the server answered less than it was asked"))
	case tag != commit:
		return true, s.fail(fmt.Errorf("COMMIT was answered by %q", tag))
	case data[warned] != nil:
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
	w.lock(context.Background())
	defer w.end()
	found := int64(0)
	err := w.Query(findCommit, func(row sqlstore.Scanner) error { return row.Scan(&found) }, w.scope, w.store.process)
	if err != nil {
		return false, err
	}
	sure, err := w.commit()
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

// Rows implements [sqlstore.Writer].
func (w *writer) Rows() int {
	if w.session == nil {
		return 0
	}
	return w.rows
}

// Savepoint starts a part of the transaction, with the next statement.
func (w *writer) Savepoint() error {
	w.many = true
	w.part()
	return w.failed
}

func (w *writer) part() {
	w.forget()
	w.mark = len(w.queue)
	w.queue = append(w.queue, control(savepoint))
}

// Release keeps the part. Whether all of it could be written is known when it was
// sent.
func (w *writer) Release() error {
	if w.failed != nil {
		return w.failed
	}
	if w.mark >= 0 && w.mark == len(w.queue)-1 {
		w.queue = w.queue[:w.mark] // it has written nothing
	} else {
		w.queue = append(w.queue, control(release))
	}
	w.mark = -1
	return nil
}

// RollbackTo undoes the part. It fails when the connection is lost, or what was
// deferred before the part has failed.
func (w *writer) RollbackTo() error {
	switch {
	case w.lost() || w.unable:
		return w.failed
	case w.spoilt:
		return alone(w.failed)
	case w.mark >= 0: // the server knows nothing of it
		w.queue = w.queue[:w.mark]
	default:
		w.queue = append(w.queue[:0], control(rollbackTo), control(release))
	}
	w.forget()
	w.mark, w.failed = -1, nil
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
