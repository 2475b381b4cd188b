// Package sqlite is a store in one SQLite file, in pure Go.
//
// # Durability
//
// An Update returns when its transaction is on the disk: the file is in WAL
// mode and every commit waits for it (synchronous=FULL). A process that is
// killed, or a machine that loses power, loses nothing that was acknowledged.
// [Normal] gives up the second half of that for speed.
//
// Updates that wait for each other are committed together, so that many clients
// share the cost of one commit. One that fails, or panics, takes nothing with
// it but its own writes.
//
// # Files
//
// Beside the file at Config.Path there are two more while the store is open,
// with -wal and -shm appended to the name. Copy or move them together, or
// better use the backup of the sqlite3 command. They must be on a local disk. A
// View that runs for long lets the first of them grow.
//
// # Processes
//
// One process should write. Others may open the same file; each waits for the
// write lock at most Config.BusyTimeout and then fails with a
// [*store.UnavailableError]. So does a full disk, which leaves what was stored
// as it is.
//
// # A host's own tables
//
// With Config.DB the store lives in a database of the host, in tables whose
// names begin with Config.Prefix, and Config.InTx writes the host's own tables in
// the transaction of the change. The store then holds 1 + Config.Readers +
// Config.Scans connections of the pool and puts the database into WAL mode.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"runtime"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/nested"
	"github.com/scimjit/provision/store/internal/sqlstore"
	"github.com/scimjit/provision/store/internal/watch"
)

// Config says where a store is and how it behaves. Either Path or DB is
// required; all other fields work as they are.
type Config struct {
	// Path is the name of the database file, made when it does not exist. It is
	// a file name and not a URI. There is no ":memory:"; package memory is a
	// store without a file.
	Path string

	// DB is an existing database to use instead of Path. Its driver must be
	// modernc.org/sqlite, or one whose errors have a Code method that returns
	// the result code. It stays open when the store is closed. Its pool must
	// allow at least 2 + Readers + Scans connections.
	DB *sql.DB

	// Prefix stands before the name of every table and index. It consists of
	// ASCII letters, digits and underscores. Empty means "provision_".
	Prefix string

	// Synchronous says when a commit counts as durable.
	Synchronous Synchronous

	// BusyTimeout bounds how long to wait for another process, or for the
	// host, that is writing to the database. 0 means 5 seconds.
	BusyTimeout time.Duration

	// Readers is how many views run at once. 0 means one for each CPU, and at
	// least 4.
	Readers int

	// Scans is how many scans run at once ([store.Store.Scan]), each on a connection
	// of its own beside the Readers. Further ones wait for their turn. 0 means one for
	// two CPUs, and at least 1: what scans take of the machine others do not get.
	Scans int

	// WALLimit is how many bytes the write-ahead log (the file with -wal at the end)
	// may have before the writer waits, for at most 200 milliseconds a second, for
	// the views that keep it from beginning anew. A view that takes longer lets it
	// grow until it ends. 0 means 64 MiB.
	WALLimit int64

	// InTx, when not nil, is called at the end of every Update that appended
	// events, inside its transaction. What it writes commits with the change;
	// its error undoes the change and is what Update returns. It must not keep tx.
	InTx func(ctx context.Context, tx Tx, events []store.Event) error

	// Now tells the time of the store ([store.Clock]); nil means time.Now, which
	// processes on one machine have in common. Who gives an engine another clock gives
	// it to its store, too.
	Now func() time.Time

	// NoMigrate makes Open fail where it would change the schema. Use it when
	// the migrations are applied by a tool, see [Migrations].
	NoMigrate bool

	// Migrating, when not nil, is called before each statement of a migration, in its
	// transaction: to log the progress, or to refuse it. Its error undoes all migrations
	// and is what Open returns.
	Migrating func(store.Migration) error
}

// Tx is the part of [*database/sql.Tx] that Config.InTx may use.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Synchronous is how a commit treats the disk.
type Synchronous uint8

const (
	// Full makes every commit wait for the disk.
	Full Synchronous = iota

	// Normal lets the last commits be lost when the machine loses power or the
	// operating system fails. The database stays consistent.
	Normal
)

