package store

import (
	"errors"
	"fmt"
	"time"
)

// Errors that a Tx may return and stay usable, beside [*ConflictError].
var (
	// ErrNotFound says that there is no such thing in this scope.
	ErrNotFound = errors.New("store: not found")

	// ErrVersion says that a conditional write lost: the stored version is not
	// the expected one.
	ErrVersion = errors.New("store: version does not match")
)

// ErrNested says that View or Update was called inside a transaction of the
// same store.
var ErrNested = errors.New("store: transaction inside a transaction")

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("store: closed")

// ConflictError says that a unique key is taken.
type ConflictError struct {
	Attribute string // whose value is taken, such as "userName"
	ID        string // of the resource that holds it, in the same scope
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %s is already in use", e.Attribute)
}

// UnavailableError says that the store is busy or away and that the caller may
// try again.
type UnavailableError struct {
	RetryAfter time.Duration // how long to wait; at least a second
	Err        error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("store: unavailable, retry after %s: %v", e.RetryAfter, e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// ScanError says that a query would have to evaluate its filter on more
// resources than its limit allows.
type ScanError struct{ Limit int }

// Error implements error.
func (e *ScanError) Error() string {
	return fmt.Sprintf("store: the filter has no indexed term and more than %d resources to scan", e.Limit)
}
