package scim_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	elimity "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"
)

// floorServer is the least that a handler written by hand does: decode a body
// into a map, keep the map, encode it. It checks nothing, not even the token,
// derives nothing and has no events.
type floorServer struct {
	mu         sync.RWMutex
	users      map[string]map[string]any
	order      []string
	userName   map[string]string
	externalID map[string]string
	groups     map[string]map[string]struct{}
}

func newFloor(tb testing.TB, users int) *server {
	tb.Helper()
	f := &floorServer{
		users: map[string]map[string]any{}, groups: map[string]map[string]struct{}{},
		userName: map[string]string{}, externalID: map[string]string{},
	}
	s := &server{handler: f, floor: f}
	s.fill(tb, users)
	return s
}

func (f *floorServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/scim+json")
	id, one := strings.CutPrefix(r.URL.Path, "/Users/")
	group, isGroup := strings.CutPrefix(r.URL.Path, "/Groups/")
	switch {
	case isGroup:
		f.patchGroup(w, r, group)
	case one && r.Method == http.MethodGet:
		f.mu.RLock()
		defer f.mu.RUnlock()
		writeMap(w, http.StatusOK, f.users[id])
	case one:
		f.change(w, r, id)
	case r.Method == http.MethodPost:
		m, ok := readMap(w, r)
		if !ok {
			return
		}
		f.create(m)
		writeMap(w, http.StatusCreated, m)
	default:
		f.list(w, r)
	}
}

// create keeps a user and returns its id.
func (f *floorServer) create(m map[string]any) string {
	id := rand.Text()
	now := time.Now().UTC().Format(time.RFC3339)
	m["id"] = id
	m["meta"] = map[string]any{"resourceType": "User", "created": now, "lastModified": now, "location": "Users/" + id}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(id, m)
	f.order = append(f.order, id)
	return id
}

func (f *floorServer) createGroup(members []string) string {
	id := rand.Text()
	f.groups[id] = make(map[string]struct{}, len(members))
	for _, m := range members {
		f.groups[id][m] = struct{}{}
	}
	return id
}

func (f *floorServer) put(id string, m map[string]any) {
	f.users[id] = m
	if name, ok := m["userName"].(string); ok {
		f.userName[strings.ToLower(name)] = id
	}
	if external, ok := m["externalId"].(string); ok {
		f.externalID[external] = id
	}
}

