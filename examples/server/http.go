package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// newHandler serves the operator's endpoints.
func newHandler(engine *provision.Engine, operatorToken string) http.Handler {
	op := operator{engine: engine, token: sha256.Sum256([]byte(operatorToken))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", op.health)
	mux.HandleFunc("GET /readyz", op.ready)
	mux.HandleFunc("GET /clock", op.guard(op.clock))
	mux.HandleFunc("POST /clock/confirm", op.guard(op.confirmClock))
	for pattern, handle := range op.routes() {
		mux.HandleFunc(pattern, op.guard(handle))
	}
	return mux
}

// routes returns what needs the operator token and is about a connection, by pattern
// of a ServeMux.
func (o operator) routes() map[string]func(http.ResponseWriter, *http.Request) error {
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /connections":             o.connections,
		"GET /accounts":                o.accounts,
		"POST /accounts/{id}/{action}": o.act,
		"GET /held":                    o.held,
		"POST /held/{decision}":        o.decide,
		"GET /groups":                  o.groups,
		"GET /events":                  o.events,
		"GET /explain":                 o.explain,
		"POST /preview":                o.preview,
		"POST /sync":                   o.sync,
		"GET /parked":                  o.parked,
		"POST /redrive":                o.redrive,
		"GET /refusals":                o.refusals,
		"GET /host-groups":             o.hostGroups,
		"POST /host-groups":            o.hostGroups,
		"POST /test-login":             o.testLogin,
	}
}

// withSCIM serves /scim/v2 and /scim/{connection}/v2 before next. A ServeMux
// refuses the two patterns together, because both match /scim/v2/v2/, and it
// answers a path with two slashes, as of a base URL that was entered with one at
// its end, by a redirect in HTML.
func withSCIM(next http.Handler, service *scim.Handler, base string) http.Handler {
	service.Prefix = "/" // it is removed below
	service.BaseURL = func(r *http.Request, _ string) string {
		if connection := r.PathValue("connection"); connection != "" {
			return base + "/scim/" + connection + "/v2"
		}
		return base + "/scim/v2"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
		if len(segments) == 0 || segments[0] != "scim" {
			next.ServeHTTP(w, r)
			return
		}
		connection, rest := "", segments[1:]
		if len(rest) > 0 && rest[0] != "v2" {
			connection, rest = rest[0], rest[1:]
		}
		if len(rest) == 0 || rest[0] != "v2" {
			w.Header().Set("Content-Type", "application/scim+json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(&scim.Error{Status: http.StatusNotFound, Code: "unknown_endpoint", Detail: "SCIM is at /scim/v2 and /scim/{connection}/v2"})
			return
		}
		u := *r.URL
		u.Path, u.RawPath = "/"+strings.Join(rest[1:], "/"), ""
		r2 := r.WithContext(r.Context())
		r2.URL = &u
		r2.SetPathValue("connection", connection)
		service.ServeHTTP(w, r2)
	})
}

// operator answers the operator's questions about all connections.
type operator struct {
	engine *provision.Engine
	token  [sha256.Size]byte
}

// statusError is an answer other than 200 of the operator endpoints.
type statusError struct {
	status int
	text   string
	code   string // stable; empty for that of the status
}

// statusCodes are the codes of answers that have no code of their own.
var statusCodes = map[int]string{
	http.StatusBadRequest: "request_wrong", http.StatusNotFound: "request_not_found",
	http.StatusRequestEntityTooLarge: "request_too_large",
	http.StatusServiceUnavailable:    "unavailable", http.StatusInternalServerError: "internal",
}

func (e *statusError) Error() string { return e.text }

// guard asks for the operator token and writes errors.
func (o operator) guard(next func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], o.token[:]) != 1 {
			o.refuse(w, r)
			return
		}
		if err := next(w, r); err != nil {
			status := o.status(w, r, err)
			writeJSON(w, status.status, map[string]string{"error": status.text, "code": cmp.Or(status.code, statusCodes[status.status])})
		}
	}
}

