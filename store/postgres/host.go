package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store"
)

// callHost lets Config.InTx write in the open transaction, after everything that was
// deferred.
func (w *writer) callHost(ctx context.Context, events []*store.Event) error {
	conn := w.session
	if err := conn.flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.store.config.StatementTimeout+wireMargin)
	defer cancel()
	// It has begun: the statement only makes pgx have a transaction.
	open, err := conn.conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: `SELECT`})
	if err != nil {
		return conn.fail(err)
	}
	host := &hostTx{Tx: open}
	defer host.end()
	list := make([]store.Event, len(events)) // copies, so that a host cannot change what was stored
	for i, e := range events {
		list[i] = *e
	}
	err = w.store.config.InTx(ctx, host, list)
	switch pg := conn.conn.Conn().PgConn(); {
	case err == nil && pg.IsBusy():
		err = errors.New("InTx left a result open")
	case err == nil && pg.TxStatus() != 'T':
		err = fmt.Errorf("InTx left the transaction in the state %q: it ignored an error, or ended it", pg.TxStatus())
	}
	if err == nil {
		return nil
	}
	if pg := conn.conn.Conn().PgConn(); pg.IsBusy() || pg.TxStatus() == 'I' {
		_ = conn.conn.Conn().Close(context.WithoutCancel(ctx)) // nothing of it is kept
	}
	if conn.lost() {
		return conn.fail(err)
	}
	if known := classify(err, false); runAgain(known) {
		return known
	}
	return err
}

// hostTx is the transaction of Config.InTx. It cannot be ended, and refuses to work after
// the function has returned.
type hostTx struct {
	pgx.Tx

	ended atomic.Bool
}

var (
	errHostTx  = errors.New("postgres: transaction used after the InTx function returned")
	errHostEnd = errors.New("postgres: InTx must not end the transaction, which is that of the change")
)

func (t *hostTx) end() { t.ended.Store(true) }

func (t *hostTx) usable() error {
	if t.ended.Load() {
		return errHostTx
	}
	return nil
}

// Commit implements [pgx.Tx].
func (t *hostTx) Commit(context.Context) error { return errHostEnd }

// Rollback implements [pgx.Tx].
func (t *hostTx) Rollback(context.Context) error { return errHostEnd }

// Begin implements [pgx.Tx].
func (t *hostTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	return t.Tx.Begin(ctx)
}

// Exec implements [pgx.Tx].
func (t *hostTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	if err := t.usable(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.Tx.Exec(ctx, query, args...)
}

// Query implements [pgx.Tx].
func (t *hostTx) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	return t.Tx.Query(ctx, query, args...)
}

// QueryRow implements [pgx.Tx].
func (t *hostTx) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	if err := t.usable(); err != nil {
		return failedRow{err}
	}
	return t.Tx.QueryRow(ctx, query, args...)
}

// CopyFrom implements [pgx.Tx].
func (t *hostTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	return t.Tx.CopyFrom(ctx, table, columns, rows)
}

// Prepare implements [pgx.Tx].
func (t *hostTx) Prepare(ctx context.Context, name, query string) (*pgconn.StatementDescription, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	return t.Tx.Prepare(ctx, name, query)
}

// SendBatch implements [pgx.Tx].
func (t *hostTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if t.ended.Load() {
		b = &pgx.Batch{} // its results are none
	}
	return t.Tx.SendBatch(ctx, b)
}

type failedRow struct{ err error }

// Scan implements [pgx.Row].
func (r failedRow) Scan(...any) error { return r.err }
