package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/scimjit/provision/store/internal/sqlstore"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Statements that start and end transactions.
const (
	beginRead   = `BEGIN`
	beginWrite  = `BEGIN IMMEDIATE`
	commit      = `COMMIT`
	rollback    = `ROLLBACK`
	savepoint   = `SAVEPOINT one_update`
	release     = `RELEASE one_update`
	rollbackTo  = `ROLLBACK TO one_update`
	journalMode = `PRAGMA journal_mode = WAL`
)

// purpose is what a session is for.
type purpose uint8

const (
	forReading purpose = iota
	forWriting
)

// beginWait is how long SQLite itself waits for the write lock; the writer then
// looks whether its caller still wants it, and tries again.
const beginWait = 25 * time.Millisecond

// session is a connection that is kept, with the statements prepared on it. It
// implements [sqlstore.Conn]. It is used by one goroutine at a time.
type session struct {
	conn       *sql.Conn
	prefix     string
	now        func() time.Time
	statements map[string]*sql.Stmt // by their text before it was rewritten

	// failed is the first error of a statement in the transaction. What was
	// read and written up to it is of no use, so nothing runs after it.
	failed error

	// view is the context of a view, and nil in an update. It ends a view
	// between two statements: to interrupt one costs a goroutine for each.
	view context.Context

	rows int // that were written since the transaction began
}

// openFile returns the database in a file. Nothing is opened yet.
func openFile(path string) *sql.DB {
	path = filepath.ToSlash(path)
	if filepath.IsAbs(path) && !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_error_rc=1")
	if err != nil {
		panic(err) // only for a driver that does not exist
	}
	return db
}

// openSession takes a connection for good and sets it up.
func openSession(ctx context.Context, db *sql.DB, config Config, p purpose) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, classify(err)
	}
	s := &session{conn: conn, prefix: config.Prefix, now: config.Now, statements: make(map[string]*sql.Stmt)}
	for _, pragma := range pragmas(config, p) {
		if _, err := conn.ExecContext(ctx, pragma); err != nil {
			s.close()
			return nil, classify(err)
		}
	}
	return s, nil
}

func pragmas(config Config, p purpose) []string {
	wait, pages, extra := config.BusyTimeout, 8<<10, `PRAGMA query_only = 1`
	if p == forWriting {
		wait, pages, extra = min(wait, beginWait), 32<<10, `PRAGMA synchronous = FULL`
		if config.Synchronous == Normal {
			extra = `PRAGMA synchronous = NORMAL`
		}
	}
	return []string{
		fmt.Sprintf(`PRAGMA busy_timeout = %d`, wait.Milliseconds()),
		fmt.Sprintf(`PRAGMA cache_size = -%d`, pages), // kibibytes
		`PRAGMA temp_store = MEMORY`,
		`PRAGMA foreign_keys = ON`,
		`PRAGMA secure_delete = ON`, // what was deleted or replaced is overwritten in the file
		extra,
	}
}

// close gives the connection up. It does not go back to the pool, whose other
// users expect one that is not set up.
func (s *session) close() {
	for _, stmt := range s.statements {
		_ = stmt.Close()
	}
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
}

// Exec implements [sqlstore.Conn].
func (s *session) Exec(query string, args ...any) (int64, error) {
	n, err := s.run(query, args...)
	s.rows += int(n)
	return n, err
}

// run is Exec for statements that write no rows, too, of which SQLite says how many the
// one before has written.
func (s *session) run(query string, args ...any) (int64, error) {
	stmt, err := s.prepare(query) //nolint:sqlclosecheck // kept with the connection, see close
	if err != nil {
		return 0, err
	}
	bind(args)
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, s.fail(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, s.fail(err)
	}
	return n, nil
}

// Query implements [sqlstore.Conn].
func (s *session) Query(query string, row func(sqlstore.Scanner) error, args ...any) error {
	stmt, err := s.prepare(query) //nolint:sqlclosecheck // kept with the connection, see close
	if err != nil {
		return err
	}
	bind(args)
	rows, err := stmt.QueryContext(context.Background(), args...)
	if err != nil {
		return s.fail(err)
	}
	defer func() { _ = rows.Close() }() // its error is that of the last step
	for rows.Next() {
		if err := row(rows); errors.Is(err, sqlstore.ErrEnough) {
			return nil
		} else if err != nil {
			return s.fail(err)
		}
	}
	if err := rows.Err(); err != nil {
		return s.fail(err)
	}
	return nil
}

// Now implements [sqlstore.Conn].
func (s *session) Now() (time.Time, error) { return s.now(), nil }

// prepare returns the statement of a query, prepared once. Statements run
// without a context; see view.
func (s *session) prepare(query string) (*sql.Stmt, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	if s.view != nil && s.view.Err() != nil {
		return nil, s.fail(s.view.Err())
	}
	if stmt, ok := s.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.Background(), lists.Replace(sqlstore.Rewrite(query, s.prefix)))
	if err != nil {
		return nil, s.fail(err)
	}
	s.statements[query] = stmt
	return stmt, nil
}

func (s *session) fail(err error) error {
	s.failed = classify(err)
	return s.failed
}

// begin starts a transaction. A view ends with its context, an update does not.
func (s *session) begin(ctx context.Context, how string) error {
	s.failed, s.view, s.rows = nil, nil, 0
	if how == beginRead {
		s.view = ctx
	}
	_, err := s.run(how)
	return err
}

// rollback ends the transaction if there is one.
func (s *session) rollback() {
	s.failed, s.view = nil, nil
	_, _ = s.run(rollback) // it fails where SQLite has rolled back by itself
}
