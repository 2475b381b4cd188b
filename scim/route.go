package scim

import (
	"net/http"
	"strings"

	"github.com/scimjit/provision/internal/mount"
	"github.com/scimjit/provision/scim/schema"
)

// route is one row of the table of endpoints. The path is matched segment by
// segment: "*" stands for a resource endpoint or an id. The first row that
// matches path and method answers.
type route struct {
	method string
	path   string
	serve  func(x *exchange, segments []string) (*response, error)
}

func routes() []route {
	return []route{
		{http.MethodGet, "ServiceProviderConfig", discovery((*exchange).serviceProviderConfig)},
		{http.MethodGet, "ResourceTypes", discovery((*exchange).resourceTypes)},
		{http.MethodGet, "ResourceTypes/*", discovery((*exchange).resourceType)},
		{http.MethodGet, "Schemas", discovery((*exchange).schemas)},
		{http.MethodGet, "Schemas/*", discovery((*exchange).schema)},
		{http.MethodGet, "Me", (*exchange).me},
		{http.MethodPut, "Me", (*exchange).me},
		{http.MethodPatch, "Me", (*exchange).me},
		{http.MethodDelete, "Me", (*exchange).me},
		{http.MethodPost, "Bulk", (*exchange).bulk},
		{http.MethodPost, ".search", (*exchange).search},
		{http.MethodPost, "*/.search", (*exchange).search},
		{http.MethodGet, "", (*exchange).list},
		{http.MethodGet, "*", (*exchange).list},
		{http.MethodPost, "*", write((*exchange).create)},
		{http.MethodGet, "*/*", (*exchange).get},
		{http.MethodPut, "*/*", write((*exchange).replace)},
		{http.MethodPatch, "*/*", write((*exchange).patch)},
		{http.MethodDelete, "*/*", write((*exchange).delete)},
	}
}

// routeTable is the table of endpoints with the paths split, built once and
// never changed.
var routeTable = splitRoutes()

type splitRoute struct {
	route
	segments []string
}

func splitRoutes() []splitRoute {
	var table []splitRoute
	for _, r := range routes() {
		table = append(table, splitRoute{r, mount.Split(r.path)})
	}
	return table
}

func (r *splitRoute) match(segments []string) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	for i, want := range r.segments {
		if want != "*" && want != segments[i] {
			return false
		}
	}
	return true
}

// fixedEndpoints are the first segments that are no resource endpoints.
var fixedEndpoints = map[string]bool{
	"ServiceProviderConfig": true, "ResourceTypes": true, "Schemas": true, "Me": true, "Bulk": true, searchEndpoint: true,
}

// searchEndpoint follows a resource endpoint, or the service root.
const searchEndpoint = ".search"

// isEndpoint reports whether a segment is one that begins what follows the
// service root, and nothing else.
func (x *exchange) isEndpoint(segment string) bool {
	return fixedEndpoints[segment] && segment != searchEndpoint || x.set.Endpoint("/"+segment) != nil
}

// dispatch answers by the row of the table that matches the segments that follow
// the service root.
func (x *exchange) dispatch(segments []string) (*response, error) {
	method := x.method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	fixed := len(segments) == 0 || fixedEndpoints[segments[0]]
	if !fixed && x.set.Endpoint("/"+segments[0]) == nil {
		return nil, errNoEndpoint
	}
	var allow []string
	for i := range x.routes {
		r := &x.routes[i]
		if !r.match(segments) || (fixed && len(r.segments) > 0 && r.segments[0] == "*") {
			continue
		}
		if r.method == method {
			return r.serve(x, segments)
		}
		allow = append(allow, r.method)
	}
	if len(allow) == 0 {
		return nil, errNoEndpoint
	}
	refusal := refuse(codeBadMethod, "this endpoint does not support %s", method)
	refusal.allow = strings.Join(allow, ", ")
	return nil, refusal
}

// errNoEndpoint answers a path that is not in the table.
var errNoEndpoint = refuse(codeUnknownEndpoint, "there is no such endpoint")

// resourceTypeOf returns the type at the endpoint that the path names.
func (x *exchange) resourceTypeOf(segments []string) (*schema.ResourceType, error) {
	if t := x.set.Endpoint("/" + segments[0]); t != nil {
		return t, nil
	}
	return nil, errNoEndpoint
}
