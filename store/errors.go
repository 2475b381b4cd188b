package store

import (
	"errors"
	"fmt"
	"time"
)

// Errors that a Tx may return and stay usable, beside [*ConflictError].
var (
	// ErrNotFound says that there is no such thing in this scope. A store returns
	// a [*NotFoundError], which says what is missing.
	ErrNotFound = errors.New("store: not found")

	// ErrVersion says that a conditional write lost: the stored version is not
	// the expected one. A store returns a [*VersionError], which says of what.
	ErrVersion = errors.New("store: version does not match")
)

// What Kind says in errors about what is neither a resource of a known type nor a
// record.
const (
	KindResource  = "resource"            // of any type
	KindAccount   = "account"             // by its id
	KindAccountOf = "account of resource" // by the id of its resource
)

// NotFoundError is an [ErrNotFound] with what is missing. errors.Is finds it by
// ErrNotFound, and by one with the same fields.
type NotFoundError struct {
	Kind string // a resource type, KindResource, KindAccount, KindAccountOf, or the kind of a record
	ID   string // or the key of the record
}

// Error implements error.
func (e *NotFoundError) Error() string { return fmt.Sprintf("store: %s %q not found", e.Kind, e.ID) }

// Is implements what errors.Is asks.
func (e *NotFoundError) Is(target error) bool {
	other, typed := target.(*NotFoundError)
	return target == ErrNotFound || typed && *other == *e
}

// VersionError is an [ErrVersion] with what has another version. errors.Is finds it
// by ErrVersion, and by one with the same fields.
type VersionError struct {
	Kind string // a resource type or the kind of a record
	ID   string // or the key of the record
}

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("store: %s %q has another version", e.Kind, e.ID)
}

// Is implements what errors.Is asks.
func (e *VersionError) Is(target error) bool {
	other, typed := target.(*VersionError)
	return target == ErrVersion || typed && *other == *e
}

// ErrNested says that View or Update was called inside a transaction of the
// same store.
var ErrNested = errors.New("store: transaction inside a transaction")

// ErrNotEmpty says that a scope which is to be imported is there already.
var ErrNotEmpty = errors.New("store: the scope is not empty")

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("store: closed")

// ConflictError says that a unique key is taken.
type ConflictError struct {
	Attribute string // whose value is taken, such as "userName"
	ID        string // of the resource that holds it, in the same scope
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %s is already in use by %q", e.Attribute, e.ID)
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

// ScanError says that a query would take more work than it may. One of the fields is
// set: the bound that is spent.
type ScanError struct {
	Rows int           // Query.ScanRows: there are more candidates
	Time time.Duration // Query.ScanTime
}

// Error implements error.
func (e *ScanError) Error() string {
	if e.Time > 0 {
		return fmt.Sprintf("store: the query takes more than %s", e.Time)
	}
	return fmt.Sprintf("store: the query has more than %d resources to look at", e.Rows)
}
