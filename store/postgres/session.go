package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// session is one transaction. It takes a connection of the pool, and begins, with the
// first statement whose result somebody waits for; what was announced or deferred
// travels with that one, or with a later one. It implements [sqlstore.Pipeline]. It is
// used by one goroutine at a time.
type session struct {
	store *Store
	ctx   context.Context // ends the wait for a connection
	conn  *pgxpool.Conn   // nil before the first statement

	// opening begins the transaction and is nil once it has begun. opened reads the
	// last of its results.
	opening []statement
	opened  func(*result) error

	// blocked is called where the lock was not to be had in time, and reports whether to
	// try again. It may be nil.
	blocked func() bool

	queue    []statement // deferred, in order
	mark     int         // where the queue has the beginning of the part that is open; -1: it was sent
	expected []statement // reads that were announced
	found    []*result   // of those that were sent

	// failed is the first error of a statement in the transaction. What was read and
	// written up to it is of no use, so nothing runs after it.
	failed error
	unable bool // the transaction could not begin
	spoilt bool // what was deferred before the open part has failed

	// wrote reports whether the transaction changed something, and rows how many, as far as
	// it is known: a deferred statement that may write any number counts as one.
	wrote bool
	rows  int

	// view is the context of a view, and nil in an update. It ends a view between
	// two rows: to cancel a statement costs the connection.
	view context.Context

	// whole says that a view has announced all that it reads, which a long one never
	// does. It ends the transaction with its first trip, and is over then: from then on
	// there is what was found.
	whole, long, over bool
}

// errMore is the failure of a view that reads more than it has announced.
var errMore = errors.New("postgres: a view reads more than it has announced")

// newSession returns a transaction that some statements will begin.
func (s *Store) newSession(ctx context.Context, opening ...statement) *session {
	return &session{store: s, ctx: ctx, opening: opening, mark: -1}
}

// mostDeferred is how many statements wait at most for others to travel with.
const mostDeferred = 500

// Exec implements [sqlstore.Conn].
func (s *session) Exec(query string, args ...any) (n int64, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	s.changes(query, args)
	expected := s.expected // are to see what is written
	s.expected = nil
	defer func() { s.expected = expected }()
	err = s.trip(&statement{query: query, args: args}, func(r *pgconn.ResultReader) error {
		tag, err := r.Close()
		n = tag.RowsAffected()
		s.rows += int(n)
		return err
	})
	return n, err
}

// Defer implements [sqlstore.Pipeline].
func (s *session) Defer(rows int, query string, args ...any) error {
	if err := s.ready(); err != nil {
		return err
	}
	s.changes(query, args)
	if rows != sqlstore.AnyRows {
		query = s.store.guarded(query, rows)
	}
	s.rows += max(1, rows)
	s.queue = append(s.queue, statement{query: query, args: args})
	if len(s.queue) < mostDeferred {
		return nil
	}
	return s.flush()
}

// Expect implements [sqlstore.Pipeline].
func (s *session) Expect(query string, args ...any) {
	st := statement{query: query, args: args}
	if s.answer(st) == nil && !s.expects(st) {
		st.args = kept(args)
		s.expected = append(s.expected, st)
	}
}

// Expects implements [sqlstore.Pipeline].
func (s *session) Expects(query string, args ...any) bool {
	st := statement{query: query, args: args}
	return s.answer(st) != nil || s.expects(st)
}

func (s *session) expects(st statement) bool {
	return slices.ContainsFunc(s.expected, func(e statement) bool { return st.same(e) || slices.ContainsFunc(e.legs, st.same) })
}

// answer returns what was found by a read that was announced, or nil.
func (s *session) answer(st statement) *result {
	for _, r := range s.found {
		if r.of.same(st) {
			return r
		}
	}
	return nil
}

// changes drops what was found and a statement may change.
func (s *session) changes(query string, args []any) {
	s.wrote = true
	if len(s.found) == 0 {
		return
	}
	change := sqlstore.ChangeBy(query, args)
	s.found = slices.DeleteFunc(s.found, func(r *result) bool { return change.Touches(r.of.query, r.of.args) })
}

