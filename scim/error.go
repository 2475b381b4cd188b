package scim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// Error is a SCIM error response (RFC 7644 section 3.12). Detail goes to the
// client; Err is only logged.
type Error struct {
	Status int    // HTTP status
	Type   string // scimType, such as "uniqueness"; often empty
	Detail string // for the client
	Err    error  // private cause, or nil

	// Challenge is the WWW-Authenticate header of a 401 (RFC 9110 section
	// 11.6.1); empty means that a bearer token or a Basic password is asked for.
	Challenge string

	retryAfter time.Duration
	allow      string
}

// Error implements error. It includes the private cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("scim: %d %s: %v", e.Status, e.Detail, e.Err)
	}
	return fmt.Sprintf("scim: %d %s", e.Status, e.Detail)
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

const errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

// MarshalJSON implements [json.Marshaler]: the error as RFC 7644 section 3.12
// writes it, with status as a string and without the private cause.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Schemas []string `json:"schemas"`
		Status  string   `json:"status"`
		Type    string   `json:"scimType,omitempty"`
		Detail  string   `json:"detail,omitempty"`
	}{[]string{errorSchema}, strconv.Itoa(e.Status), e.Type, e.Detail})
}

// asError finds the answer to an error. What it does not know is a 500 whose
// cause the client is not told.
func asError(err error) *Error {
	var (
		scimErr     *Error
		schemaErr   *schema.Error
		filterErr   *filter.Error
		conflict    *store.ConflictError
		member      *provision.MemberError
		limit       *provision.LimitError
		guard       *provision.GuardError
		denied      *provision.DeniedError
		scan        *store.ScanError
		unavailable *store.UnavailableError
		tooLarge    *http.MaxBytesError
	)
	switch {
	case errors.As(err, &scimErr):
		return scimErr
	case errors.Is(err, patch.ErrTooManyOperations):
		return &Error{Status: http.StatusRequestEntityTooLarge, Detail: "the request has too many operations", Err: err}
	case errors.As(err, &schemaErr):
		return &Error{Status: http.StatusBadRequest, Type: schemaErr.Type, Detail: schemaErr.Detail}
	case errors.As(err, &filterErr):
		return &Error{Status: http.StatusBadRequest, Type: "invalidFilter", Detail: filterErr.Detail}
	case errors.Is(err, store.ErrNotFound):
		return &Error{Status: http.StatusNotFound, Detail: "there is no such resource"}
	case errors.Is(err, store.ErrVersion):
		return &Error{Status: http.StatusPreconditionFailed, Detail: "the resource has another version"}
	case errors.As(err, &conflict):
		return &Error{Status: http.StatusConflict, Type: "uniqueness", Detail: conflict.Attribute + " is already in use"}
	case errors.As(err, &denied):
		return &Error{Status: http.StatusForbidden, Detail: "the user resembles an account that exists in the application and may not be linked to it", Err: err}
	case errors.As(err, &guard):
		return &Error{Status: http.StatusConflict, Detail: "this is the last site admin: make somebody else site admin first"}
	case errors.As(err, &member):
		return &Error{Status: http.StatusBadRequest, Type: "invalidValue", Detail: "a member is not a user or group of this directory"}
	case errors.As(err, &limit):
		return &Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("more than %d members in one request", limit.Max)}
	case errors.As(err, &scan):
		return &Error{Status: http.StatusBadRequest, Type: "tooMany", Detail: fmt.Sprintf("the filter needs an indexed attribute: more than %d resources would be scanned", scan.Limit)}
	case errors.As(err, &unavailable):
		return &Error{Status: http.StatusServiceUnavailable, Detail: "the directory is busy, try again", Err: err, retryAfter: unavailable.RetryAfter}
	case errors.As(err, &tooLarge):
		return &Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the request body is larger than %d bytes", tooLarge.Limit)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// The client is gone, or the server gives the request no more time.
		return &Error{Status: http.StatusServiceUnavailable, Detail: "the request was canceled", retryAfter: time.Second}
	case errors.Is(err, provision.ErrUnauthenticated):
		return &Error{Status: http.StatusUnauthorized, Detail: "the credential is missing or not valid"}
	}
	return &Error{Status: http.StatusInternalServerError, Err: err}
}

// report finds the answer to an error, and logs what the client is not told.
func (h *Handler) report(r *http.Request, err error) *Error {
	e := asError(err)
	if e.Err == nil || e.Status < 500 && e.Status != http.StatusForbidden {
		return e
	}
	id := rand.Text()
	h.logger().Error("scim request failed", "id", id, "method", r.Method, "path", r.URL.Path, "status", e.Status, "error", e.Err)
	if e.Detail == "" {
		e = &Error{Status: e.Status, Detail: "internal error " + id, retryAfter: e.retryAfter}
	}
	return e
}

// writeError is the one place that answers an error.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := h.report(r, err)
	resp, merr := jsonResponse(e.Status, e)
	if merr != nil {
		resp = &response{status: e.Status}
	}
	header := w.Header()
	switch {
	case e.Status != http.StatusUnauthorized:
	case e.Challenge != "":
		header.Set("WWW-Authenticate", e.Challenge)
	default:
		header.Add("WWW-Authenticate", `Bearer realm="scim"`)
		header.Add("WWW-Authenticate", `Basic realm="scim", charset="UTF-8"`)
	}
	if e.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
	if e.allow != "" {
		header.Set("Allow", e.allow)
	}
	resp.write(w, h.contentType())
}

func badRequest(scimType, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: scimType, Detail: fmt.Sprintf(format, args...)}
}
