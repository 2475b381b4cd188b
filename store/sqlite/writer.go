package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/store"
)

// writer is the one connection that writes. It implements [sqlstore.Writer].
type writer struct {
	*session
	timeout time.Duration
	wal     walLog
	states  states
}

// Begin takes the write lock of the database.
func (w *writer) Begin(ctx context.Context) error {
	w.states.looked = false
	return retry(ctx, w.timeout, func() error { return w.begin(ctx, beginWrite) })
}

// retryPause keeps retry from spinning where SQLite does not wait by itself.
const retryPause = time.Millisecond

// retry calls fn again while the database is busy, until a timeout or the end of
// ctx.
func retry(ctx context.Context, timeout time.Duration, fn func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := fn()
		if !isBusy(err) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryPause):
		}
	}
}

// Commit makes the transaction durable.
func (w *writer) Commit() error {
	w.failed = nil
	err := w.saveStates()
	if err == nil {
		_, err = w.run(commit)
	}
	if err != nil {
		w.Rollback()
		return err
	}
	w.boundWAL()
	return nil
}

// Rollback undoes the transaction.
func (w *writer) Rollback() {
	w.states.forget()
	w.rollback()
}

// Savepoint starts a part of the transaction.
func (w *writer) Savepoint() error { return w.control(savepoint) }

// Release keeps the part.
func (w *writer) Release() error { return w.control(release) }

// RollbackTo undoes the part. It fails when an error such as a full disk made
// SQLite roll back everything: then there is no savepoint.
func (w *writer) RollbackTo() error {
	if err := w.control(rollbackTo); err != nil {
		return err
	}
	return w.control(release)
}

// Rows implements [sqlstore.Writer]. What a host writes by Config.InTx is not counted.
func (w *writer) Rows() int { return w.rows }

// control runs a statement although another has failed.
func (w *writer) control(query string) error {
	cause := w.failed
	w.failed = nil
	if _, err := w.run(query); err != nil {
		return errors.Join(cause, err)
	}
	return nil
}

// hostTx is the [Tx] of Config.InTx. It refuses to work after its end.
type hostTx struct {
	conn  *sql.Conn
	ended atomic.Bool
}

var errHostTx = errors.New("sqlite: transaction used after the InTx function returned")

func (t *hostTx) end() { t.ended.Store(true) }

func (t *hostTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if t.ended.Load() {
		return nil, errHostTx
	}
	return t.conn.ExecContext(ctx, query, args...)
}

func (t *hostTx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.ended.Load() {
		return nil, errHostTx
	}
	return t.conn.PrepareContext(ctx, query)
}

func (t *hostTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if t.ended.Load() {
		return nil, errHostTx
	}
	return t.conn.QueryContext(ctx, query, args...)
}

func (t *hostTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(ctx, query, args...)
}

// isBusy reports whether err says that somebody else holds a lock.
func isBusy(err error) bool {
	var unavailable *store.UnavailableError
	return errors.As(err, &unavailable) && primaryCode(err) != codeFull
}
