package postgres

import (
	"context"
	"time"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// endHolder ends the session that holds the lock of a scope where its client stands
// still: the server waits for the rest of a message, or for somebody who reads the result.
// To the server it is busy then, and no time-out ends it. The row of the scope names the
// transaction that has locked it, and so nobody else is ended. A role may end its own
// sessions.
//
// A session that computes at the server is left alone, and so is one that is idle in its
// transaction, which Config.IdleTimeout ends.
const endHolder = `SELECT pg_terminate_backend(a.pid)
	FROM provision_scopes s JOIN pg_stat_activity a ON a.backend_xid = s.xmax
	WHERE s.scope = ? AND a.datname = current_database() AND a.usename = session_user
	AND a.state = 'active' AND a.wait_event_type = 'Client'
	AND a.state_change < clock_timestamp() - ?::bigint * interval '1 millisecond'`

// lockParts is in how many parts an update waits for the lock of its scope. After each
// it ends a holder that has stood still for longer than an update may compute. So
// whoever holds a lock that others wait for is ended IdleTimeout and a part of LockTimeout
// after it has stopped, however many wait.
//
// It does not find the holder of a scope that is not committed yet: nobody sees its row.
const lockParts = 3

// lockPart is how long one part is.
func (c *Config) lockPart() time.Duration {
	return max(time.Millisecond, c.LockTimeout/lockParts) // 0 is no limit
}

// endBlock returns what a session does where it has waited a part of the time: it
// reports whether to wait again.
func (w *writer) endBlock(ctx context.Context) func() bool {
	part := 0
	return func() bool {
		part++
		return part <= lockParts && (w.store.endHolder(ctx, w.scope) || part < lockParts)
	}
}

// endHolder reports whether it ended the holder of the lock of a scope. What keeps it from
// that, such as a right that was taken away, leaves the lock where it is.
func (s *Store) endHolder(ctx context.Context, scope string) (ended bool) {
	_ = s.ask(ctx, func(conn *session) error {
		return conn.Query(endHolder, func(row sqlstore.Scanner) error {
			return row.Scan(&ended)
		}, scope, s.config.IdleTimeout.Milliseconds())
	})
	return ended
}