// change answers PUT, and a PATCH of one attribute.
func (f *floorServer) change(w http.ResponseWriter, r *http.Request, id string) {
	body, ok := readMap(w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	user := f.users[id]
	if r.Method == http.MethodPut {
		body["id"], body["meta"] = id, user["meta"]
		f.put(id, body)
		writeMap(w, http.StatusOK, body)
		return
	}
	operations, _ := body["Operations"].([]any)
	for _, o := range operations {
		op, _ := o.(map[string]any)
		path, _ := op["path"].(string)
		user[path] = op["value"]
	}
	writeMap(w, http.StatusOK, user)
}

// patchGroup adds and removes members of a group and answers 204.
func (f *floorServer) patchGroup(w http.ResponseWriter, r *http.Request, id string) {
	body, ok := readMap(w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	operations, _ := body["Operations"].([]any)
	for _, o := range operations {
		op, _ := o.(map[string]any)
		if path, _ := op["path"].(string); path != "members" {
			delete(f.groups[id], quoted(path))
			continue
		}
		values, _ := op["value"].([]any)
		for _, v := range values {
			member, _ := v.(map[string]any)
			value, _ := member["value"].(string)
			f.groups[id][value] = struct{}{}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// quoted returns what is between the first two quotation marks of s.
func quoted(s string) string {
	_, s, _ = strings.Cut(s, `"`)
	s, _, _ = strings.Cut(s, `"`)
	return s
}

func (f *floorServer) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	start, _ := strconv.Atoi(query.Get("startIndex"))
	count, _ := strconv.Atoi(query.Get("count"))
	f.mu.RLock()
	defer f.mu.RUnlock()
	var page []map[string]any
	total := len(f.order)
	switch filter := query.Get("filter"); {
	case strings.HasPrefix(filter, "userName eq "):
		page, total, start = append(page, f.users[f.userName[strings.ToLower(quoted(filter))]]), 1, 1
	case strings.HasPrefix(filter, "externalId eq "):
		page, total, start = append(page, f.users[f.externalID[quoted(filter)]]), 1, 1
	default:
		for _, id := range f.order[start-1 : min(start-1+count, total)] {
			page = append(page, f.users[id])
		}
	}
	writeMap(w, http.StatusOK, map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": total, "startIndex": start, "itemsPerPage": len(page), "Resources": page,
	})
}

func readMap(w http.ResponseWriter, r *http.Request) (map[string]any, bool) {
	data, err := io.ReadAll(r.Body)
	var m map[string]any
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return m, err == nil
}

func writeMap(w http.ResponseWriter, status int, m map[string]any) {
	data, err := json.Marshal(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// elimityPeer is what is behind a server of elimity-com/scim.
type elimityPeer struct{ users, groups *elimityHandler }

// elimityHandler is the resource handler of one type. It keeps attribute maps, as that library passes them, with an index by userName
// and one by externalId. A stored map is replaced, never changed, because the
// library encodes it after the handler has returned. Groups keep their members
// among the attributes.
type elimityHandler struct {
	mu         sync.RWMutex
	resources  map[string]elimity.Resource
	order      []string
	userName   map[string]string
	externalID map[string]string
}

func newElimity(tb testing.TB, users int) *server {
	tb.Helper()
	p := &elimityPeer{users: newElimityHandler(), groups: newElimityHandler()}
	handler, err := elimity.NewServer(&elimity.ServerArgs{
		ServiceProviderConfig: &elimity.ServiceProviderConfig{MaxResults: 1000, SupportFiltering: true, SupportPatch: true},
		ResourceTypes: []elimity.ResourceType{
			{
				Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(), Handler: p.users,
				SchemaExtensions: []elimity.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}},
			},
			{Name: "Group", Endpoint: "/Groups", Schema: schema.CoreGroupSchema(), Handler: p.groups},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{handler: handler, peer: p}
	s.fill(tb, users)
	return s
}

func newElimityHandler() *elimityHandler {
	return &elimityHandler{resources: map[string]elimity.Resource{}, userName: map[string]string{}, externalID: map[string]string{}}
}

func (p *elimityPeer) createGroup(name string, members []string) string {
	list := make([]any, len(members))
	for i, id := range members {
		list[i] = map[string]any{"value": id}
	}
	return p.groups.create(map[string]any{"displayName": name, "members": list})
}

func (e *elimityHandler) create(attributes map[string]any) string {
	r, _ := e.Create(nil, attributes) // it never fails
	return r.ID
}

func (e *elimityHandler) Create(_ *http.Request, attributes elimity.ResourceAttributes) (elimity.Resource, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now().UTC()
	r := e.put(elimity.Resource{ID: rand.Text(), Attributes: attributes, Meta: elimity.Meta{Created: &now}})
	e.order = append(e.order, r.ID)
	return r, nil
}

func (e *elimityHandler) put(r elimity.Resource) elimity.Resource {
	now := time.Now().UTC()
	r.Meta.LastModified, r.Meta.Version = &now, strconv.FormatInt(now.UnixNano(), 36)
	if external, ok := r.Attributes["externalId"].(string); ok {
		r.ExternalID = optional.NewString(external)
		e.externalID[external] = r.ID
	}
	if name, ok := r.Attributes["userName"].(string); ok {
		e.userName[strings.ToLower(name)] = r.ID
	}
	e.resources[r.ID] = r
	return r
}

func (e *elimityHandler) Get(_ *http.Request, id string) (elimity.Resource, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	r, ok := e.resources[id]
	if !ok {
		return r, scimerrors.ScimErrorResourceNotFound(id)
	}
	return r, nil
}

func (e *elimityHandler) GetAll(_ *http.Request, params elimity.ListRequestParams) (elimity.Page, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if params.FilterValidator == nil {
		page := elimity.Page{TotalResults: len(e.order)}
		for _, id := range e.order[params.StartIndex-1 : min(params.StartIndex-1+params.Count, len(e.order))] {
			page.Resources = append(page.Resources, e.resources[id])
		}
		return page, nil
	}
	expression, ok := params.FilterValidator.GetFilter().(*filter.AttributeExpression)
	if !ok || expression.Operator != filter.EQ {
		return elimity.Page{}, fmt.Errorf("filter %v has no index", params.FilterValidator.GetFilter())
	}
	value, _ := expression.CompareValue.(string)
	id := e.externalID[value]
	if strings.EqualFold(expression.AttributePath.AttributeName, "userName") {
		id = e.userName[strings.ToLower(value)]
	}
	return elimity.Page{TotalResults: 1, Resources: []elimity.Resource{e.resources[id]}}, nil
}

func (e *elimityHandler) Replace(_ *http.Request, id string, attributes elimity.ResourceAttributes) (elimity.Resource, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.resources[id]
	if !ok {
		return r, scimerrors.ScimErrorResourceNotFound(id)
	}
	r.Attributes = attributes
	return e.put(r), nil
}

func (e *elimityHandler) Delete(_ *http.Request, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.resources, id)
	return nil
}

func (e *elimityHandler) Patch(_ *http.Request, id string, operations []elimity.PatchOperation) (elimity.Resource, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.resources[id]
	if !ok {
		return r, scimerrors.ScimErrorResourceNotFound(id)
	}
	r.Attributes = maps.Clone(r.Attributes)
	for _, op := range operations {
		name := op.Path.AttributePath.AttributeName
		if name != "members" {
			r.Attributes[name] = op.Value
			continue
		}
		members, _ := r.Attributes[name].([]any)
		if op.Op == elimity.PatchOperationRemove {
			r.Attributes[name] = withoutMember(members, op.Path.ValueExpression)
			continue
		}
		added, _ := op.Value.([]any)
		r.Attributes[name] = append(slices.Clip(members), added...)
	}
	return e.put(r), nil
}

// withoutMember returns the members but for the one that an expression such as
// value eq "ID" names.
func withoutMember(members []any, e filter.Expression) []any {
	named, ok := e.(*filter.AttributeExpression)
	if !ok {
		return members
	}
	out := make([]any, 0, len(members))
	for _, m := range members {
		if member, _ := m.(map[string]any); member["value"] != named.CompareValue {
			out = append(out, m)
		}
	}
	return out
}