// Query implements [sqlstore.Conn].
func (s *session) Query(query string, row func(sqlstore.Scanner) error, args ...any) error {
	if err := s.ready(); err != nil {
		return err
	}
	if s.over || len(s.found)+len(s.expected) > 0 {
		st := statement{query: query, args: args}
		if !s.over && s.expects(st) {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if r := s.answer(st); r != nil {
			return s.visit(r.each(s.conn.Conn().TypeMap(), s.visitor(row)))
		}
		if s.over {
			s.failed = errMore
			return s.failed
		}
	}
	var stopped error
	err := s.trip(&statement{query: query, args: args}, func(r *pgconn.ResultReader) error {
		rows := pgx.RowsFromResultReader(s.conn.Conn().TypeMap(), r)
		defer rows.Close()
		visit := s.visitor(row)
		for stopped == nil && rows.Next() {
			stopped = visit(rows)
		}
		rows.Close()
		return rows.Err()
	})
	if err != nil {
		return err
	}
	return s.visit(stopped)
}

// askNow is the time as it is now: now() is as old as the transaction, which may have
// waited for its lock.
const askNow = `SELECT clock_timestamp()`

// ExpectNow implements [sqlstore.Pipeline].
func (s *session) ExpectNow() { s.Expect(askNow) }

// Now implements [sqlstore.Conn].
func (s *session) Now() (now time.Time, err error) {
	err = s.Query(askNow, func(row sqlstore.Scanner) error { return row.Scan(&now) })
	return now, err
}

// ExpectNothingMore implements [sqlstore.Pipeline].
func (s *session) ExpectNothingMore() { s.whole = s.view != nil && !s.long }

// visitor returns row as a function that also ends a view with its context.
func (s *session) visitor(row func(sqlstore.Scanner) error) func(sqlstore.Scanner) error {
	return func(r sqlstore.Scanner) error {
		if s.view != nil && s.view.Err() != nil {
			return s.view.Err()
		}
		return row(r)
	}
}

// visit returns what comes of the visits to the rows of a result.
func (s *session) visit(stopped error) error {
	if stopped == nil || errors.Is(stopped, sqlstore.ErrEnough) {
		return nil
	}
	return s.fail(stopped)
}

// start begins the transaction if it has not begun.
func (s *session) start() error {
	if s.opening == nil {
		return s.failed
	}
	return s.flush()
}

// flush sends what waits and waits for it.
func (s *session) flush() error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.trip(nil, nil)
}

// begins is how often a transaction is begun where the connection turns out to be
// lost: those that wait in the pool are lost together.
const begins = 3

// trip sends what waits and then a statement, if there is one, whose result read
// takes: one trip, that of the caller.
func (s *session) trip(last *statement, read func(*pgconn.ResultReader) error) error {
	if last == nil && s.whole && s.opening != nil {
		return s.once()
	}
	s.expected = together(s.expected)
	list := slices.Concat(s.opening, s.queue, s.expected)
	if last != nil {
		list = append(list, *last)
	}
	began, deferred, expected := len(s.opening), len(s.opening)+len(s.queue), len(s.opening)+len(s.queue)+len(s.expected)
	for attempt := 1; ; attempt++ {
		if s.conn == nil {
			if err := s.acquire(); err != nil {
				s.unable, s.failed = true, err
				return err
			}
		}
		if began > 0 {
			s.found = s.found[:0] // by a transaction that is lost
		}
		delivered := false
		n, err := s.exchange(list, func(i int, r *pgconn.ResultReader) error {
			if i >= expected {
				delivered = true
				return read(r)
			}
			return s.take(list[i], i == began-1, i >= deferred, r)
		})
		if err == nil {
			s.sent(began > 0)
			return nil
		}
		if n < began && sqlState(err) == codeLock && s.blocked != nil && s.ctx.Err() == nil && s.blocked() {
			s.release()
			attempt = 0
			continue
		}
		if began == 0 || delivered || !s.lost() || attempt == begins || s.ctx.Err() != nil {
			s.unable = n < began
			s.spoilt = n >= began && n-began <= s.mark
			s.sent(!s.unable)
			return s.fail(err)
		}
		s.giveUp(attempt)
	}
}