// refuse answers a request without the operator token. From the tenth wrong one in a
// minute an address waits, as with the credentials of SCIM; the right one is always
// served, and a request that brings none counts as no guess.
func (o operator) refuse(w http.ResponseWriter, r *http.Request) {
	o.engine.Plumbing().CountRefusal("", r.RemoteAddr, "operatorToken")
	if r.Header.Get("Authorization") != "" {
		if wait := o.engine.Plumbing().CountFailure(r.RemoteAddr); wait > 0 {
			w.Header().Set("Retry-After", seconds(wait))
			writeJSON(w, http.StatusTooManyRequests, map[string]string{"error": "too many wrong operator tokens, try again later", "code": "too_many_failures"})
			return
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="operator"`)
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "the operator token is missing or wrong", "code": "operator_token"})
}

// seconds is a time to wait as Retry-After has it.
func seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// status returns the answer to an error. What the operator is not told is logged.
func (o operator) status(w http.ResponseWriter, r *http.Request, err error) *statusError {
	var (
		status      *statusError
		unavailable *store.UnavailableError
	)
	if errors.As(err, &status) {
		return status
	}
	o.engine.Logger.Error("operator request failed", "path", r.URL.Path, "error", err)
	if errors.As(err, &unavailable) {
		w.Header().Set("Retry-After", seconds(unavailable.RetryAfter))
		return &statusError{status: http.StatusServiceUnavailable, text: "the store is busy, try again"}
	}
	return &statusError{status: http.StatusInternalServerError, text: "internal error, see the log"}
}

// directory returns the connection that a request names.
func (o operator) directory(r *http.Request) (*provision.Directory, error) {
	id := r.URL.Query().Get("connection")
	if id == "" {
		return nil, &statusError{status: http.StatusBadRequest, text: "the parameter connection is missing"}
	}
	if _, err := o.engine.Directory(id).Connection(r.Context()); errors.Is(err, provision.ErrNotFound) {
		return nil, &statusError{status: http.StatusNotFound, text: fmt.Sprintf("there is no connection %q", id)}
	} else if err != nil {
		return nil, err
	}
	return o.engine.Directory(id).As(provision.Actor{Kind: "operator", ID: "http"}), nil
}

// number reads a parameter that is a whole number, 0 when absent.
func number(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, &statusError{status: http.StatusBadRequest, text: fmt.Sprintf("the parameter %s must be a whole number that is not negative", name)}
	}
	return n, nil
}

// pageSize is how much the endpoints read from the store at once.
const pageSize = 1000

// accounts answers GET /accounts: a JSON array, page by page.
func (o operator) accounts(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return err
	}
	q := store.AccountQuery{After: r.URL.Query().Get("after")}
	if r.URL.Query().Get("deleted") != "true" {
		q.Statuses = []string{string(policy.StatusStaged), string(policy.StatusActive), string(policy.StatusDisabled)}
	}
	if name := r.URL.Query().Get("userName"); name != "" {
		q.UserName = name
	}
	out := newArray(w)
	for left := limit; ; {
		q.Limit = pageSize
		if limit > 0 {
			q.Limit = int(min(left, pageSize))
		}
		list, err := d.Accounts(r.Context(), q)
		if err != nil {
			return out.fail(err)
		}
		for _, a := range list {
			out.add(a)
		}
		left -= int64(len(list))
		if len(list) < q.Limit || (limit > 0 && left == 0) {
			return out.end()
		}
		q.After = list[len(list)-1].ID
	}
}

// group is one row of GET /groups.
type group struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	ExternalID  string `json:"externalId"`
	MemberCount int    `json:"memberCount"`
}

// groups answers GET /groups: a JSON array in order of creation.
func (o operator) groups(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	out := newArray(w)
	q := store.Query{Types: []string{provision.TypeGroup}, Limit: pageSize, NoTotal: true}
	for {
		page, err := d.Query(r.Context(), q)
		if err != nil {
			return out.fail(err)
		}
		for _, g := range page.Resources {
			external, _ := g.Document.Get("externalId")
			n, err := d.MemberCount(r.Context(), g.ID)
			if err != nil {
				return out.fail(err)
			}
			out.add(group{ID: g.ID, Name: g.Display, ExternalID: external.Text(), MemberCount: n})
		}
		if len(page.Resources) < q.Limit {
			return out.end()
		}
		q.After = page.Resources[len(page.Resources)-1].Position
	}
}

// events answers GET /events: one JSON object a line.
func (o operator) events(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	after, err := number(r, "after")
	if err != nil {
		return err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	for left := limit; ; {
		n := pageSize
		if limit > 0 {
			n = int(min(left, pageSize))
		}
		list, err := d.Events(r.Context(), after, n)
		if err != nil {
			return err
		}
		for _, ev := range list {
			if err := enc.Encode(ev); err != nil {
				return nil // the reader is gone
			}
			after = ev.Sequence
		}
		left -= int64(len(list))
		if len(list) < n || (limit > 0 && left == 0) {
			return nil
		}
	}
}

// health answers GET /healthz: the process lives. It asks nobody, so that a busy
// store does not get the process killed.
func (operator) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyTimeout is how long the store may take to answer GET /readyz.
const readyTimeout = 5 * time.Second

// readyAgain is when to ask again where it does not.
const readyAgain = time.Second

// ready answers GET /readyz: the store answers.
func (o operator) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := o.engine.Store.Ping(ctx); err != nil {
		o.engine.Logger.Error("not ready", "error", err)
		w.Header().Set("Retry-After", seconds(readyAgain))
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "the store does not answer"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader is gone: there is nobody to tell
}

// array writes a JSON array as its elements come.
type array struct {
	w     http.ResponseWriter
	enc   *json.Encoder
	began bool
}

func newArray(w http.ResponseWriter) *array { return &array{w: w, enc: json.NewEncoder(w)} }

func (a *array) begin() {
	sep := ","
	if !a.began {
		a.began = true
		a.w.Header().Set("Content-Type", "application/json")
		sep = "["
	}
	_, _ = a.w.Write([]byte(sep))
}

func (a *array) add(v any) {
	a.begin()
	_ = a.enc.Encode(v)
}

func (a *array) end() error {
	if !a.began {
		a.begin()
	}
	_, _ = a.w.Write([]byte("]\n"))
	return nil
}

// fail reports an error, or, when part of the array is already with the
// client, cuts the connection: a short answer must not look whole.
func (a *array) fail(err error) error {
	if a.began {
		panic(http.ErrAbortHandler)
	}
	return err
}
