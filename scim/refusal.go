package scim

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
)

// The causes by which refusals are counted, beside the scimTypes and the status
// codes; see [provision.Plumbing.CountRefusal].
const (
	causeUnauthenticated   = "unauthenticated"   // 401
	causeForbidden         = "forbidden"         // 403
	causeForeignConnection = "foreignConnection" // the credential of one connection at the address of another
	causeTooManyFailures   = "tooManyFailures"   // 429, of failed authentications
	causeTooManyRequests   = "tooManyRequests"   // 429, of a credential
	causeTooManyScans      = "tooManyScans"      // 503, of a connection that has as many scans as it may
	causeIgnored           = "ignored"           // no refusal: a write named attributes that there are not
)

// countedTypes are the scimTypes by which refusals are counted (RFC 7644 section
// 3.12, RFC 9865 section 3). What a host's own error has as its type is not.
var countedTypes = map[string]bool{
	"invalidFilter": true, "tooMany": true, "uniqueness": true, "mutability": true, "invalidSyntax": true,
	"invalidPath": true, "noTarget": true, "invalidValue": true, "invalidVers": true, "sensitive": true,
	"invalidCursor": true, "expiredCursor": true, "invalidCount": true,
}

// countIgnored counts a write of which something was ignored, and logs what. Where
// an account or group changed, the event has the tolerance; else nothing would tell
// of a misspelled attribute.
func (x *exchange) countIgnored(t *schema.ResourceType, id string) {
	if len(x.decoder.Ignored) == 0 {
		return
	}
	h := x.handler
	h.Engine.Plumbing().CountRefusal(x.principal.Connection, h.address(x.request), causeIgnored)
	h.logger().Info("scim request: unknown attributes ignored", "connection", x.principal.Connection,
		"method", x.method, "type", t.Name, "resource", id, "ignored", x.decoder.Ignored)
}

// countRefusal counts a request that is refused with an error. A credential that is
// known and has expired, or whose connection is disabled, is counted there. Not counted are
// errors of the server, and what identity providers meet in their daily work: a
// resource that is not there, and a version that has changed.
func (h *Handler) countRefusal(x *exchange, err error) {
	var known *provision.UnauthenticatedError
	if errors.As(err, &known) {
		h.Engine.Plumbing().CountRefusal(known.Connection, h.address(x.request), known.Cause)
		return
	}
	e := asError(err)
	connection := x.principal.Connection
	if connection == "" {
		connection = x.tenant // as far as the client says; nobody has checked it
	}
	foreign := x.tenant != "" && x.tenant != connection
	if cause := refusalCause(e, x.principal.Connection != "", foreign); cause != "" {
		h.Engine.Plumbing().CountRefusal(connection, h.address(x.request), cause)
	}
}

// refusalCause returns the cause that a refusal is counted by, or "".
func refusalCause(e *Error, known, foreign bool) string {
	switch {
	case e.Code == codeTooManyScans:
		return causeTooManyScans
	case e.Status < 400 || e.Status >= 500 || e.Status == http.StatusPreconditionFailed:
		return ""
	case foreign:
		return causeForeignConnection
	case e.Status == http.StatusNotFound:
		return ""
	case e.Status == http.StatusUnauthorized:
		return causeUnauthenticated
	case e.Status == http.StatusForbidden:
		return causeForbidden
	case e.Status == http.StatusTooManyRequests && !known:
		return causeTooManyFailures
	case e.Status == http.StatusTooManyRequests:
		return causeTooManyRequests
	case countedTypes[e.Type]:
		return e.Type
	}
	return strconv.Itoa(e.Status)
}