// Limits of a batch of Updates. The time and the rows keep one long Update from delaying
// the answers of many others.
const (
	batchSize = 256
	batchRows = 2000
	batchTime = 20 * time.Millisecond
)

const (
	defaultBusyTimeout = 5 * time.Second
	leastReaders       = 4
)

// Store is a store in an SQLite database. It implements [store.Store].
type Store struct {
	config     Config
	migrations fs.FS
	free       func(directory string) (bytes int64, known bool) // room on the disk
	db         *sql.DB
	readers    *pool
	scans      *pool
	writer     *writer
	queue      *sqlstore.Queue
	scopes     sync.Map // string to int64: the numbers of scopes, which never change
	board      watch.Board
	places     sqlstore.Places
}

var _ store.SerialStore = (*Store)(nil)

// Open opens a store and migrates its schema. A migration that writes a table anew needs
// twice the size of the file free on the disk, and is refused before it begins where that
// is known to be missing. A file that is not an SQLite
// database, that belongs to something else, or that a newer version of this
// package made is an error, and so is one that cannot be written. Two processes
// may open the same new file at once.
func Open(ctx context.Context, config Config) (*Store, error) {
	return open(ctx, config, Migrations())
}

// open is Open with other migrations.
func open(ctx context.Context, config Config, migrations fs.FS) (*Store, error) {
	return openOn(ctx, config, migrations, freeBytes)
}

// openOn is open on a disk with so much room.
func openOn(ctx context.Context, config Config, migrations fs.FS, free func(string) (int64, bool)) (*Store, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Store{config: config, migrations: migrations, free: free, db: config.DB}
	if s.db == nil {
		s.db = openFile(config.Path)
	}
	err := s.open(ctx)
	switch {
	case err == nil:
		return s, nil
	case config.DB != nil:
		return nil, fmt.Errorf("sqlite: open: %w", err)
	default:
		return nil, fmt.Errorf("sqlite: open %q: %w", config.Path, errors.Join(err, s.db.Close()))
	}
}

