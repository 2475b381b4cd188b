package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

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
	Cause      string // a code: "expiredCredential", "pendingCredential" or "disabledConnection"
	Credential string // its id
}

// Error implements error.
func (e *UnauthenticatedError) Error() string {
	return fmt.Sprintf("%v: %s of connection %q", ErrUnauthenticated, e.Cause, e.Connection)
}

// Is implements what errors.Is asks.
func (e *UnauthenticatedError) Is(target error) bool { return target == ErrUnauthenticated }

// LimitError says that a documented limit was reached.
type LimitError struct {
	Limit  string // name of the field, such as "Limits.Members"
	Max    int
	Member string // the group that is the member too much, where it is one: of Limits.Nesting
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Member != "" {
		return fmt.Sprintf("provision: member %q: more than %d levels of groups (%s)", e.Member, e.Max, e.Limit)
	}
	return fmt.Sprintf("provision: more than %d (%s)", e.Max, e.Limit)
}

// MemberError says that a member of a group names no user or group of the
// connection.
type MemberError struct{ ID string }

// Error implements error.
func (e *MemberError) Error() string {
	return fmt.Sprintf("provision: member %q is not a user or group of this connection", e.ID)
}

// ConnectionError says what is wrong with the settings of a connection. What is wrong
// with its policy is a [*policy.ConfigError].
type ConnectionError struct {
	Connection string
	Field      string // such as "dialect" or "saml.preset"
	Value      string // that is wrong, shortened; empty where it says nothing
	Reason     string // what is wrong with it, and the right words
}

// Error implements error.
func (e *ConnectionError) Error() string {
	return fmt.Sprintf("provision: connection %q: %s: %s [%s]", e.Connection, e.Field, e.Fault(), e.Code())
}

// Code is stable, and says which setting is wrong, such as "setting_dialect".
func (e *ConnectionError) Code() string { return "setting_" + snake(e.Field) }

// snake writes the name of a field as the codes of errors are written:
// saml.nameIDFormat is saml_name_id_format, and ldap.baseDNs ldap_base_dns.
func snake(field string) string {
	var b strings.Builder
	letters := []rune(field)
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = '_'
		case !unicode.IsUpper(r) || i == 0:
		case unicode.IsLower(letters[i-1]), unicode.IsUpper(letters[i-1]) && i+1 < len(letters) && unicode.IsLower(letters[i+1]) && string(letters[i+1:]) != "s":
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
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
	Code       string // stable; docs/troubleshooting.md explains each
	Connection string // empty for a secret that belongs to none yet
	Field      string // "token", "userName", "password" or "expires"; empty where it is about none
	Reason     string
}

// The codes of a [CredentialError].
const (
	credentialSpace   = "credential_white_space"
	credentialColon   = "credential_colon"
	credentialMethods = "credential_two_methods"
	credentialShort   = "credential_too_short"
	credentialNoName  = "credential_without_user_name"
	credentialMany    = "credential_one_too_many"
	credentialPast    = "credential_in_the_past"
	credentialTaken   = "credential_taken"
)

// Error implements error.
func (e *CredentialError) Error() string {
	text := "provision: a credential"
	if e.Connection != "" {
		text += fmt.Sprintf(" of connection %q", e.Connection)
	}
	if e.Field != "" {
		text += ": " + e.Field
	}
	return text + ": " + e.Reason + " [" + e.Code + "]"
}

// ArgumentError says what is wrong with a value that the host or an operator gave.
// Nothing of the call was stored.
type ArgumentError struct {
	Argument string // such as "groups", or a field of it such as "twoFactor"
	Value    string // that is wrong, shortened; empty where it says nothing
	Reason   string
}

// Error implements error.
func (e *ArgumentError) Error() string {
	return "provision: " + e.Argument + ": " + e.Fault() + " [" + e.Code() + "]"
}

// Code is stable, and says which argument is wrong, such as "argument_two_factor".
func (e *ArgumentError) Code() string { return "argument_" + snake(e.Argument) }

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
