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
	"strings"
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
	Status int         // HTTP status
	Type   string      // scimType, such as "uniqueness"; often empty
	Code   schema.Code // what ends the detail in brackets: see [Refusals]; empty takes one by the status
	Detail string      // for the client
	Err    error       // private cause, or nil

	// Challenge is the WWW-Authenticate header of a 401 (RFC 9110 section
	// 11.6.1); empty means that a bearer token or a Basic password is asked for.
	Challenge string

	retryAfter time.Duration
	allow      string
	id         string // of the line of the log that has the cause

	acceptEncoding string // of a 415
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
// writes it, with status as a string and without the private cause. The code ends
// the detail.
func (e *Error) MarshalJSON() ([]byte, error) {
	detail := e.Detail
	if e.Code != "" {
		detail = strings.TrimSpace(detail + " [" + string(e.Code) + "]")
	}
	return json.Marshal(struct {
		Schemas []string `json:"schemas"`
		Status  string   `json:"status"`
		Type    string   `json:"scimType,omitempty"`
		Detail  string   `json:"detail,omitempty"`
	}{[]string{errorSchema}, strconv.Itoa(e.Status), e.Type, detail})
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
		return scimErr.coded()
	case errors.Is(err, patch.ErrTooManyOperations):
		return refuse(schema.CodeTooManyOperations, "%s", schemaDetail(err)).because(err)
	case errors.As(err, &schemaErr):
		return &Error{Status: http.StatusBadRequest, Type: schemaErr.Type, Code: schemaErr.Code, Detail: schemaErr.Detail}
	case errors.As(err, &filterErr):
		return refuse(schema.CodeBadFilter, "filter: %s", filterErr.Detail)
	case errors.Is(err, store.ErrNotFound):
		return refuse(codeUnknownResource, "there is no such resource%s", missingID(err))
	case errors.Is(err, store.ErrVersion):
		return refuse(codeOtherVersion, "the resource has another version")
	case errors.As(err, &conflict):
		return refuse(codeNotUnique, "%s is already in use", conflict.Attribute)
	case errors.As(err, &denied):
		return refuse(codeNotLinked, "the user resembles an account that exists in the application and may not be linked to it").because(err)
	case errors.As(err, &guard):
		return refuse(codeLastSiteAdmin, "this is the last site admin: make somebody else site admin first")
	case errors.As(err, &member):
		return refuse(codeUnknownMember, "members: %s is no user or group of this connection", schema.QuotedText(member.ID))
	case errors.As(err, &limit) && limit.Member != "":
		return refuse(codeTooDeepGroups, "members: %s", nestedTooDeep(limit))
	case errors.As(err, &limit) && limit.Limit == "Limits.Scans":
		return refuse(codeTooManyScans, "%d requests of this connection that must look at many resources are running: try again, or filter by eq of an indexed attribute", limit.Max).after(scanRetry)
	case errors.As(err, &limit):
		return refuse(codeTooManyMembers, "members: more than %d in one request", limit.Max)
	case errors.As(err, &scan):
		return refuse(codeFilterTooWide, "filter: %s: it needs an indexed attribute", spentBound(scan))
	case errors.As(err, &unavailable):
		return refuse(codeBusy, "the directory is busy, try again").because(err).after(unavailable.RetryAfter)
	case errors.As(err, &tooLarge):
		return refuse(codeTooLarge, "the request body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// The client is gone, or the server gives the request no more time.
		return refuse(codeCanceled, "the request was canceled").after(time.Second)
	case errors.Is(err, provision.ErrUnauthenticated):
		return refuse(codeUnauthenticated, "the credential is missing or not valid")
	}
	return refuse(codeInternal, "").because(err)
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
		e = &Error{Status: e.Status, Code: codeInternal, Detail: "internal error " + id, retryAfter: e.retryAfter}
	}
	told := *e
	told.id = id
	return &told
}

// writeError is the one place that answers an error. It returns what the client was told.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) *Error {
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
	if e.acceptEncoding != "" {
		header.Set("Accept-Encoding", e.acceptEncoding)
	}
	_ = resp.write(w, h.contentType()) // a body that is whole cannot fail
	return e
}

// coded returns an error with a code: an error of the host may have none.
func (e *Error) coded() *Error {
	if e.Code != "" {
		return e
	}
	coded := *e
	switch {
	case e.Status == http.StatusUnauthorized:
		coded.Code = codeUnauthenticated
	case e.Status == http.StatusTooManyRequests:
		coded.Code = codeTooManyRequests
	case e.Status == http.StatusServiceUnavailable:
		coded.Code = codeBusy
	case e.Status >= http.StatusInternalServerError:
		coded.Code = codeInternal
	default:
		coded.Code = codeForbidden
	}
	return &coded
}

// because gives an error its private cause.
func (e *Error) because(err error) *Error {
	e.Err = err
	return e
}

// after says when the client may try again.
func (e *Error) after(d time.Duration) *Error {
	e.retryAfter = d
	return e
}

// typed gives an error another scimType than that of its row.
func (e *Error) typed(scimType string) *Error {
	e.Type = scimType
	return e
}

// missingID returns the id of what is not there, quoted for the end of a text.
func missingID(err error) string {
	if missing := (*store.NotFoundError)(nil); errors.As(err, &missing) && missing.ID != "" {
		return ": " + schema.QuotedText(missing.ID)
	}
	return ""
}

// schemaDetail returns the text of the [schema.Error] that an error wraps.
func schemaDetail(err error) string {
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		return e.Detail
	}
	return "the request has too many operations"
}
