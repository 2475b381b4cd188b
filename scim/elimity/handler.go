package elimity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	server "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/schema"
)

// Handler is the callbacks of one resource type. It is safe for concurrent use.
//
// Every error of its methods is a ScimError of elimity-com/scim: 404 for an
// unknown id, 409 "uniqueness" for a taken name, 400 with its type for what the
// schema or the dialect refuses. A private cause is only in the log of the
// scim.Handler.
type Handler struct {
	provider *scim.Handler
	endpoint string
	schema   string
}

var (
	_ server.ResourceHandler  = (*Handler)(nil)
	_ server.ResourceSearcher = (*Handler)(nil)
)

// New returns the callbacks of the resource type t, of which it uses the
// endpoint and the schema. The provider must have a resource type at that
// endpoint with that schema: a type beyond User and Group needs its field
// Schemas; see [Definition].
//
// The provider sees each request with the path and the query of its own
// endpoints. The header, the context, the path values and the connection
// remain, so its fields Authenticate and BaseURL work as if it were mounted.
func New(provider *scim.Handler, t server.ResourceType) *Handler {
	return &Handler{provider: provider, endpoint: t.Endpoint, schema: t.Schema.ID}
}

// Definition returns the definition of a resource type for schema.Compile. The
// caller adds what is to be indexed and unique.
func Definition(t server.ResourceType) schema.Definition {
	def := schema.Definition{Name: t.Name, Endpoint: t.Endpoint, Description: t.Description.Value(), Schema: t.Schema}
	for _, e := range t.SchemaExtensions {
		def.Extensions = append(def.Extensions, schema.Extension{Schema: e.Schema, Required: e.Required})
	}
	return def
}

// Create implements ResourceHandler.
func (h *Handler) Create(r *http.Request, attributes server.ResourceAttributes) (server.Resource, error) {
	return h.resource(r, http.MethodPost, h.endpoint, h.body(attributes))
}

// Get implements ResourceHandler.
func (h *Handler) Get(r *http.Request, id string) (server.Resource, error) {
	path, err := h.path(id)
	if err != nil {
		return server.Resource{}, err
	}
	return h.resource(r, http.MethodGet, path, nil)
}

// Replace implements ResourceHandler. As with a PUT to the provider, a dialect
// may keep externalId, active and members where the attributes lack them.
func (h *Handler) Replace(r *http.Request, id string, attributes server.ResourceAttributes) (server.Resource, error) {
	path, err := h.path(id)
	if err != nil {
		return server.Resource{}, err
	}
	return h.resource(r, http.MethodPut, path, h.body(attributes))
}

// Patch implements ResourceHandler. For a group it returns no attributes, which
// the server answers with 204, unless the request asks for some: its members
// may be many.
func (h *Handler) Patch(r *http.Request, id string, operations []server.PatchOperation) (server.Resource, error) {
	path, err := h.path(id)
	if err != nil {
		return server.Resource{}, err
	}
	return h.resource(r, http.MethodPatch, path, patchMessage(operations))
}

// Delete implements ResourceHandler.
func (h *Handler) Delete(r *http.Request, id string) error {
	path, err := h.path(id)
	if err != nil {
		return err
	}
	_, err = h.send(r, http.MethodDelete, path, nil, nil)
	return err
}

// GetAll implements ResourceHandler. The resources of a page are in the order of
// their creation, or that of the query parameters sortBy and sortOrder.
func (h *Handler) GetAll(r *http.Request, params server.ListRequestParams) (server.Page, error) {
	q := r.URL.Query()
	return h.page(r, server.SearchParams{
		Attributes: q["attributes"], ExcludedAttributes: q["excludedAttributes"],
		SortBy: q.Get("sortBy"), SortOrder: q.Get("sortOrder"),
		StartIndex: params.StartIndex, Count: params.Count, FilterValidator: params.FilterValidator,
	})
}

// Search implements ResourceSearcher: POST .search on the resource type.
func (h *Handler) Search(r *http.Request, params server.SearchParams) (server.Page, error) {
	return h.page(r, params)
}

func (h *Handler) page(r *http.Request, params server.SearchParams) (server.Page, error) {
	q := url.Values{
		"startIndex": {strconv.Itoa(params.StartIndex)},
		"count":      {strconv.Itoa(params.Count)},
	}
	set := func(name, text string) {
		if text != "" {
			q.Set(name, text)
		}
	}
	set("attributes", strings.Join(params.Attributes, ","))
	set("excludedAttributes", strings.Join(params.ExcludedAttributes, ","))
	set("sortBy", params.SortBy)
	set("sortOrder", params.SortOrder)
	if v := params.FilterValidator; v != nil {
		q.Set("filter", filterText(v.GetFilter()))
	}
	data, err := h.send(r, http.MethodGet, h.endpoint, q, nil)
	if err != nil {
		return server.Page{}, err
	}
	return decodePage(data)
}

// resource makes a request about one resource. The answer may be empty.
func (h *Handler) resource(r *http.Request, method, path string, body any) (server.Resource, error) {
	q := url.Values{}
	for _, name := range []string{"attributes", "excludedAttributes"} {
		if list := r.URL.Query()[name]; list != nil {
			q[name] = list
		}
	}
	data, err := h.send(r, method, path, q, body)
	if err != nil || len(data) == 0 {
		return server.Resource{}, err
	}
	return decodeResource(data)
}

// path returns the path of a resource. The server passes on any text as an id.
func (h *Handler) path(id string) (string, error) {
	if id == "" || strings.Contains(id, "/") {
		return "", scimerrors.ScimError{Status: http.StatusNotFound, Detail: "there is no such resource"}
	}
	return h.endpoint + "/" + id, nil
}

// send makes a request to the provider and returns the body of its answer.
func (h *Handler) send(r *http.Request, method, path string, query url.Values, body any) ([]byte, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, scimerrors.ScimErrorInvalidValue
		}
	}
	inner := r.Clone(r.Context())
	inner.Method = method
	inner.URL = &url.URL{Path: path, RawQuery: query.Encode()}
	inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	inner.Header.Del("If-None-Match") // the server cannot answer 304
	inner.Header.Set("Content-Type", "application/scim+json")
	w := answer{header: http.Header{}}
	h.provider.ServeHTTP(&w, inner)
	if w.status >= http.StatusBadRequest {
		return nil, w.err(r.Method)
	}
	return w.body.Bytes(), nil
}

// answer keeps what the provider answers.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// err returns the error of an answer with a status that the server accepts for
// the method: it would replace any other together with the detail.
func (a *answer) err(method string) error {
	var e scimerrors.ScimError
	if err := json.Unmarshal(a.body.Bytes(), &e); err != nil {
		return fmt.Errorf("elimity: the answer with status %d is not a SCIM error", a.status)
	}
	if scimerrors.CheckScimError(e, method).Status == e.Status {
		return e
	}
	e.Status = http.StatusInternalServerError
	if a.status == http.StatusRequestEntityTooLarge {
		e.Status = http.StatusBadRequest
	}
	return e
}
