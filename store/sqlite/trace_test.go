package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	modernc "modernc.org/sqlite"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// trace sees every statement that runs, and may make it fail.
type trace struct {
	mu      sync.Mutex
	queries []string
	offset  int64                    // rows that were passed over, by the offsets of statements
	before  func(query string) error // nil: nothing fails
}

// passed returns how many rows statements have passed over since the last call.
func (t *trace) passed() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.offset
	t.offset = 0
	return n
}

// bound takes the arguments of a statement.
func (t *trace) bound(query string, args []driver.NamedValue) {
	if strings.HasSuffix(query, "OFFSET ?") {
		n, _ := args[len(args)-1].Value.(int64)
		t.mu.Lock()
		t.offset += n
		t.mu.Unlock()
	}
}

func (t *trace) run(query string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queries = append(t.queries, query)
	if t.before != nil {
		return t.before(query)
	}
	return nil
}

// failOn makes the statements that start with a text fail, or none of them for
// a nil error.
func (t *trace) failOn(start string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before = nil; err == nil {
		return
	}
	t.before = func(query string) error {
		if strings.HasPrefix(query, start) {
			return err
		}
		return nil
	}
}

// failing reports whether some statements fail.
func (t *trace) failing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.before != nil
}

// take returns the statements since the last call.
func (t *trace) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	queries := t.queries
	t.queries = nil
	return queries
}

// work returns statements without those that set up connections and that start
// and end transactions.
func work(queries []string) []string {
	return slices.DeleteFunc(queries, func(q string) bool {
		first, _, _ := strings.Cut(q, " ")
		return slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA"}, first)
	})
}

// count returns how many statements start with a text.
func count(queries []string, start string) (n int) {
	for _, q := range queries {
		if strings.HasPrefix(q, start) {
			n++
		}
	}
	return n
}

// openTraced opens a store in a file whose statements are traced. Pragmas run on
// each of its connections first.
func openTraced(t *testing.T, config sqlite.Config, pragmas ...string) (*sqlite.Store, *trace) {
	t.Helper()
	tr := &trace{}
	config.DB = openHost(t, filepath.Join(t.TempDir(), "store.db"), tr, pragmas...)
	s, err := sqlite.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	tr.take()
	return s, tr
}

// openHost opens a database as a host would.
func openHost(t *testing.T, path string, tr *trace, pragmas ...string) *sql.DB {
	t.Helper()
	base, err := modernc.NewConnector(path)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(&connector{base, tr, pragmas})
	t.Cleanup(func() { _ = db.Close() })
	return db
}

type connector struct {
	driver.Connector
	trace   *trace
	pragmas []string
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	base, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := base.(fullConn)
	if !ok {
		return nil, fmt.Errorf("%T lacks methods", base)
	}
	for _, pragma := range c.pragmas {
		if _, err := full.ExecContext(ctx, "PRAGMA "+pragma, nil); err != nil {
			return nil, err
		}
	}
	return &conn{full, c.trace}, nil
}

type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	IsReadOnly(string) (bool, error)
}

type conn struct {
	fullConn
	trace *trace
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	base, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	full, ok := base.(fullStmt)
	if !ok {
		return nil, fmt.Errorf("%T lacks methods", base)
	}
	return &stmt{full, c.trace, query}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.trace.run(query); err != nil {
		return nil, err
	}
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.trace.run(query); err != nil {
		return nil, err
	}
	return c.fullConn.QueryContext(ctx, query, args)
}

type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	fullStmt
	trace *trace
	query string
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.trace.run(s.query); err != nil {
		return nil, err
	}
	return s.fullStmt.ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.trace.bound(s.query, args)
	if err := s.trace.run(s.query); err != nil {
		return nil, err
	}
	return s.fullStmt.QueryContext(ctx, args)
}

// update and view run a transaction that must succeed.
func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error { return fn(tx) }); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s store.Store, fn func(r store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), benchScope, func(_ context.Context, r store.Reader) error { return fn(r) }); err != nil {
		t.Fatal(err)
	}
}
