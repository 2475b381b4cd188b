package scim

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// Handler is a SCIM 2.0 service provider (RFC 7644). Its zero value with an
// Engine is ready to use. It works under any router and at any prefix, whether the
// router removes the prefix from the path or not: see [Handler.Prefix].
//
// Set the fields before the first request and do not change them after.
type Handler struct {
	// Engine keeps and derives. It is required.
	Engine *provision.Engine

	// Prefix is the path of the service root in the requests that come here, such
	// as "/scim/v2". What follows it must be an address of the root, and nothing
	// else is answered. A router may have removed the prefix, as a whole.
	//
	// Empty finds the root: what follows it begins at the first segment that is
	// an endpoint, such as "Users" or "Bulk", so that "/Users/1" and
	// "/a/b/c/Users/1" are the same. A path without such a segment is the root
	// itself when it is empty, ends with "v2" or is the path of BaseURL, and
	// unknown otherwise. Set Prefix where the path of the root has an endpoint
	// in it.
	//
	// A segment "{connection}" stands for the id of a connection: a credential of
	// another connection is answered with 404. So is it where the router has set
	// the path value "connection" ([http.Request.PathValue]). In either case the
	// path only refuses: which directory a request sees is decided by its
	// credential alone.
	Prefix string

	// Authenticate finds who sent a request; nil asks the Engine for the bearer
	// token or Basic password in the Authorization header. A refusal is
	// [provision.ErrUnauthenticated]; other errors are answered like any error
	// of the store.
	Authenticate func(*http.Request) (Principal, error)

	// Address returns the address of the client that sent a request, which
	// refusals ([provision.Plumbing.CountRefusal]) and failed authentications are
	// counted by. Of the latter, from the tenth in a minute they are
	// answered with 429 ([provision.Plumbing.CountFailure]). A request with a valid credential always passes, and one
	// without an Authorization header does not count. Nil takes
	// [http.Request.RemoteAddr]. Behind a proxy, return what the proxy says; a
	// header that clients can set lets them evade the count.
	Address func(*http.Request) string

	// BaseURL returns the address of the service root for a request, such as
	// "https://app.example/scim/v2", which meta.location and $ref start with.
	// Nil makes them relative, as RFC 7643 section 2.3.7 allows. It must not
	// trust the Host header.
	BaseURL func(r *http.Request, connection string) string

	// Schemas returns the resource types of a connection; nil means User with
	// the enterprise extension, and Group.
	Schemas func(connection string) *schema.Set

	// Me returns the id of the user that a request to /Me is about, or
	// [provision.ErrNotFound]. Nil answers /Me with 501.
	//
	// Whoever knows a user by a name, such as [Principal.Subject], finds it by
	// [provision.Directory.UserNamed], which takes nobody for somebody else.
	Me func(*http.Request, Principal) (id string, err error)

	// Before, when not nil, is asked before each write and may refuse it; see
	// [Operation].
	Before func(context.Context, Operation) error

	// Limits bounds requests and answers.
	Limits Limits

	// ContentType is what answers are labeled with; empty means
	// "application/scim+json". OneLogin's documentation asks for
	// "application/json".
	ContentType string

	// Logger receives the causes that clients are not told; nil means
	// slog.Default(). Nothing logged holds a secret or a request body.
	Logger *slog.Logger

	limiters limiters
	turns    turns
}

// Principal is who sent a request.
type Principal struct {
	Connection string // id of the connection whose directory the request sees
	Credential string // id for the event log, not a secret
	Dialect    string // empty means that of the connection

	// Subject is whom a token says that it is about (the claim "sub" of a JWT), as it
	// was written; empty for other credentials. It is a name like any other: it
	// grants nothing.
	Subject string
}

