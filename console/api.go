package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// API answers the requests of administrators. Set the fields before the first request and
// do not change or copy it after; then it is safe for concurrent use.
type API struct {
	// Engine is what the requests are about. It is required.
	Engine *provision.Engine

	// Who says who sends a request. An error refuses it: a [*Problem] as it says, any
	// other with 401. nil refuses everybody. It may look at cookies: requests by which a
	// page of another origin would change something are refused before.
	Who func(*http.Request) (Viewer, error)

	// Check refuses settings that the application cannot serve, before they are saved; a
	// [*Problem], a [*provision.ConnectionError] and a [*policy.ConfigError] are answered.
	// nil refuses none beside those that the engine refuses.
	Check func(context.Context, provision.Connection) error

	// CheckDirectory says what the directory of a connection would bring and what is wrong
	// with it, as a JSON object, such as Check of a server of package jit/ldap. nil means
	// that nobody can look.
	CheckDirectory func(ctx context.Context, connection string) (any, error)

	// TestLogin makes the path of a page on which whoever has it tries one login, such as
	// TestLink of package jit/saml. nil means that there is none.
	TestLogin func(ctx context.Context, connection string) (path string, err error)

	// Consumer is the consumer that parked events are of where a request names none.
	Consumer string

	// MaxSync bounds the body of a sync; 0 means 1 GiB.
	MaxSync int64

	// Aliases also answers the addresses that name the connection by a parameter, such as
	// GET /accounts?connection=ID; see [Operation.Alias]. Their lists have no end but that
	// of the list.
	Aliases bool

	// Logger receives what went wrong; nil means that of the engine.
	Logger *slog.Logger

	once sync.Once
	mux  *http.ServeMux
	rows []route
}

// endpoint is what the mux knows of an address: the rows of the table that have it. Of two
// one is for a connection that a parameter names, and the other one for none.
type endpoint struct {
	api    *API
	routes []bound
}

// bound is a row at one of its addresses.
type bound struct {
	*route
	alias bool
}

// build makes the mux of the table.
func (a *API) build() {
	at := map[string]*endpoint{}
	a.mux, a.rows = http.NewServeMux(), table()
	add := func(pattern string, b bound) {
		if at[pattern] == nil {
			at[pattern] = &endpoint{api: a}
			a.mux.Handle(pattern, at[pattern])
		}
		at[pattern].routes = append(at[pattern].routes, b)
	}
	for i := range a.rows {
		r := &a.rows[i]
		add(r.method+" "+r.path, bound{r, false})
		if a.Aliases && r.alias != "" {
			add(r.method+" "+r.alias, bound{r, true})
		}
	}
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.once.Do(a.build)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if _, pattern := a.mux.Handler(r); pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		a.refuse(w, r, a.unknown(w, r))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// unknown is the problem of an address that the table does not have, or not with the
// method.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) *Problem {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := a.mux.Handler(&other); pattern != "" && path.Clean(r.URL.Path) == r.URL.Path {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &Problem{Status: http.StatusMethodNotAllowed, Code: codeMethod, Detail: "here is only " + strings.Join(allowed, " and ")}
	}
	return missing("there is no %s %q%s", r.Method, r.URL.Path, near(path.Base(r.URL.Path), a.lastSegments()))
}

// lastSegments are the words at the end of an address.
func (a *API) lastSegments() []string {
	var words []string
	for _, r := range a.rows {
		if word := path.Base(r.path); !strings.HasPrefix(word, "{") {
			words = append(words, word)
		}
	}
	return words
}

// near says which word may be meant, as the end of a message.
func near(given string, words []string) string {
	if word := policy.Nearest(given, words); word != "" && word != given {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return ""
}

// ServeHTTP answers a request for the address: it finds out who asks, whether they may, and
// only then looks at the rest of the request.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := e.api
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a value that is thrown, not an error that is returned
				panic(p)
			}
			a.refuse(w, r, fmt.Errorf("console: panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		a.refuse(w, r, &Problem{Status: http.StatusForbidden, Code: codeCrossOrigin, Detail: "a page of another origin has sent this"})
		return
	}
	viewer, err := a.viewer(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	c := &call{api: a, w: w, r: r, viewer: viewer, bound: e.choose(r)}
	if err := c.serve(); err != nil {
		a.refuse(w, r, err)
	}
}

// choose returns the row of a request. Where an address has two, the one of a connection
// needs the parameter connection.
func (e *endpoint) choose(r *http.Request) bound {
	named := r.URL.Query().Has("connection")
	i := slices.IndexFunc(e.routes, func(b bound) bool { return b.alias == named })
	return e.routes[max(0, i)]
}

// viewer returns who sends a request.
func (a *API) viewer(r *http.Request) (Viewer, error) {
	unknown := &Problem{Status: http.StatusUnauthorized, Code: codeWho, Detail: "nobody knows who sends this: sign in first"}
	if v, ok := r.Context().Value(viewerKey{}).(Viewer); ok {
		return v, nil // a page asks, which knows
	}
	if a.Who == nil {
		return Viewer{}, unknown
	}
	v, err := a.Who(r)
	if said := (*Problem)(nil); errors.As(err, &said) {
		return Viewer{}, said
	}
	if err != nil {
		return Viewer{}, unknown
	}
	return v, nil
}

func (a *API) logger() *slog.Logger {
	switch {
	case a.Logger != nil:
		return a.Logger
	case a.Engine.Logger != nil:
		return a.Engine.Logger
	}
	return slog.Default()
}
