package follow

import (
	"context"
	"database/sql"
	"errors"
)

// Dialect is the SQL of a database.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgresql"
)

// Database is where the tables of an application are. Tx is a transaction of its
// driver. [SQL] makes one of a *sql.DB, and package pgxfollow one of a pool of
// pgx.
type Database[Tx any] interface {
	// Dialect says which SQL the database speaks.
	Dialect() Dialect

	// InTx runs fn in a transaction. It commits when fn returns nil; when fn
	// returns an error, or panics, nothing stays.
	InTx(ctx context.Context, fn func(Tx) error) error

	// Exec runs a statement and returns how many rows it has written.
	Exec(ctx context.Context, tx Tx, query string, args ...any) (rows int64, err error)

	// Row reads the first row of a query into dest, and reports whether there is
	// one.
	Row(ctx context.Context, tx Tx, dest []any, query string, args ...any) (found bool, err error)
}

// SQL returns the database behind a *sql.DB, with any driver of the dialect. In
// SQLite one transaction writes at a time: set a busy_timeout.
func SQL(db *sql.DB, dialect Dialect) Database[*sql.Tx] { return sqlDatabase{db, dialect} }

type sqlDatabase struct {
	db      *sql.DB
	dialect Dialect
}

var _ Database[*sql.Tx] = sqlDatabase{}

// Dialect implements Database.
func (s sqlDatabase) Dialect() Dialect { return s.dialect }

// InTx implements Database.
func (s sqlDatabase) InTx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Exec implements Database.
func (s sqlDatabase) Exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Row implements Database.
func (s sqlDatabase) Row(ctx context.Context, tx *sql.Tx, dest []any, query string, args ...any) (bool, error) {
	err := tx.QueryRowContext(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