var validPrefix = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() error {
	if c.BusyTimeout == 0 {
		c.BusyTimeout = defaultBusyTimeout
	}
	if c.Readers <= 0 {
		c.Readers = max(leastReaders, runtime.GOMAXPROCS(0))
	}
	if c.Scans <= 0 {
		c.Scans = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Prefix == "" {
		c.Prefix = sqlstore.DefaultPrefix
	}
	if !validPrefix.MatchString(c.Prefix) {
		return fmt.Errorf("sqlite: the prefix %q is not made of letters, digits and underscores", c.Prefix)
	}
	if c.DB != nil {
		if n := c.DB.Stats().MaxOpenConnections; n > 0 && n < c.Readers+c.Scans+2 {
			return fmt.Errorf("sqlite: a pool of %d connections is too small for %d readers, %d scans, a writer and the host", n, c.Readers, c.Scans)
		}
		return nil
	}
	switch c.Path {
	case "":
		return errors.New("sqlite: neither Path nor DB is set")
	case ":memory:", "file::memory:":
		return errors.New("sqlite: there is no store in memory here; use package memory")
	}
	return nil
}

func (s *Store) open(ctx context.Context) error {
	timeout := s.config.BusyTimeout
	var conn *session
	err := retry(ctx, timeout, func() (err error) {
		conn, err = openSession(ctx, s.db, s.config, forWriting)
		return err
	})
	if err != nil {
		return err
	}
	s.writer = &writer{session: conn, timeout: timeout}
	if err := retry(ctx, timeout, func() error { return s.prepare(ctx) }); err != nil {
		conn.close()
		return err
	}
	s.queue = sqlstore.NewQueue(s.writer, sqlstore.QueueLimits{Size: batchSize, Rows: batchRows, Time: batchTime})
	reading := func(ctx context.Context) (*session, error) { return openSession(ctx, s.db, s.config, forReading) }
	s.readers = newPool("view", s.config.Readers, reading)
	s.scans = newPool("scan", s.config.Scans, reading)
	return nil
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.read(ctx, s.readers, scope, func(r *sqlstore.Reader) error { return fn(nested.Mark(ctx, s), r) })
}

// Scan implements [store.Store]. It reads one snapshot, memberships included.
func (s *Store) Scan(ctx context.Context, scope string, q store.Query) (page store.Page, err error) {
	if err := s.usable(ctx); err != nil {
		return page, err
	}
	err = s.read(ctx, s.scans, scope, func(r *sqlstore.Reader) (err error) {
		page, err = r.Scan(ctx, q)
		return err
	})
	return page, err
}

// read runs fn on a snapshot of a scope, with a session of a pool.
func (s *Store) read(ctx context.Context, sessions *pool, scope string, fn func(*sqlstore.Reader) error) error {
	conn, err := sessions.get(ctx)
	if err != nil {
		return err
	}
	defer sessions.put(conn)
	if err := conn.begin(ctx, beginRead); err != nil {
		return err
	}
	defer conn.rollback()
	id, err := s.findScope(conn, scope)
	if err != nil {
		return err
	}
	reader := sqlstore.NewReader(conn, id)
	defer reader.End()
	reader.Remember(&s.places)
	if err := fn(reader); err != nil {
		return err
	}
	return conn.failed
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	var tx *sqlstore.Tx
	err := s.queue.Do(ctx, func() (err error) {
		tx, err = s.update(ctx, scope, fn)
		return err
	})
	if err == nil {
		s.scopes.LoadOrStore(scope, tx.Scope()) // not before the commit: its row may be undone
		if events := tx.Appended(); len(events) > 0 {
			s.board.Tell(scope, events, tx.Put())
		}
	}
	return err
}

// update runs fn in the open transaction. From here on the end of the caller's
// context changes nothing: others commit in the same transaction.
func (s *Store) update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) (*sqlstore.Tx, error) {
	conn := s.writer.session
	conn.failed = nil
	id, known := s.knownScope(scope)
	if !known {
		var err error
		if id, err = makeScope(conn, scope); err != nil {
			return nil, err
		}
	}
	tx := sqlstore.NewLazyTx(conn, id, func() (sqlstore.State, error) { return s.writer.state(id) })
	defer tx.End()
	inside := nested.Mark(context.WithoutCancel(ctx), s)
	if err := fn(inside, tx); err != nil {
		return nil, err
	}
	if conn.failed != nil {
		return nil, conn.failed
	}
	if events := tx.Appended(); s.config.InTx != nil && len(events) > 0 {
		host := &hostTx{conn: conn.conn}
		defer host.end()
		if err := s.config.InTx(inside, host, values(events)); err != nil {
			return nil, err
		}
	}
	s.writer.keep(id, tx.State())
	return tx, nil
}

// values returns copies, so that a host cannot change what was stored.
func values(events []*store.Event) []store.Event {
	list := make([]store.Event, len(events))
	for i, e := range events {
		list[i] = *e
	}
	return list
}

// Waiting returns how many Updates wait for their turn: a measure of load.
func (s *Store) Waiting() int {
	if !s.opened() {
		return 0
	}
	return s.queue.Waiting()
}

// Awaited implements [store.SerialStore].
func (s *Store) Awaited() bool { return s.Waiting() > 0 }

// Ping implements [store.Store].
func (s *Store) Ping(ctx context.Context) error {
	return s.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		_, err := r.IsMember("ping", "ping") // reads the file
		return err
	})
}

// Close implements [store.Store]. It waits for the transactions that run.
func (s *Store) Close() error {
	if !s.opened() {
		return errNoStore
	}
	s.queue.Close()
	if !s.readers.close() {
		return nil
	}
	s.scans.close()
	s.writer.close()
	if s.config.DB != nil {
		return nil
	}
	return s.db.Close()
}

// errNoStore is the error of a nil Store, and of one that Open did not return.
var errNoStore = errors.New("sqlite: there is no store: make one with Open")

func (s *Store) opened() bool { return s != nil && s.queue != nil }

// usable reports why no transaction can begin.
func (s *Store) usable(ctx context.Context) error {
	if !s.opened() {
		return errNoStore
	}
	return nested.Refuse(ctx, s)
}
