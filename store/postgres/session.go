package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// session is a connection of the pool for one transaction. It implements
// [sqlstore.Conn]. It is used by one goroutine at a time.
type session struct {
	store *Store
	conn  *pgxpool.Conn

	// failed is the first error of a statement in the transaction. What was read and
	// written up to it is of no use, so nothing runs after it.
	failed error

	// wrote reports whether the transaction changed something.
	wrote bool

	// view is the context of a view, and nil in an update. It ends a view between
	// two rows: to cancel a statement costs the connection.
	view context.Context
}

// Exec implements [sqlstore.Conn].
func (s *session) Exec(query string, args ...any) (int64, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	ctx, cancel := s.store.wire()
	defer cancel()
	text := s.store.rewrite(query)
	s.store.tell(text, args)
	s.wrote = true
	tag, err := s.conn.Exec(ctx, text, s.store.arguments(args)...)
	if err != nil {
		return 0, s.fail(err)
	}
	return tag.RowsAffected(), nil
}

// Query implements [sqlstore.Conn].
func (s *session) Query(query string, row func(sqlstore.Scanner) error, args ...any) error {
	if err := s.ready(); err != nil {
		return err
	}
	ctx, cancel := s.store.wire()
	defer cancel()
	text := s.store.rewrite(query)
	s.store.tell(text, args)
	s.wrote = s.wrote || !strings.HasPrefix(text, "SELECT")
	rows, err := s.conn.Query(ctx, text, s.store.arguments(args)...)
	if err != nil {
		return s.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		if s.view != nil && s.view.Err() != nil {
			return s.fail(s.view.Err())
		}
		if err := row(rows); errors.Is(err, sqlstore.ErrEnough) {
			break
		} else if err != nil {
			return s.fail(err)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return s.fail(err)
	}
	return nil
}

// askNow is the time as it is now: now() is as old as the transaction, which may have
// waited for its lock.
const askNow = `SELECT clock_timestamp()`

// Now implements [sqlstore.Conn].
func (s *session) Now() (now time.Time, err error) {
	err = s.Query(askNow, func(row sqlstore.Scanner) error { return row.Scan(&now) })
	return now, err
}

// ready returns why no statement may run.
func (s *session) ready() error {
	if s.failed == nil && s.view != nil && s.view.Err() != nil {
		return s.fail(s.view.Err())
	}
	return s.failed
}

func (s *session) fail(err error) error {
	if s.view != nil && s.view.Err() != nil && errors.Is(err, s.view.Err()) {
		s.failed = err
	} else {
		s.failed = classify(err, s.lost())
	}
	return s.failed
}

// lost reports whether the connection is closed.
func (s *session) lost() bool { return s.conn.Conn().IsClosed() }

// control is a statement whose result is not read by rows. Its parameters are texts and
// numbers.
type control struct {
	text string
	args []any
}

// pipeline sends statements together, unnamed, and returns their results: one trip.
// After an error none of the later ones ran.
func (s *session) pipeline(list ...control) ([]*pgconn.Result, error) {
	ctx, cancel := s.store.wire()
	defer cancel()
	var batch pgconn.Batch
	for _, c := range list {
		text := s.store.rewrite(c.text)
		values := make([][]byte, len(c.args))
		for i, arg := range c.args {
			values[i] = fmt.Append([]byte{}, arg) // not nil, which is NULL
		}
		s.store.tell(text, c.args)
		batch.ExecParams(text, values, nil, nil, nil)
	}
	return s.conn.Conn().PgConn().ExecBatch(ctx, &batch).ReadAll()
}

// release gives the connection back, out of any transaction. One that is not idle
// then is closed.
func (s *session) release() {
	if !s.lost() && s.conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = s.pipeline(control{text: rollback}) // what is not idle then does not go back
	}
	unwanted := sqlState(s.failed) == codeReadOnly
	if unwanted {
		_ = s.conn.Conn().Close(context.Background())
	}
	s.conn.Release()
	if unwanted {
		s.store.pool.Reset() // others lead to the same server
	}
}

// rewritten returns a statement as PostgreSQL has it: with the names of the tables,
// and with numbered parameters. No statement has a question mark that is none.
func rewritten(query, tables string) string {
	parts := strings.Split(sqlstore.Rewrite(query, tables), "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// rewrite is rewritten, once for each statement.
func (s *Store) rewrite(query string) string {
	if text, ok := s.texts.Load(query); ok {
		return text.(string)
	}
	text := rewritten(query, s.config.tables())
	if s.kept.Add(1) <= maxTexts {
		s.texts.Store(query, text)
	}
	return text
}

// maxTexts is how many statements are remembered. There are fewer, but for those that
// are put together.
const maxTexts = 1000

// arguments adds how to send a statement. A nil list would be NULL, which nothing is
// equal to and nothing differs from.
func (s *Store) arguments(args []any) []any {
	out := make([]any, 0, len(args)+1)
	if s.unnamed {
		out = append(out, pgx.QueryExecModeExec)
	}
	for _, arg := range args {
		switch list := arg.(type) {
		case []string:
			if list == nil {
				arg = []string{}
			}
		case []int64:
			if list == nil {
				arg = []int64{}
			}
		}
		out = append(out, arg)
	}
	return out
}

// wireMargin is how much longer than the server a client waits: its error says more.
const wireMargin = 5 * time.Second

// wire returns the context of what is sent. It does not end with that of a caller, as
// that would cost the connection, but a server that is gone holds nobody for ever.
func (s *Store) wire() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.config.StatementTimeout+wireMargin)
}

// tell tells a test what is sent.
func (s *Store) tell(text string, args []any) {
	if s.sent != nil {
		s.sent(text, args)
	}
}

// acquire waits for a connection of the pool.
func (s *Store) acquire(ctx context.Context) (*session, error) {
	limited, cancel := context.WithTimeout(ctx, s.config.AcquireTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(limited)
	switch {
	case err == nil:
		return &session{store: s, conn: conn}, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, away(errors.New("all connections of the pool are in use, or none can be made"), retrySoon, false)
	}
	return nil, classify(err, true)
}

// begins is how often a transaction is begun where the connection turns out to be
// lost: those that wait in the pool are lost together.
const begins = 3

// begin begins a transaction by some statements and returns the result of the last.
func (s *Store) begin(ctx context.Context, list ...control) (*session, *pgconn.Result, error) {
	for attempt := 1; ; attempt++ {
		conn, err := s.acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		results, err := conn.pipeline(list...)
		if err == nil && len(results) == len(list) {
			return conn, results[len(list)-1], nil
		}
		if err == nil {
			err = errors.New("the server answered less than it was asked")
		}
		lost := conn.lost()
		err = conn.fail(err)
		conn.release()
		if !lost || attempt == begins || ctx.Err() != nil {
			return nil, nil, err
		}
		if attempt > 1 && s.config.Pool == nil {
			s.pool.Reset() // it was not the only one
		}
	}
}
