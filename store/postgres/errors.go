package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store"
)

// The codes of errors that are more than an error.
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeLock          = "55P03" // a lock was not to be had in time
	codeCanceled      = "57014" // by a timeout, an operator, or somebody's late cancel
	codeReadOnly      = "25006"
	codeDiskFull      = "53100"
	codeManyClients   = "53300"
	codeStarting      = "57P03"
	codeFeature       = "0A000" // here: a prepared statement whose tables were altered
	codeNoStatement   = "26000"
	codeSameStatement = "42P05"
	codeNoRight       = "42501"
	codeNoTable       = "42P01"
	codeNoColumn      = "42703"
	codeGuard         = "22012" // a division by zero, see guarded
	codeUnique        = "23505"
)

// How long a caller should wait before it tries again.
const (
	retrySoon = time.Second
	retryLost = 2 * time.Second
	retryBusy = 5 * time.Second
	retryFull = 30 * time.Second
)

// failure is an error of the database. It tells whether the whole transaction may
// be run again, of which nothing was committed.
type failure struct {
	err   error
	again bool
	alone bool // and it must have a batch of its own then
}

// Error implements error. It has the words of the server, but never a statement.
func (f *failure) Error() string { return "postgres: " + f.err.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// runAgain reports whether err says that the transaction may be run again.
func runAgain(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.again
}

// runAlone reports whether err says that the transaction may be run again in a batch of
// its own.
func runAlone(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.alone
}

// alone returns the error of a batch of which nobody knows whose it is: its updates run
// again, one by one.
func alone(err error) error {
	return &store.UnavailableError{RetryAfter: retrySoon, Err: &failure{err: err, again: true, alone: true}}
}

// errUnknown says that nobody knows whether a transaction was committed.
var errUnknown = errors.New("the connection was lost in COMMIT, and the database cannot be asked what became of it")

// classify returns err as what it means to a caller. lost says that its connection
// is.
func classify(err error, lost bool) error {
	var (
		unavailable *store.UnavailableError
		failed      *pgconn.PgError
		connect     *pgconn.ConnectError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unavailable):
		return err
	case errors.As(err, &failed):
		if known := classifyCode(err, failed.Code); known != nil {
			return known
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New(err.Error()) // the time of a statement, not that of the caller
	}
	if lost || errors.As(err, &connect) {
		return away(err, retryLost, true)
	}
	return &failure{err: err}
}

// away returns the error of a store that cannot be used now.
func away(err error, after time.Duration, again bool) error {
	return &store.UnavailableError{RetryAfter: after, Err: &failure{err: err, again: again}}
}

// classifyCode returns the error for a code of the server, or nil where the code says
// nothing more.
func classifyCode(err error, code string) error {
	switch code {
	case codeSerialization, codeDeadlock, codeCanceled:
		return away(err, retrySoon, true)
	case codeLock:
		return away(fmt.Errorf("somebody else holds the lock: %w", err), retrySoon, false)
	case codeDiskFull:
		return away(fmt.Errorf("the disk of the server is full: %w", err), retryFull, false)
	case codeReadOnly:
		return away(fmt.Errorf("the server is read-only, perhaps after a fail-over: %w", err), retryLost, true)
	case codeNoRight, codeNoTable, codeNoColumn: // Open has looked
		return away(fmt.Errorf("a right, a table or a column is not there any more: %w", err), retryFull, false)
	case codeManyClients:
		return away(fmt.Errorf("the server has too many clients: %w", err), retryBusy, true)
	case codeFeature:
		if strings.Contains(err.Error(), "cached plan") {
			return away(err, retrySoon, true) // the next one is prepared again
		}
	case codeGuard, codeUnique:
		return &failure{err: fmt.Errorf("a row is not what it was when it was read under the lock: %w", err)}
	case codeNoStatement, codeSameStatement:
		return &failure{err: fmt.Errorf("prepared statements do not work, as behind a pooler: add default_query_exec_mode=exec to the URL: %w", err)}
	}
	switch code[:min(2, len(code))] {
	case "08", "57": // connections; the server stops or starts
		return away(err, retryLost, true)
	case "53": // resources
		return away(err, retryBusy, false)
	}
	return nil
}
