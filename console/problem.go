package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
)

// Problem is an answer that says what is wrong: a problem document (RFC 9457) of type
// about:blank, whose title is that of the status. It is an error, for [API.Who] and
// [API.Check] to return.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`

	// Code is stable; docs/troubleshooting.md explains each.
	Code string `json:"code"`

	// Detail is one sentence for people.
	Detail string `json:"detail"`

	// Field is the place in the body, or the parameter, that is wrong.
	Field string `json:"field,omitempty"`

	// Differences are what would happen otherwise than a plan says, of the code
	// plan_outdated; More says that there are others.
	Differences []provision.PlanDifference `json:"differences,omitempty"`
	More        bool                       `json:"more,omitempty"`

	// RetryAfter is when to try again, in the header of that name; 0 says nothing.
	RetryAfter time.Duration `json:"-"`

	// Err is the cause. It is logged with status 500, and never answered.
	Err error `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string {
	text := fmt.Sprintf("console: %d %s: %s", p.Status, p.Code, p.Detail)
	if p.Err != nil {
		text += ": " + p.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// The codes of a [Problem] that no other package has.
const (
	codeWrong       = "request_wrong"
	codeUnknownKey  = "request_unknown_key"
	codeType        = "request_wrong_type"
	codeTwice       = "request_twice"
	codeNotJSON     = "request_not_json"
	codeParameter   = "request_parameter"
	codeNotFound    = "request_not_found"
	codeMethod      = "request_method"
	codeTooLarge    = "request_too_large"
	codeCrossOrigin = "request_cross_origin"

	codeWho      = "viewer_unknown"
	codeToken    = "operator_token"
	codeGuesses  = "too_many_failures"
	codeRole     = "role_forbidden"
	codeSetting  = "setting_operator_only"
	codeManaged  = "managed_by_file"
	codeManaging = "setting_managed_by"
	codeExists   = "connection_exists"
	codeNoMatch  = "version_missing"
	codeStale    = "version_stale"

	codeOutdated = "plan_outdated"

	codeLastAdmin = "last_site_admin"
	codeReported  = "reported_by_provider"
	codeGone      = "events_gone"
	codeLimit     = "limit_reached"
	codeTaken     = "value_taken"
	codeMember    = "member_unknown"
	codeNoTest    = "test_login_missing"
	codeNoCheck   = "directory_check_missing"

	codeSyncEmpty        = "sync_empty"
	codeSyncGroups       = "sync_no_groups"
	codeSyncMembers      = "sync_no_members"
	codeSyncUnidentified = "sync_unidentified"
	codeSyncIDs          = "sync_ids_changed"
	codeSyncRunning      = "sync_running"
	codeSyncSource       = "sync_source"

	codeUnavailable = "unavailable"
	codeInternal    = "internal"
)

// sentinels are the problems of errors that are values.
var sentinels = []struct {
	err    error
	status int
	code   string
	detail string // empty: the text of the error
}{
	{provision.ErrNotFound, http.StatusNotFound, codeNotFound, "there is no such thing in this connection"},
	{provision.ErrRequestID, http.StatusBadRequest, codeParameter, "the parameter after is of no page of this list"},
	{provision.ErrVersion, http.StatusPreconditionFailed, codeStale, "somebody else has changed it in between: read it again"},
	{provision.ErrReported, http.StatusConflict, codeReported, "the identity provider reports that the person is in this group: remove the person there"},
	{provision.ErrSyncRunning, http.StatusConflict, codeSyncRunning, "another sync of this connection is running"},
	{provision.ErrSyncGroups, http.StatusBadRequest, codeSyncGroups, ""},
	{provision.ErrSyncMembers, http.StatusBadRequest, codeSyncMembers, ""},
	{provision.ErrSyncUnidentified, http.StatusBadRequest, codeSyncUnidentified, ""},
	{provision.ErrSyncIDs, http.StatusBadRequest, codeSyncIDs, ""},
	{provision.ErrEmptySync, http.StatusBadRequest, codeSyncEmpty, ""},
}

// problem returns what to answer to an error. What has no answer of its own is status 500,
// and tells nothing.
func problem(err error) *Problem {
	var said *Problem
	if errors.As(err, &said) {
		p := *said
		return &p
	}
	if p := typedProblem(err); p != nil {
		return p
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			detail := s.detail
			if detail == "" {
				detail = s.err.Error()
			}
			return &Problem{Status: s.status, Code: s.code, Detail: detail, Err: err}
		}
	}
	return &Problem{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "internal error: the log of the application has more", Err: err}
}

// typedProblem returns the problem of an error that is a struct with facts, or nil.
func typedProblem(err error) *Problem {
	if p := settingProblem(err); p != nil {
		return p
	}
	var (
		guard       *provision.GuardError
		mode        *provision.ModeError
		plan        *provision.PlanError
		expired     *provision.CursorExpiredError
		limit       *provision.LimitError
		member      *provision.MemberError
		conflict    *store.ConflictError
		unavailable *store.UnavailableError
		input       *scimsync.Error
		large       *http.MaxBytesError
		directory   interface{ SyncCode() string }
	)
	switch {
	case errors.As(err, &large):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Detail: fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	case errors.As(err, &mode):
		return &Problem{Status: http.StatusConflict, Code: mode.Code, Detail: mode.Reason, Field: "mode"}
	case errors.As(err, &plan):
		return &Problem{Status: http.StatusConflict, Code: codeOutdated, Detail: "something else would happen now than the plan says: make another one", Differences: plan.Differences, More: plan.More}
	case errors.As(err, &guard):
		return &Problem{Status: http.StatusConflict, Code: codeLastAdmin, Detail: "this is the last site admin: make somebody else site admin first"}
	case errors.As(err, &expired):
		return &Problem{Status: http.StatusConflict, Code: codeGone, Detail: "events that waited are gone: read the account, then skip what is parked"}
	case errors.As(err, &limit):
		return &Problem{Status: http.StatusTooManyRequests, Code: codeLimit, Detail: limit.Error()}
	case errors.As(err, &member):
		return &Problem{Status: http.StatusBadRequest, Code: codeMember, Detail: member.Error()}
	case errors.As(err, &conflict):
		return &Problem{Status: http.StatusConflict, Code: codeTaken, Detail: fmt.Sprintf("another one has this %s already", conflict.Attribute), Field: conflict.Attribute}
	case errors.As(err, &unavailable):
		return &Problem{Status: http.StatusServiceUnavailable, Code: codeUnavailable, Detail: "the store is busy: try again", RetryAfter: max(time.Second, unavailable.RetryAfter), Err: err}
	case errors.As(err, &input):
		return &Problem{Status: http.StatusBadRequest, Code: codeSyncSource, Detail: input.Error()}
	case errors.As(err, &directory):
		return &Problem{Status: http.StatusBadGateway, Code: directory.SyncCode(), Detail: err.Error()}
	}
	return nil
}

// settingProblem returns the problem of a wrong setting or argument, or nil.
func settingProblem(err error) *Problem {
	var (
		option     *policy.ConfigError
		connection *provision.ConnectionError
		credential *provision.CredentialError
		argument   *provision.ArgumentError
	)
	switch {
	case errors.As(err, &option):
		return &Problem{Status: http.StatusBadRequest, Code: option.Code, Detail: option.Error(), Field: option.Option}
	case errors.As(err, &connection):
		return &Problem{Status: http.StatusBadRequest, Code: connection.Code(), Detail: connection.Field + ": " + connection.Fault(), Field: connection.Field}
	case errors.As(err, &credential):
		status := http.StatusBadRequest
		if credential.Field == "" {
			status = http.StatusConflict // it is about the others that are there
		}
		return &Problem{Status: status, Code: credential.Code, Detail: credential.Reason, Field: credential.Field}
	case errors.As(err, &argument):
		return &Problem{Status: http.StatusBadRequest, Code: argument.Code(), Detail: argument.Argument + ": " + argument.Fault(), Field: argument.Argument}
	}
	return nil
}

// wrong is a 400 about a parameter or a place in a body.
func wrong(code, field, format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// missing is a 404.
func missing(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusNotFound, Code: codeNotFound, Detail: fmt.Sprintf(format, args...)}
}

// orMissing gives an error that says that something is not there a text of its own.
func orMissing(err error, format string, args ...any) error {
	if errors.Is(err, provision.ErrNotFound) {
		return missing(format, args...)
	}
	return err
}

// seconds is a time to wait as Retry-After has it.
func seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// refuse answers with the problem of an error.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(err)
	p.Title = http.StatusText(p.Status)
	switch {
	case p.Status >= http.StatusInternalServerError && p.Err != nil:
		a.logger().ErrorContext(r.Context(), "console: a request failed", "method", r.Method, "path", r.URL.Path, "code", p.Code, "error", p.Err)
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="operator"`)
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader is gone: there is nobody to tell
}
