package scim

import (
	"net/http"
	"slices"

	"github.com/scimjit/provision/scim/schema"
)

// meta is the attribute "meta" of what clients discover, which has no times and
// no version.
type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

// discovered is the list response of a discovery endpoint.
type discovered[T any] struct {
	Schemas      []string `json:"schemas"`
	TotalResults int      `json:"totalResults"`
	StartIndex   int      `json:"startIndex"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []T      `json:"Resources"`
}

// discovery returns the answer of a discovery endpoint, which cannot be filtered
// (RFC 7644 section 4). Each row of the table of endpoints that discovers goes
// through it.
func discovery(serve func(*exchange, []string) (*response, error)) func(*exchange, []string) (*response, error) {
	return func(x *exchange, segments []string) (*response, error) {
		if x.values.Has("filter") {
			return nil, refuse(codeFilterNotSupported, "this endpoint does not support filter")
		}
		return serve(x, segments)
	}
}

// discoveryList answers with all resources of a discovery endpoint.
func discoveryList[T any](list []T) (*response, error) {
	n := len(list)
	return jsonResponse(http.StatusOK, discovered[T]{[]string{listSchema}, n, 1, n, list})
}

// address returns the address of a discovery resource.
func (x *exchange) address(path string) string {
	if x.base == "" {
		return path
	}
	return x.base + "/" + path
}

// providerConfig is the resource of RFC 7643 section 5, with the pagination of
// RFC 9865.
type providerConfig struct {
	Schemas               []string               `json:"schemas"`
	Patch                 supported              `json:"patch"`
	Bulk                  bulkConfig             `json:"bulk"`
	Filter                filterConfig           `json:"filter"`
	ChangePassword        supported              `json:"changePassword"`
	Sort                  supported              `json:"sort"`
	ETag                  supported              `json:"etag"`
	Pagination            paginationConfig       `json:"pagination"`
	AuthenticationSchemes []authenticationScheme `json:"authenticationSchemes"`
	Meta                  meta                   `json:"meta"`
}

type supported struct {
	Supported bool `json:"supported"`
}

type bulkConfig struct {
	supported
	MaxOperations  int   `json:"maxOperations"`
	MaxPayloadSize int64 `json:"maxPayloadSize"` // bytes
}

type filterConfig struct {
	supported
	MaxResults int `json:"maxResults"`
}

type paginationConfig struct {
	Cursor                  bool   `json:"cursor"`
	Index                   bool   `json:"index"`
	DefaultPaginationMethod string `json:"defaultPaginationMethod"`
	DefaultPageSize         int    `json:"defaultPageSize"`
	MaxPageSize             int    `json:"maxPageSize"`
	CursorTimeout           int    `json:"cursorTimeout"` // seconds
}

type authenticationScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary,omitempty"`
}

// serviceProviderConfig claims only what works.
func (x *exchange) serviceProviderConfig([]string) (*response, error) {
	limits, yes := x.handler.Limits, supported{true}
	return jsonResponse(http.StatusOK, providerConfig{
		Schemas: []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		Patch:   yes,
		Bulk:    bulkConfig{yes, limits.bulkOperations(), limits.bulkBody()},
		Filter:  filterConfig{yes, limits.count()},
		Sort:    yes,
		ETag:    yes,
		Pagination: paginationConfig{
			Cursor: true, Index: true, DefaultPaginationMethod: "index",
			DefaultPageSize: limits.pageSize(), MaxPageSize: limits.count(), CursorTimeout: int(limits.cursor().Seconds()),
		},
		AuthenticationSchemes: []authenticationScheme{
			{"oauthbearertoken", "Bearer token", "A token of the connection in the Authorization header", "https://www.rfc-editor.org/info/rfc6750", true},
			{"httpbasic", "HTTP Basic", "A user name and password of the connection", "https://www.rfc-editor.org/info/rfc7617", false},
		},
		Meta: meta{"ServiceProviderConfig", x.address("ServiceProviderConfig")},
	})
}

// resourceTypeResource is the resource of RFC 7643 section 6.
type resourceTypeResource struct {
	Schemas     []string          `json:"schemas"`
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Endpoint    string            `json:"endpoint"`
	Description string            `json:"description,omitempty"`
	Schema      string            `json:"schema"`
	Extensions  []schemaExtension `json:"schemaExtensions"`
	Meta        meta              `json:"meta"`
}

type schemaExtension struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

func (x *exchange) resourceTypes([]string) (*response, error) {
	list := []resourceTypeResource{}
	for _, t := range x.set.Types() {
		list = append(list, x.resourceTypeResource(t))
	}
	return discoveryList(list)
}

func (x *exchange) resourceType(segments []string) (*response, error) {
	t := x.set.Type(segments[1])
	if t == nil {
		return nil, refuse(codeUnknownResource, "there is no resource type %q", segments[1])
	}
	return jsonResponse(http.StatusOK, x.resourceTypeResource(t))
}

func (x *exchange) resourceTypeResource(t *schema.ResourceType) resourceTypeResource {
	r := resourceTypeResource{
		Schemas:     []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"},
		ID:          t.Name,
		Name:        t.Name,
		Endpoint:    t.Endpoint,
		Description: t.Description,
		Schema:      t.Schema,
		Extensions:  []schemaExtension{},
		Meta:        meta{"ResourceType", x.address("ResourceTypes/" + t.Name)},
	}
	for _, e := range t.Extensions {
		r.Extensions = append(r.Extensions, schemaExtension{e.Name, t.RequiredExtensions[e.Name]})
	}
	return r
}

// schemaResource is the resource of RFC 7643 section 7.
type schemaResource struct {
	schema.Published
	Meta meta `json:"meta"`
}

func (x *exchange) schemas([]string) (*response, error) {
	list := []schemaResource{}
	for _, s := range x.set.Published() {
		list = append(list, x.schemaResource(s))
	}
	return discoveryList(list)
}

func (x *exchange) schema(segments []string) (*response, error) {
	for _, s := range x.set.Published() {
		if s.ID == segments[1] {
			return jsonResponse(http.StatusOK, x.schemaResource(s))
		}
	}
	return nil, refuse(codeUnknownResource, "there is no schema %q", segments[1])
}

func (x *exchange) schemaResource(s schema.Published) schemaResource {
	if s.ID == schema.GroupURN && !x.dialect.UniqueGroupNames {
		s.Attributes = notUnique(s.Attributes)
	}
	return schemaResource{s, meta{"Schema", x.address("Schemas/" + s.ID)}}
}

// notUnique returns a copy of attributes of which none is unique in the server.
func notUnique(attributes []schema.PublishedAttribute) []schema.PublishedAttribute {
	attributes = slices.Clone(attributes)
	for i := range attributes {
		a := &attributes[i]
		if a.Uniqueness == schema.Server.String() {
			a.Uniqueness = schema.None.String()
		}
		a.Sub = notUnique(a.Sub)
	}
	return attributes
}
