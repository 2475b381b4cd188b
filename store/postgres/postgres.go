// Package postgres is a store in PostgreSQL, for one process or many.
//
// # Durability
//
// An Update returns when its transaction is committed, by the settings of the server:
// with synchronous_commit as it is by default, and a synchronous standby where there
// is one, nothing that was acknowledged is lost. A connection that is lost in the
// middle of a COMMIT leaves no doubt: the store finds out what became of it.
//
// Updates of one scope wait for each other in the process, without a connection, and
// are committed together when several wait. Between processes the lock of a row keeps
// them apart.
//
// # Processes
//
// Any number of processes may share a database. One that stops while it holds the lock
// of a scope is cut off after Config.IdleTimeout: by the server, or, where the server
// waits for the rest of a message or for somebody to read, by those who wait for the lock.
// Others write within 10 seconds, as the time-outs are. What cannot be done now,
// because the server is away or busy or somebody holds a lock, fails with an
// [*store.UnavailableError]. Nothing is half-written then.
//
// # Round trips
//
// A transaction begins with its first read, and what was announced by Expect comes with
// it. Writes wait for the next read, or for the COMMIT. So most requests wait for the
// server one to four times, whatever they read and write. Nobody waits for the end of a
// transaction that has written nothing.
//
// # A host's own tables
//
// With Config.InTx a host whose tables are in the same database writes them in the
// transaction of the change: each event counts for them exactly once. Config.Pool is then
// mostly the host's own.
//
// # Poolers
//
// The store needs no state of a session, so that it works through pgbouncer in
// transaction mode. It notices a pooler when it is opened, and then prepares no
// statements.
//
// # Partitions
//
// Everything belongs to one scope, the id of a connection, and every key begins with
// it. Config.Partitions makes the tables partitioned by it, which is also how engines
// that shard PostgreSQL spread them.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/nested"
	"github.com/scimjit/provision/store/internal/sqlstore"
	"github.com/scimjit/provision/store/internal/watch"
)

// Store is a store in a PostgreSQL database. It implements [store.Store].
type Store struct {
	config     Config
	migrations fs.FS
	pool       *pgxpool.Pool
	unnamed    bool           // no statement is prepared
	scans      chan struct{}  // one for each scan that may run
	waiting    atomic.Int64   // Updates that have not returned
	ending     sync.WaitGroup // transactions that are being rolled back
	board      watch.Board
	hints      *hints // nil without Config.Notify
	scopes     scopes
	places     sqlstore.Places

	process string       // names this Store in the table of commits
	number  atomic.Int64 // of the transaction committed last
	known   sync.Map     // scope to nothing: those that have a row
	told    sync.Map     // scope to int64: the last event that this Store appended
	texts   sync.Map     // string and guard to string: statements as they are sent
	kept    atomic.Int64 // how many texts there are

	// For tests.
	sent        func(text string, args []any)
	resolveTime time.Duration
	batchTime   time.Duration
}

var _ store.Store = (*Store)(nil)

// Open opens a store and migrates its schema. It checks that the server can be used
// for it, and its errors say what to do.
//
// A server that is starting or has too many clients is waited for, as long as ctx
// allows and a minute at most. Several processes may open the same new database at
// once.
func Open(ctx context.Context, config Config) (*Store, error) {
	return openWith(ctx, config, Migrations())
}

func openWith(ctx context.Context, config Config, migrations fs.FS) (*Store, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Store{config: config, migrations: migrations, pool: config.Pool, process: rand.Text(), resolveTime: resolveTime, batchTime: batchTime}
	s.scopes.inUse, s.scopes.idle = map[string]*scope{}, make(chan struct{})
	if s.pool == nil {
		pool, err := s.newPool(ctx)
		if err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
		s.pool = pool
	}
	if err := s.prepare(ctx); err != nil {
		if config.Pool == nil {
			s.pool.Close()
		}
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	return s, nil
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.read(ctx, "view", scope, func(r *sqlstore.Reader) error { return fn(nested.Mark(ctx, s), r) })
}

// Scan implements [store.Store]. It reads one snapshot, memberships included.
func (s *Store) Scan(ctx context.Context, scope string, q store.Query) (page store.Page, err error) {
	if err := s.usable(ctx); err != nil {
		return page, err
	}
	select {
	case s.scans <- struct{}{}:
	case <-ctx.Done():
		return page, notStarted("scan", ctx)
	}
	defer func() { <-s.scans }()
	err = s.read(ctx, "scan", scope, func(r *sqlstore.Reader) (err error) {
		page, err = r.Scan(ctx, q)
		return err
	})
	return page, err
}

func notStarted(what string, ctx context.Context) error {
	return fmt.Errorf("store: %s not started: %w", what, ctx.Err())
}

// viewIdle is how long a view may compute between two reads.
const viewIdle = time.Minute

// read runs fn on a snapshot of a scope, which is that of its first read.
func (s *Store) read(ctx context.Context, what, scope string, fn func(*sqlstore.Reader) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return notStarted(what, ctx)
	}
	if _, err := s.enter(scope, false); err != nil {
		return err
	}
	defer s.leave(nil)
	err := s.snapshot(ctx, scope, true, fn)
	if errors.Is(err, errMore) {
		err = s.snapshot(ctx, scope, false, fn)
	}
	return err
}

