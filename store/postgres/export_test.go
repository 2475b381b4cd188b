package postgres

import (
	"context"
	"time"
)

// Sent makes a store tell each statement that it sends, as it is sent. Call it before
// the store is used.
func Sent(s *Store, fn func(text string, args []any)) { s.sent = fn }

// Unnamed reports whether a store prepares no statements.
func Unnamed(s *Store) bool { return s.unnamed }

// ResolveTime sets how long a store asks what became of a COMMIT.
func ResolveTime(s *Store, d time.Duration) { s.resolveTime = d }

// BatchTime sets how long the updates of a batch may take.
func BatchTime(s *Store, d time.Duration) { s.batchTime = d }

// Commit begins a transaction, sends statements, whatever comes of them, and commits. It
// reports whether the store is sure what became of it.
func Commit(ctx context.Context, s *Store, before string, beside ...string) (sure bool, err error) {
	conn := s.newSession(ctx, control(beginUpdate))
	defer conn.release()
	conn.add(before)
	_ = conn.flush()
	for _, text := range beside {
		conn.add(text)
	}
	return conn.commit()
}

// Channel returns where a store sends hints.
func Channel(s *Store) string { return s.hints.channel }

// NotifyPause sets how long a store waits after a hint.
func NotifyPause(s *Store, d time.Duration) { s.hints.pause.Store(int64(d)) }

// EndHolder ends the holder of the lock of a scope, where it may.
func EndHolder(ctx context.Context, s *Store, scope string) bool { return s.endHolder(ctx, scope) }

// CheckServer is the check of what a server says of itself.
func CheckServer(version int, encoding, clientEncoding string, readOnly, standby bool, schema string) error {
	return server{version: version, encoding: encoding, clientEncoding: clientEncoding, readOnly: readOnly, standby: standby, schema: schema}.check("")
}

var (
	ErrUnknown = errUnknown

	OpenWith  = openWith
	Rewritten = rewritten
	Classify  = classify
	RunAgain  = runAgain
)

// Guarded returns what is sent for a statement that must write some number of rows.
func Guarded(query string, rows int) string { return new(Store).guarded(query, rows) }
