// Package pgxfollow lets package follow keep tables right in PostgreSQL by pgx,
// without database/sql:
//
//	users := follow.New(engine, "users-table", pgxfollow.Pool(pool), writeUser)
//
// Here writeUser is a follow.Func with a pgx.Tx. See package follow for what it
// does.
package pgxfollow

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/follow"
)

// Pool returns the database behind a pool. Transactions have the isolation that
// the database has by default; any will do.
func Pool(pool *pgxpool.Pool) follow.Database[pgx.Tx] { return database{pool} }

type database struct{ pool *pgxpool.Pool }

var _ follow.Database[pgx.Tx] = database{}

// Dialect implements follow.Database.
func (d database) Dialect() follow.Dialect { return follow.PostgreSQL }

// InTx implements follow.Database.
func (d database) InTx(ctx context.Context, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, d.pool, fn)
}

// Exec implements follow.Database.
func (d database) Exec(ctx context.Context, tx pgx.Tx, query string, args ...any) (int64, error) {
	tag, err := tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// Row implements follow.Database.
func (d database) Row(ctx context.Context, tx pgx.Tx, dest []any, query string, args ...any) (bool, error) {
	err := tx.QueryRow(ctx, query, args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
