package scim

import (
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
)

// exchange is one request and what is needed to answer it.
type exchange struct {
	handler *Handler
	request *http.Request
	writer  http.ResponseWriter

	principal Principal
	dialect   Dialect
	set       *schema.Set
	directory *provision.Directory
	base      string // ends without a slash, or is empty
	decoder   schema.Decoder
}

// route is one row of the table of endpoints. The path is matched segment by
// segment: "*" stands for a resource endpoint or an id.
type route struct {
	method string
	path   []string
	serve  func(x *exchange, segments []string) (*response, error)
}

func routes() []route {
	return []route{
		{http.MethodGet, []string{"ServiceProviderConfig"}, (*exchange).serviceProviderConfig},
		{http.MethodGet, []string{"ResourceTypes"}, (*exchange).resourceTypes},
		{http.MethodGet, []string{"ResourceTypes", "*"}, (*exchange).resourceType},
		{http.MethodGet, []string{"Schemas"}, (*exchange).schemas},
		{http.MethodGet, []string{"Schemas", "*"}, (*exchange).schema},
		{http.MethodGet, []string{"*"}, (*exchange).list},
		{http.MethodPost, []string{"*"}, (*exchange).create},
		{http.MethodGet, []string{"*", "*"}, (*exchange).get},
		{http.MethodPut, []string{"*", "*"}, (*exchange).replace},
		{http.MethodPatch, []string{"*", "*"}, (*exchange).patch},
		{http.MethodDelete, []string{"*", "*"}, (*exchange).delete},
	}
}

// routeTable is the table of endpoints, built once and never changed.
var routeTable = routes()

// notImplemented are endpoints of RFC 7644 that this service provider does not
// have; section 3.11 asks for 501 rather than 404.
var notImplemented = map[string]bool{"Me": true, "Bulk": true, ".search": true}

// serve authenticates and answers the request.
func (x *exchange) serve() (*response, error) {
	var err error
	if x.principal, err = x.handler.authenticate(x.request); err != nil {
		return nil, err
	}
	if tenant := x.request.PathValue("connection"); tenant != "" && tenant != x.principal.Connection {
		return nil, provision.ErrNotFound
	}
	if err := x.handler.limiters.allow(x.principal.Credential, x.handler.Limits.Rate); err != nil {
		return nil, err
	}
	x.prepare()
	segments := strings.Split(strings.Trim(x.path(), "/"), "/")
	if notImplemented[segments[len(segments)-1]] {
		return nil, &Error{Status: http.StatusNotImplemented, Detail: "this endpoint is not implemented"}
	}
	return x.dispatch(segments)
}

// path returns what follows the service root.
func (x *exchange) path() string {
	if strings.HasSuffix(x.request.Pattern, "{resource...}") {
		return x.request.PathValue("resource")
	}
	return x.request.URL.Path
}

func (x *exchange) dispatch(segments []string) (*response, error) {
	method := x.request.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	var allow []string
	for i := range routeTable {
		rt := &routeTable[i]
		if !rt.match(segments) {
			continue
		}
		if rt.method == method {
			return rt.serve(x, segments)
		}
		allow = append(allow, rt.method)
	}
	if len(allow) == 0 || x.unknownEndpoint(segments[0]) {
		return nil, &Error{Status: http.StatusNotFound, Detail: "there is no such endpoint"}
	}
	return nil, &Error{Status: http.StatusMethodNotAllowed, Detail: "this endpoint does not support " + method, allow: strings.Join(allow, ", ")}
}

func (x *exchange) unknownEndpoint(name string) bool {
	switch name {
	case "ServiceProviderConfig", "ResourceTypes", "Schemas":
		return false
	}
	return x.set.Endpoint("/"+name) == nil
}

func (rt *route) match(segments []string) bool {
	if len(segments) != len(rt.path) {
		return false
	}
	for i, want := range rt.path {
		if want != "*" && want != segments[i] {
			return false
		}
	}
	return true
}

// prepare sets what the connection decides.
func (x *exchange) prepare() {
	h := x.handler
	x.dialect = dialects[0] // auto, also for a dialect of a later version
	if d, ok := LookupDialect(x.principal.Dialect); ok {
		x.dialect = d
	}
	x.decoder = schema.Decoder{Allow: x.dialect.Tolerances, MaxDepth: h.Limits.Depth, MaxString: h.Limits.String}
	x.set = standardSet
	if h.Schemas != nil {
		x.set = h.Schemas(x.principal.Connection)
	}
	x.directory = h.Engine.Directory(x.principal.Connection).As(provision.Actor{Kind: "scim", ID: x.principal.Credential})
	if h.BaseURL != nil {
		x.base = strings.TrimSuffix(h.BaseURL(x.request, x.principal.Connection), "/")
	}
}

// standardSet is the set of RFC 7643, compiled once and immutable.
var standardSet = schema.Standard()

// resourceTypeOf returns the type at an endpoint.
func (x *exchange) resourceTypeOf(endpoint string) (*schema.ResourceType, error) {
	t := x.set.Endpoint("/" + endpoint)
	if t == nil {
		return nil, &Error{Status: http.StatusNotFound, Detail: "there is no such endpoint"}
	}
	return t, nil
}

// body reads the request body within the limit of its type.
func (x *exchange) body(t *schema.ResourceType) ([]byte, error) {
	if ct := x.request.Header.Get("Content-Type"); ct != "" {
		media, _, err := mime.ParseMediaType(ct)
		if err != nil || (media != "application/scim+json" && media != "application/json") {
			return nil, &Error{Status: http.StatusUnsupportedMediaType, Detail: "the request body must be application/scim+json or application/json"}
		}
	}
	limit := x.handler.Limits.body(t.Name == provision.TypeGroup)
	if n := x.request.ContentLength; n > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	reader := http.MaxBytesReader(x.writer, x.request.Body, limit)
	if n := x.request.ContentLength; n > 0 {
		buf := make([]byte, n)
		if _, err := io.ReadFull(reader, buf); err != nil {
			return nil, badRequest("invalidSyntax", "the request body ended early")
		}
		return buf, nil
	}
	data, err := io.ReadAll(reader)
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}
