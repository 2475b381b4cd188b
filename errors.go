package provision

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/store"
)

// Errors of package store that callers of this package meet.
var (
	// ErrNotFound says that there is no such thing in this connection.
	ErrNotFound = store.ErrNotFound

	// ErrVersion says that a conditional write lost.
	ErrVersion = store.ErrVersion
)

// ErrUnauthenticated says that a credential is unknown, expired, revoked, or of
// a disabled connection. Which of these is not told.
var ErrUnauthenticated = errors.New("provision: credential is not valid")

// UnauthenticatedError is the [ErrUnauthenticated] of a credential that is known and
// does not count any more. It is for whoever counts refusals: a client is not told.
type UnauthenticatedError struct {
	Connection string // of the credential
	Cause      string // a code: "expiredCredential" or "disabledConnection"
}

// Error implements error.
func (e *UnauthenticatedError) Error() string {
	return fmt.Sprintf("%v: %s of connection %q", ErrUnauthenticated, e.Cause, e.Connection)
}

// Is implements what errors.Is asks.
func (e *UnauthenticatedError) Is(target error) bool { return target == ErrUnauthenticated }

// LimitError says that a documented limit was reached.
type LimitError struct {
	Limit string // name of the field, such as "Limits.Members"
	Max   int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("provision: more than %d (%s)", e.Max, e.Limit)
}

// MemberError says that a member of a group names no user or group of the
// connection.
type MemberError struct{ ID string }

// Error implements error.
func (e *MemberError) Error() string {
	return fmt.Sprintf("provision: member %q is not a user or group of this connection", e.ID)
}

// ConnectionError says what is wrong with the settings of a connection.
type ConnectionError struct {
	Connection string
	Field      string // such as "dialect" or "saml.preset"
	Value      string // that is wrong, shortened; empty where it says nothing
	Reason     string // what is wrong with it, and the right words
}

// Error implements error.
func (e *ConnectionError) Error() string {
	return fmt.Sprintf("provision: connection %q: %s: %s", e.Connection, e.Field, e.Fault())
}

// Fault returns the value and what is wrong with it, for a place that names the
// field by itself.
func (e *ConnectionError) Fault() string {
	if e.Value == "" {
		return e.Reason
	}
	return fmt.Sprintf("%q: %s", e.Value, e.Reason)
}

// CredentialError says why a credential was not made or changed. It never quotes a
// secret.
type CredentialError struct {
	Connection string
	Reason     string
}

// Error implements error.
func (e *CredentialError) Error() string {
	return fmt.Sprintf("provision: a credential of connection %q: %s", e.Connection, e.Reason)
}

// ArgumentError says what is wrong with a value that the host or an operator gave.
// Nothing of the call was stored.
type ArgumentError struct {
	Argument string // such as "groups", or a field of it such as "twoFactor"
	Value    string // that is wrong, shortened; empty where it says nothing
	Reason   string
}

// Error implements error.
func (e *ArgumentError) Error() string { return "provision: " + e.Argument + ": " + e.Fault() }

// Fault returns the value and what is wrong with it.
func (e *ArgumentError) Fault() string {
	if e.Value == "" {
		return e.Reason
	}
	return fmt.Sprintf("%q: %s", e.Value, e.Reason)
}

// GuardError says that a guard refused a request. Nothing of it was stored.
type GuardError struct {
	Guard   string // what guards: "lastSiteAdmin"
	Account string // the account that is guarded
}

// Error implements error.
func (e *GuardError) Error() string {
	return fmt.Sprintf("provision: refused by guard %s: account %q", e.Guard, e.Account)
}

// notFound returns an ErrNotFound that says what is missing.
func notFound(kind, id string) error { return &store.NotFoundError{Kind: kind, ID: id} }

// mustJSON encodes a value whose type cannot fail to encode.
func mustJSON(v any) json.RawMessage { return account.JSON(v) }