// giveUp gives up a connection that an attempt has lost.
func (s *session) giveUp(attempt int) {
	s.giveBack()
	if attempt > 1 && s.store.config.Pool == nil {
		s.store.pool.Reset() // it was not the only one
	}
}

// once sends all that a view reads. One statement has its own snapshot; several have that
// of a transaction, which ends with them.
func (s *session) once() error {
	s.expected = together(s.expected)
	list, opening := s.expected, 0
	if len(list) > 1 || !s.store.owns() { // else there is no time-out
		begin := s.opening
		if s.store.owns() {
			begin = begin[:1] // it waits for nothing
		}
		opening = len(begin)
		list = slices.Concat(begin, list, []statement{control(commit)})
	}
	for attempt := 1; ; attempt++ {
		if s.conn == nil {
			if err := s.acquire(); err != nil {
				s.failed = err
				return err
			}
		}
		s.found = s.found[:0]
		_, err := s.exchange(list, func(i int, r *pgconn.ResultReader) error {
			return s.take(list[i], false, i >= opening && i < opening+len(s.expected), r)
		})
		if err == nil {
			s.over = true
			s.sent(true)
			return nil
		}
		if !s.lost() || attempt == begins || s.ctx.Err() != nil {
			return s.fail(err)
		}
		s.giveUp(attempt)
	}
}

// take takes a result that is not the last of its trip.
func (s *session) take(st statement, opened, expected bool, r *pgconn.ResultReader) error {
	if !expected && (!opened || s.opened == nil) {
		_, err := r.Close()
		return err
	}
	kept, err := keep(st, r)
	switch {
	case err != nil:
		return err
	case opened:
		return s.opened(kept)
	case st.legs == nil:
		s.found = append(s.found, kept)
		return nil
	}
	found, err := kept.apart(s.conn.Conn().TypeMap())
	s.found = append(s.found, found...)
	return err
}

// sent forgets what was sent.
func (s *session) sent(begun bool) {
	if begun {
		s.opening = nil
	}
	s.queue, s.mark = s.queue[:0], -1
	s.expected = s.expected[:0]
}

// forget forgets what was announced and found.
func (s *session) forget() {
	s.found = s.found[:0]
	s.expected = s.expected[:0]
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
	s.forget()
	return s.failed
}

// lost reports whether the connection is closed.
func (s *session) lost() bool { return s.conn != nil && s.conn.Conn().IsClosed() }

// open reports whether the server has a transaction.
func (s *session) open() bool {
	return s.conn != nil && !s.lost() && s.conn.Conn().PgConn().TxStatus() != 'I'
}

// acquire waits for a connection of the pool.
func (s *session) acquire() error {
	limited, cancel := context.WithTimeout(s.ctx, s.store.config.AcquireTimeout)
	defer cancel()
	conn, err := s.store.pool.Acquire(limited)
	switch {
	case err == nil:
		s.conn = conn
		return nil
	case s.ctx.Err() != nil:
		return notStarted("transaction", s.ctx)
	case limited.Err() != nil:
		return away(errors.New("all connections of the pool are in use, or none can be made"), retrySoon, false)
	}
	return classify(err, true)
}

// release gives the connection back, out of any transaction. Nobody waits for what is
// rolled back.
func (s *session) release() {
	if !s.open() {
		s.giveBack()
		return
	}
	open := &session{store: s.store, conn: s.conn, failed: s.failed}
	s.conn = nil
	s.store.ending.Go(func() {
		_, _ = open.exchange([]statement{control(rollback)}, func(_ int, r *pgconn.ResultReader) error {
			_, err := r.Close()
			return err
		}) // what is not idle then does not go back
		open.giveBack()
	})
}

// giveBack gives the connection back to the pool, which keeps it only if it is idle.
func (s *session) giveBack() {
	if s.conn == nil {
		return
	}
	switch sqlState(s.failed) {
	case codeReadOnly, codeFeature, codeNoStatement, codeSameStatement:
		_ = s.conn.Conn().Close(context.Background()) // the next one would fail alike
	}
	s.conn.Release()
	s.conn = nil
	if sqlState(s.failed) == codeReadOnly {
		s.store.pool.Reset() // others lead to the same server
	}
}
