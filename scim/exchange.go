package scim

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// exchange is one request and what is needed to answer it. An operation of a
// bulk request is an exchange of its own.
type exchange struct {
	handler *Handler
	request *http.Request
	writer  http.ResponseWriter

	segments []string // of the path, without Handler.Prefix
	tenant   string   // the connection that the path names, or empty

	principal  Principal
	recognized *provision.Recognized // nil with Handler.Authenticate
	again      bool                  // the credential turned out to have changed
	dialect    Dialect
	set        *schema.Set
	directory  *provision.Directory
	base       string // ends without a slash, or is empty
	decoder    schema.Decoder
	pace       *pace // of the request, which bulk operations share
	own        pace

	answered    []string // the segments below the service root, once they are known
	method      string
	ifMatch     []string
	ifNoneMatch []string
	values      url.Values // the query parameters, or what stands for them
	routes      []splitRoute
	data        []byte        // the body of a bulk operation; nil reads the request
	sent        []byte        // the body of the request, once it was read
	written     schema.Object // the document of a write, for the text of an error
	allowed     bool          // Handler.Before has allowed it, as a part of what it saw
	bare        bool          // nobody reads the resource that a write answers with
}

// serve authenticates and answers the request. Where a credential that the engine
// remembered turns out to have changed, it does so anew.
func (x *exchange) serve() (*response, error) {
	resp, err := x.serveOnce()
	if x.recognized == nil {
		return resp, err
	}
	if confirmErr := x.confirm(); confirmErr != nil {
		resp, err = nil, confirmErr
	}
	if errors.Is(err, provision.ErrUnauthenticated) && !x.again {
		x.again, x.recognized, x.principal = true, nil, Principal{}
		x.values, x.allowed, x.written = nil, false, nil
		return x.serveOnce()
	}
	return resp, err
}

func (x *exchange) serveOnce() (*response, error) {
	if err := x.authenticate(); err != nil {
		return nil, err
	}
	if x.tenant != "" && x.tenant != x.principal.Connection {
		return nil, provision.ErrNotFound
	}
	if err := x.handler.allow(x.request.Context(), x.principal); err != nil {
		return nil, err
	}
	x.own = x.handler.turns.begin(x.principal.Connection)
	x.pace = &x.own
	if err := x.prepare(); err != nil {
		return nil, err
	}
	segments, err := x.belowRoot()
	if err != nil {
		return nil, err
	}
	x.answered = segments
	if x.answered == nil {
		x.answered = []string{}
	}
	return x.dispatch(segments)
}

// prepare sets what the connection decides.
func (x *exchange) prepare() error {
	h := x.handler
	name := x.principal.Dialect
	if name == "" && h.Authenticate != nil {
		conn, err := h.Engine.Directory(x.principal.Connection).Connection(x.request.Context())
		if err != nil {
			return err
		}
		name = conn.Dialect
	}
	x.dialect = dialectOf(name)
	x.decoder = x.newDecoder()
	x.set = standardSet
	if h.Schemas != nil {
		x.set = h.Schemas(x.principal.Connection)
	}
	x.directory = x.directory.Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: x.principal.Credential})
	if h.BaseURL != nil {
		x.base = strings.TrimSuffix(h.BaseURL(x.request, x.principal.Connection), "/")
	}
	x.method = x.request.Method
	x.ifMatch = x.request.Header["If-Match"]
	x.ifNoneMatch = x.request.Header["If-None-Match"]
	return x.readQuery()
}

// parameters are the query parameters that mean something (RFC 7644 section
// 3.4.2, RFC 9865), by their names in lower case: clients write them in any case.
var parameters = map[string]string{
	"filter": "filter", "sortby": "sortBy", "sortorder": "sortOrder", "startindex": "startIndex", "count": "count",
	"attributes": "attributes", "excludedattributes": "excludedAttributes", "cursor": "cursor",
}

// readQuery parses the query parameters. What cannot be parsed is refused: a
// filter that is lost would match everybody.
func (x *exchange) readQuery() error {
	if x.request.URL.RawQuery == "" {
		return nil
	}
	sent, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		return refuse(codeBadParameter, "the query is malformed: is every %%, ; and & in a value encoded?")
	}
	x.values = make(url.Values, len(sent))
	for name, values := range sent {
		if known := parameters[strings.ToLower(name)]; known != "" {
			x.values[known] = append(x.values[known], values...)
		}
	}
	if len(x.values["filter"]) > 1 {
		return refuse(schema.CodeBadFilter, "filter: there is more than one filter")
	}
	return nil
}

func (x *exchange) newDecoder() schema.Decoder {
	limits := x.handler.Limits
	return schema.Decoder{Allow: x.dialect.Tolerances, MaxDepth: limits.Depth, MaxString: limits.String}
}

// standardSet is the set of RFC 7643, compiled once and immutable.
var standardSet = schema.Standard()

// operation returns an exchange for one operation of a bulk request.
func (x *exchange) operation(method string, data []byte, version string) *exchange {
	op := *x
	op.decoder = x.newDecoder()
	op.method, op.values, op.ifNoneMatch, op.ifMatch = method, nil, nil, nil
	op.data, op.bare = data, true
	if op.data == nil {
		op.data = []byte{}
	}
	if version != "" {
		op.ifMatch = []string{version}
	}
	return &op
}