// Limits bounds requests and answers. A zero field means its default.
type Limits struct {
	Body       int64 // bytes of a request body, also of what gzip makes of it; default 1 MiB
	GroupBody  int64 // the same at /Groups; default 16 MiB
	Depth      int   // nesting of a request body; default 32
	String     int   // bytes of one string in a request body; default 64 KiB
	Count      int   // resources in a page; default 1000
	PageSize   int   // resources in a page where the client does not say; default 100
	Answer     int   // bytes of a page, which is cut short for it, to one resource at least; default 8 MiB
	ScanRows   int   // resources that a filter or a sort may have to look at; default 200,000
	Operations int   // operations in a PATCH; default 1000

	// ScanTime is how long a filter or a sort may work; what it waits for others does
	// not count. The default is 2 seconds. How many of a connection may work at a time
	// is Limits.Scans of the engine.
	ScanTime time.Duration

	Cursor time.Duration // how long a cursor of RFC 9865 may be used; default an hour

	BulkBody       int64 // bytes of a bulk request; default 4 MiB
	BulkOperations int   // operations in a bulk request; default 1000

	Filter filter.Limits

	// Rate is how many requests per second one credential may send; bursts of
	// five seconds' worth are allowed. The default is 200, which bounds a
	// runaway client and disturbs no identity provider: they need 25. A negative
	// number is no limit.
	//
	// Several processes on one store allow as much together. Each takes a second's
	// worth at a time from what is left for all ([provision.Plumbing.TakeRequests]), and
	// begins with as much: so they allow at most a second's worth more for each process.
	// A process alone writes once in as many requests, and one whose credential has used
	// up everything four times a second at most. While the store does not answer, each
	// process counts for itself. With [provision.Engine.SingleProcess] the store is
	// never asked.
	Rate float64

	// ConnectionRate is how many requests per second all credentials of a connection may
	// send together, with bursts as for Rate. 0 is no limit of its own: the two
	// credentials of a connection send twice Rate at most. A host that sets Authenticate,
	// or has tokens of OAuth, may have many for one connection.
	ConnectionRate float64
}

func (l Limits) rate() float64 {
	if l.Rate == 0 {
		return 200
	}
	return max(l.Rate, 0)
}

func (l Limits) body(group bool) int64 {
	limit, def := l.Body, int64(1<<20)
	if group {
		limit, def = l.GroupBody, 16<<20
	}
	if limit > 0 {
		return limit
	}
	return def
}

func (l Limits) bulkBody() int64 {
	if l.BulkBody > 0 {
		return l.BulkBody
	}
	return 4 << 20
}

func (l Limits) cursor() time.Duration {
	if l.Cursor > 0 {
		return l.Cursor
	}
	return time.Hour
}

func (l Limits) bulkOperations() int { return orDefault(l.BulkOperations, 1000) }

func (l Limits) count() int    { return orDefault(l.Count, 1000) }
func (l Limits) pageSize() int { return min(orDefault(l.PageSize, 100), l.count()) }

func (l Limits) answer() int { return orDefault(l.Answer, 8<<20) }

func (l Limits) patch() patch.Limits {
	return patch.Limits{Operations: l.Operations, Filter: l.Filter}
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{handler: h, request: r, writer: w, routes: routeTable}
	defer h.recover(x, began)
	x.segments, x.tenant = h.locate(r)
	resp, err := x.serve()
	if err != nil {
		h.countRefusal(x, err)
		x.noteRefusal(h.writeError(w, r, err), err, began)
		return
	}
	x.noteAnswer(resp, began)
	if err := resp.write(w, h.contentType()); err != nil {
		h.logger().ErrorContext(r.Context(), "an answer was cut off", "error", err)
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
}

// recover turns a panic into a 500 with an id that the log line carries too.
func (h *Handler) recover(x *exchange, began time.Time) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // the value net/http documents for panic
		panic(v)
	}
	err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	x.noteRefusal(h.writeError(x.writer, x.request, err), err, began)
}

func (h *Handler) contentType() string {
	if h.ContentType != "" {
		return h.ContentType
	}
	return defaultContentType
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}