// snapshot runs fn once. Where it may be short, one that reads more than it has
// announced fails with errMore, whatever fn makes of it.
func (s *Store) snapshot(ctx context.Context, scope string, short bool, fn func(*sqlstore.Reader) error) error {
	conn := s.newSession(ctx, control(beginView), s.set(viewIdle, 0))
	defer conn.release()
	conn.view, conn.long = ctx, !short
	reader := sqlstore.NewReader(conn, scope)
	defer reader.End()
	reader.Remember(&s.places)
	if err := fn(reader); err != nil && !errors.Is(conn.failed, errMore) {
		return err
	}
	return conn.failed
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	defer s.waiting.Add(-1)
	s.waiting.Add(1)
	c, err := s.enter(scope, true)
	if err != nil {
		return err
	}
	defer s.leave(c)
	do := c.queue.Do
	for attempt, pause := 1, firstPause; ; attempt, pause = attempt+1, 2*pause {
		var tx *sqlstore.Tx
		err := do(ctx, func() (err error) {
			tx, err = c.run(ctx, fn)
			return err
		})
		if err == nil {
			s.tellBoard(scope, tx)
			return nil
		}
		if attempt == attempts || !runAgain(err) {
			return err
		}
		if runAlone(err) {
			do = c.queue.DoAlone
		}
		select {
		case <-ctx.Done():
			return notStarted("update", ctx)
		case <-time.After(jitter(pause)):
		}
	}
}

// run runs fn in the open transaction. From here on the end of the caller's context
// changes nothing: others commit in the same transaction.
func (w *writer) run(ctx context.Context, fn func(context.Context, store.Tx) error) (*sqlstore.Tx, error) {
	conn := w.session
	part := w.store.config.InTx != nil && w.first // what the host does may fail in it
	if part {
		w.part()
	}
	w.first = false
	tx := sqlstore.NewLazyTx(conn, w.scope, w.current)
	defer tx.End()
	inside := nested.Mark(context.WithoutCancel(ctx), w.store)
	err := fn(inside, tx)
	if events := tx.Appended(); err == nil && conn.failed == nil && w.store.config.InTx != nil && len(events) > 0 {
		err = w.callHost(inside, events)
	}
	if err == nil && conn.failed == nil && part {
		err = w.Release()
	}
	switch {
	case conn.unable && ctx.Err() == nil:
		return nil, &sqlstore.BeginError{Err: conn.failed}
	case conn.spoilt:
		return nil, alone(conn.failed)
	case conn.failed != nil:
		return nil, conn.failed // whatever fn made of it
	case err != nil:
		return nil, err
	}
	if state := tx.State(); state.Changed() { // else it may be that of a Tx that never needed it
		w.state = state
	}
	return tx, nil
}

// tellBoard tells the watchers what was committed.
func (s *Store) tellBoard(scope string, tx *sqlstore.Tx) {
	events := tx.Appended()
	if len(events) == 0 {
		return
	}
	s.told.Store(scope, events[len(events)-1].Sequence)
	s.board.Tell(scope, events, tx.Put())
	s.hints.tell()
}

// Waiting returns how many Updates have not returned: a measure of load.
func (s *Store) Waiting() int {
	if !s.opened() {
		return 0
	}
	return int(s.waiting.Load())
}

// Ping implements [store.Store].
func (s *Store) Ping(ctx context.Context) error {
	return s.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		_, err := r.IsMember("ping", "ping") // reads a table
		return err
	})
}

// Close implements [store.Store]. It waits for the transactions that run. The pool of
// the host stays open.
func (s *Store) Close() error {
	if !s.opened() {
		return errNoStore
	}
	first := s.shut()
	s.ending.Wait()
	s.hints.end()
	if first && s.config.Pool == nil {
		s.pool.Close()
	}
	return nil
}

// errNoStore is the error of a nil Store, and of one that Open did not return.
var errNoStore = errors.New("postgres: there is no store: make one with Open")

func (s *Store) opened() bool { return s != nil && s.scans != nil }

// usable reports why no transaction can begin.
func (s *Store) usable(ctx context.Context) error {
	if !s.opened() {
		return errNoStore
	}
	return nested.Refuse(ctx, s)
}
