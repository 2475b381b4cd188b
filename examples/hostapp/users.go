package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// users is the table of the application, in a database of its own.
type users struct{ db *sql.DB }

const usersSchema = `
CREATE TABLE IF NOT EXISTS users (
	connection TEXT NOT NULL,
	account    TEXT NOT NULL,    -- id of the account
	userName   TEXT NOT NULL,
	email      TEXT NOT NULL,
	active     INTEGER NOT NULL, -- may log in
	siteAdmin  INTEGER NOT NULL,
	version    INTEGER NOT NULL, -- of the account
	sequence   INTEGER NOT NULL, -- of the event that wrote the row
	changes    INTEGER NOT NULL, -- how many events did so
	PRIMARY KEY (connection, account)
) STRICT;
CREATE TABLE IF NOT EXISTS fences (
	connection TEXT PRIMARY KEY,
	fence      INTEGER NOT NULL  -- the greatest that was seen
) STRICT`

func openUsers(ctx context.Context, path string) (*users, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, usersSchema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &users{db}, nil
}

func (u *users) close() error { return u.db.Close() }

// apply takes one event. It is idempotent: of an event that comes again nothing
// is written, as its sequence is not greater than that of the row.
func (u *users) apply(ctx context.Context, d provision.Delivery) (err error) {
	ev := d.Event
	if ev.Account == nil {
		return nil // about a group, the connection or a credential
	}
	tx, err := u.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if err := checkFence(ctx, tx, ev.Connection, d.Fence); err != nil {
		return err
	}
	// A deleted account keeps its row, without a name, so that an older event
	// that comes again does not bring it back.
	a := d.Account // as it is by now, which may be later than the event
	_, err = tx.ExecContext(ctx, `
		INSERT INTO users (connection, account, userName, email, active, siteAdmin, version, sequence, changes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (connection, account) DO UPDATE SET
			userName = excluded.userName, email = excluded.email, active = excluded.active,
			siteAdmin = excluded.siteAdmin, version = excluded.version,
			sequence = excluded.sequence, changes = changes + 1
		WHERE excluded.sequence > sequence`,
		ev.Connection, a.ID, a.UserName, a.Email, a.Status == policy.StatusActive, a.SiteAdmin, a.Version, ev.Sequence)
	if err != nil {
		return err
	}
	return tx.Commit()
}

// checkFence refuses a delivery whose lease has gone to another process.
func checkFence(ctx context.Context, tx *sql.Tx, connection string, fence int64) error {
	res, err := tx.ExecContext(ctx, `
		INSERT INTO fences (connection, fence) VALUES (?, ?)
		ON CONFLICT (connection) DO UPDATE SET fence = excluded.fence WHERE excluded.fence >= fence`,
		connection, fence)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("fence %d of connection %q is stale", fence, connection)
}

// progress returns how many users the table has, and the last event it took.
func (u *users) progress(ctx context.Context, connection string) (count int, sequence int64, err error) {
	err = u.db.QueryRowContext(ctx, `SELECT count(*), coalesce(max(sequence), 0) FROM users WHERE connection = ?`,
		connection).Scan(&count, &sequence)
	return count, sequence, err
}
