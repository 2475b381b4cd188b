package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/scimjit/provision"
)

// Role is what somebody is to the application.
type Role string

// The roles.
const (
	RoleOperator Role = "operator" // runs the application: may do everything, in all connections
	RoleSupport  Role = "support"  // helps: may read everything
	RoleCustomer Role = "customer" // administers one connection, as far as was chosen
)

// Viewer is who sends a request.
type Viewer struct {
	// Actor is who events name as the one who made a change, such as kind "operator" and
	// the id of a person.
	Actor provision.Actor

	// Role decides what is allowed. An empty or unknown one may do nothing.
	Role Role

	// Connection is the only one that a customer sees.
	Connection string

	// Operations are the names of what was chosen for a customer, of the [Operations]
	// that have ForCustomer. Others have no effect.
	Operations []string
}

// may reports whether the viewer may do what a row of the table does, in whatever
// connection.
func (v Viewer) may(r *route) bool {
	switch v.Role {
	case RoleOperator:
		return true
	case RoleSupport:
		return r.support || r.everyone
	case RoleCustomer:
		return r.everyone || r.customer && slices.Contains(v.Operations, r.name)
	}
	return false
}

// sees reports whether a connection is there for the viewer.
func (v Viewer) sees(connection string) bool {
	return v.Role != RoleCustomer || v.Connection == connection
}

// TokenOf is an [API.Who] for scripts: whoever sends the token as a bearer token is the
// viewer, and everybody else is refused. From the tenth wrong one in a minute an address is
// answered 429, while the right one is always served; see [provision.Plumbing.CountFailure].
// The token should have the strength of a credential, see [provision.Secret.Validate]. An
// empty one refuses everybody.
func TokenOf(engine *provision.Engine, token string, viewer Viewer) func(*http.Request) (Viewer, error) {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) (Viewer, error) {
		sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(sent))
		if token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return viewer, nil
		}
		engine.Plumbing().CountRefusal("", r.RemoteAddr, "operatorToken")
		if r.Header.Get("Authorization") != "" {
			if wait := engine.Plumbing().CountFailure(r.RemoteAddr); wait > 0 {
				return Viewer{}, &Problem{Status: http.StatusTooManyRequests, Code: codeGuesses, Detail: "too many wrong operator tokens came from this address: try again later", RetryAfter: wait}
			}
		}
		return Viewer{}, &Problem{Status: http.StatusUnauthorized, Code: codeToken, Detail: "the operator token is missing or wrong"}
	}
}
