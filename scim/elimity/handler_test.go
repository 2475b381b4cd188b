package elimity_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	server "github.com/elimity-com/scim"
	escimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	eschema "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/elimity"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

const (
	userSchemas  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	groupSchemas = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	patchSchemas = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
)

// TestUser follows one user through the server, and compares what the server
// answers with what scim.Handler answers for the same resource.
func TestUser(t *testing.T) {
	f := newFixture(t, defaults("rfc"))
	created := send(t, f.theirs, "POST", "/Users", `{
		"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"userName":"ada@example.com","externalId":"<42>","name":{"givenName":"Ada & Co"},"password":"secret-1","x":1,
		"emails":[{"value":"ada@example.com","type":"work","primary":true},{"value":"a@home.example","type":"home"}],
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Quay"}}`)
	if created.Code != http.StatusCreated || created.Header().Get("Etag") != `W/"1"` {
		t.Fatalf("status %d, ETag %q: %s", created.Code, created.Header().Get("Etag"), created.Body)
	}
	path := "/Users/" + text(created.Body.Bytes(), "id")
	if got := created.Header().Get("Location"); "/"+got != path {
		t.Errorf("Location %q, want %q", got, path)
	}
	same := func(step string, body []byte) {
		t.Helper()
		if diff := cmp.Diff(comparable(t, send(t, f.ours, "GET", path, "").Body.Bytes()), comparable(t, body)); diff != "" {
			t.Errorf("%s (-scim.Handler +server):\n%s", step, diff)
		}
	}
	same("create", created.Body.Bytes())
	if strings.Contains(created.Body.String(), "secret-1") {
		t.Error("the password comes back")
	}
	same("get", send(t, f.theirs, "GET", path, "").Body.Bytes())
	same("patch", send(t, f.theirs, "PATCH", path, `{`+patchSchemas+`,"Operations":[
		{"op":"add","path":"title","value":"Engineer"},
		{"op":"replace","path":"emails[type eq \"home\"].value","value":"b@home.example"},
		{"op":"remove","path":"name.givenName"},
		{"op":"replace","value":{"nickName":"A","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Port"}}}]}`).Body.Bytes())
	replaced := send(t, f.theirs, "PUT", path, `{`+userSchemas+`,"userName":"ada@example.com","active":false}`)
	same("replace", replaced.Body.Bytes())
	want := `{"active":false,"userName":"ada@example.com"}`
	if got := comparable(t, replaced.Body.Bytes()); got != want {
		t.Errorf("replaced: %s, want %s", got, want)
	}
	if w := send(t, f.theirs, "DELETE", path, ""); w.Code != http.StatusNoContent {
		t.Errorf("delete: status %d: %s", w.Code, w.Body)
	}
	statuses, tolerances := accountEvents(t, f)
	if diff := cmp.Diff([]string{"account.created active", "account.updated active", "account.disabled disabled"}, statuses); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(tolerances) > 0 {
		t.Errorf("the RFC dialect tolerated %v", tolerances)
	}
}

// comparable returns a resource without what each server writes in its own way.
func comparable(t testing.TB, data []byte) string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	for _, name := range []string{"schemas", "id", "meta"} {
		delete(object, name)
	}
	out, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// accountEvents returns the events of accounts, and all tolerances.
func accountEvents(t testing.TB, f *fixture) (list, tolerances []string) {
	t.Helper()
	events, err := f.engine.Directory("idp").Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		if ev.Account != nil {
			list = append(list, string(ev.Type)+" "+string(ev.Account.Status))
		}
		tolerances = append(tolerances, ev.Tolerances...)
	}
	return list, tolerances
}

// TestMembers follows the members of a group. The answer to a PATCH is empty.
func TestMembers(t *testing.T) {
	f := newFixture(t, defaults("okta"))
	a, b, c := createUser(t, f, "a"), createUser(t, f, "b"), createUser(t, f, "c")
	w := send(t, f.theirs, "POST", "/Groups", `{`+groupSchemas+`,"displayName":"Crew","members":[{"value":"`+a+`"}]}`)
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	path := "/Groups/" + text(w.Body.Bytes(), "id")
	value := func(ids ...string) string {
		return `[{"value":"` + strings.Join(ids, `"},{"value":"`) + `"}]`
	}
	steps := []struct {
		name   string
		method string
		body   string
		want   []string
	}{
		{"add", "PATCH", `{"op":"add","path":"members","value":` + value(b, c) + `}`, []string{a, b, c}},
		{"remove by filter", "PATCH", `{"op":"remove","path":"members[value eq \"` + a + `\"]"}`, []string{b, c}},
		{"remove listed", "PATCH", `{"op":"remove","path":"members","value":` + value(b) + `}`, []string{c}},
		{"remove an empty list", "PATCH", `{"op":"remove","path":"members","value":[]}`, []string{c}},
		{"replace without a path", "PATCH", `{"op":"replace","value":{"members":` + value(a, b) + `}}`, []string{a, b}},
		{"put without members", "PUT", `{` + groupSchemas + `,"displayName":"Crew"}`, []string{a, b}},
		{"put null members", "PUT", `{` + groupSchemas + `,"displayName":"Crew","members":null}`, []string{a, b}},
		{"put members", "PUT", `{` + groupSchemas + `,"displayName":"Crew","members":` + value(c) + `}`, []string{c}},
		{"put no members", "PUT", `{` + groupSchemas + `,"displayName":"Crew","members":[]}`, nil},
		{"add again", "PATCH", `{"op":"add","path":"members","value":` + value(a, b) + `}`, []string{a, b}},
		{"replace by an empty list", "PATCH", `{"op":"replace","path":"members","value":[]}`, nil},
		{"add once more", "PATCH", `{"op":"add","path":"members","value":` + value(a) + `}`, []string{a}},
		{"replace by an empty list without a path", "PATCH", `{"op":"replace","value":{"members":[]}}`, nil},
		{"add at last", "PATCH", `{"op":"add","path":"members","value":` + value(a) + `}`, []string{a}},
		{"remove all", "PATCH", `{"op":"remove","path":"members"}`, nil},
	}
	for _, step := range steps {
		body, status := step.body, http.StatusOK
		if step.method == http.MethodPatch {
			body, status = `{`+patchSchemas+`,"Operations":[`+step.body+`]}`, http.StatusNoContent
		}
		if w := send(t, f.theirs, step.method, path, body); w.Code != status {
			t.Fatalf("%s: status %d: %s", step.name, w.Code, w.Body)
		}
		slices.Sort(step.want)
		if diff := cmp.Diff(step.want, members(t, send(t, f.theirs, "GET", path, "").Body.Bytes())); diff != "" {
			t.Errorf("%s: members (-want +got):\n%s", step.name, diff)
		}
	}
}

func members(t testing.TB, data []byte) []string {
	t.Helper()
	var group struct {
		Members []struct{ Value, Type, Display string }
	}
	if err := json.Unmarshal(data, &group); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range group.Members {
		if m.Type != "User" || m.Display == "" {
			t.Errorf("member %+v", m)
		}
		ids = append(ids, m.Value)
	}
	slices.Sort(ids)
	return ids
}

// TestLists compares the user names of pages.
func TestLists(t *testing.T) {
	f := newFixture(t, defaults("entra"))
	for _, name := range []string{"eve", "bob", `a\"d\\a`, "Émile"} {
		createUser(t, f, name)
	}
	send(t, f.theirs, "POST", "/Groups", `{`+groupSchemas+`,"displayName":"Crew"}`)
	search := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],`
	tests := []struct {
		name  string
		path  string
		body  string // of a POST
		total int
		want  []string
	}{
		{"all", "/Users", "", 4, []string{"eve", "bob", `a"d\a`, "Émile"}},
		{"second page", "/Users?startIndex=3&count=1", "", 4, []string{`a"d\a`}},
		{"count 0", "/Users?count=0", "", 4, []string{}},
		{"none", `/Users?filter=userName+eq+"nobody"`, "", 0, []string{}},
		{"filter", `/Users?filter=userName+eq+"EVE"+or+userName+sw+"b"`, "", 2, []string{"eve", "bob"}},
		{"not and brackets", `/Users?filter=not+(userName+eq+"EVE")+and+not+(emails%5Btype+pr%5D)+and+(userName+sw+"b"+or+userName+ew+"e")`, "", 2, []string{"bob", "Émile"}},
		{"escapes", `/Users?filter=userName+eq+"a%5C"d%5C%5Ca"`, "", 1, []string{`a"d\a`}},
		{"escapes before or", `/Users?filter=userName+eq+"a%5C"d%5C%5Ca"+or+userName+eq+"bob"`, "", 2, []string{"bob", `a"d\a`}},
		{"escapes in brackets", `/Users?filter=emails%5Bvalue+eq+"a%5C"d%5C%5Ca"%5D`, "", 1, []string{`a"d\a`}},
		{"escapes inside not", `/Users?filter=not+(userName+eq+"a%5C"d%5C%5Ca")`, "", 3, []string{"eve", "bob", "Émile"}},
		{"escape of a letter", `/Users?filter=userName+eq+"%5Cu00C9mile"`, "", 1, []string{"Émile"}},
		{"sorted", "/Users?sortBy=userName&sortOrder=descending", "", 4, []string{"Émile", "eve", "bob", `a"d\a`}},
		{"search", "/Users/.search", search + `"filter":"userName eq \"eve\" or userName eq \"bob\"","sortBy":"userName","count":1}`, 2, []string{"bob"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			method := http.MethodGet
			if test.body != "" {
				method = http.MethodPost
			}
			w := send(t, f.theirs, method, test.path, test.body)
			var list struct {
				TotalResults int
				Resources    []struct{ UserName string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
				t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
			}
			got := []string{}
			for _, r := range list.Resources {
				got = append(got, r.UserName)
			}
			if list.Resources == nil {
				t.Error("Resources is null")
			}
			if diff := cmp.Diff(test.want, got); diff != "" || list.TotalResults != test.total {
				t.Errorf("total %d, want %d; user names (-want +got):\n%s", list.TotalResults, test.total, diff)
			}
		})
	}
}

// TestEscapedPath asserts that a text with escapes in a path finds its element.
func TestEscapedPath(t *testing.T) {
	f := newFixture(t, defaults("rfc"))
	w := send(t, f.theirs, "POST", "/Users", `{`+userSchemas+`,"userName":"a","emails":[{"value":"b\"c\\d"}]}`)
	path := "/Users/" + text(w.Body.Bytes(), "id")
	w = send(t, f.theirs, "PATCH", path, `{`+patchSchemas+`,"Operations":[{"op":"replace","path":"emails[value eq \"b\\\"c\\\\d\"].type","value":"work"}]}`)
	want := `{"active":true,"emails":[{"type":"work","value":"b\"c\\d"}],"userName":"a"}`
	if w.Code != http.StatusOK || comparable(t, w.Body.Bytes()) != want {
		t.Errorf("status %d, want %s: %s", w.Code, want, w.Body)
	}
}

// TestMounted asserts that the provider sees its own paths and the connection,
// whatever pattern the server is mounted at, and no condition that the server
// cannot answer.
func TestMounted(t *testing.T) {
	f := newFixture(t, defaults("rfc"))
	id := createUser(t, f, "ada")
	mux := http.NewServeMux()
	mux.Handle("/scim/{connection}/", http.StripPrefix("/scim/idp", f.theirs))
	mux.Handle("/other/{connection}/", http.StripPrefix("/other/x", f.theirs))
	if w := send(t, mux, "GET", "/scim/idp/v2/Users/"+id+"?excludedAttributes=groups", "", "If-None-Match", `W/"1"`); text(w.Body.Bytes(), "userName") != "ada" {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w := send(t, mux, "GET", "/other/x/Users/"+id, ""); w.Code != http.StatusNotFound {
		t.Errorf("another connection: status %d: %s", w.Code, w.Body)
	}
}

// TestProjection asserts that the parameters of RFC 7644 section 3.9 reach the
// store.
func TestProjection(t *testing.T) {
	f := newFixture(t, defaults("entra"))
	a := createUser(t, f, "a")
	w := send(t, f.theirs, "POST", "/Groups", `{`+groupSchemas+`,"displayName":"Crew","members":[{"value":"`+a+`"}]}`)
	path := "/Groups/" + text(w.Body.Bytes(), "id")
	operation := `{` + patchSchemas + `,"Operations":[{"op":"replace","path":"externalId","value":"x"}]}`
	tests := []struct {
		name   string
		method string
		path   string
		body   string
		want   string // a part of the answer
		not    string
	}{
		{"get", "GET", path, "", "members", "none"},
		{"get without members", "GET", path + "?excludedAttributes=members", "", "Crew", "members"},
		{"list without members", "GET", "/Groups?excludedAttributes=members", "", "Crew", "members"},
		{"list of names", "GET", "/Users?attributes=active,displayName", "", `"active":true`, "userName"},
		{"patch with attributes", "PATCH", path + "?attributes=displayName", operation, "Crew", "members"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := send(t, f.theirs, test.method, test.path, test.body)
			if got := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(got, test.want) || strings.Contains(got, test.not) {
				t.Errorf("status %d, want %s and not %s: %s", w.Code, test.want, test.not, got)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	group := func(id string) string {
		return `{` + groupSchemas + `,"displayName":"Crew","members":[{"value":"` + id + `"}]}`
	}
	patch := func(op string) string { return `{` + patchSchemas + `,"Operations":[` + op + `]}` }
	tests := []struct {
		name     string
		method   string
		path     string // {id} is that of a user
		body     string
		header   []string
		status   int
		scimType string
	}{
		{"unknown id", "GET", "/Users/none", "", nil, 404, ""},
		{"no id", "GET", "/Users/", "", nil, 404, ""},
		{"slash as an id", "GET", "/Users//", "", nil, 404, ""},
		{"slash in an id", "DELETE", "/Users/a%2F{id}", "", nil, 404, ""},
		{"user as a group", "DELETE", "/Groups/{id}", "", nil, 404, ""},
		{"update of an unknown id", "PUT", "/Users/none", `{` + userSchemas + `,"userName":"x"}`, nil, 404, ""},
		{"patch of an unknown id", "PATCH", "/Users/none", patch(`{"op":"remove","path":"title"}`), nil, 404, ""},
		{"taken name", "POST", "/Users", `{` + userSchemas + `,"userName":"ADA"}`, nil, 409, "uniqueness"},
		{"unknown member", "POST", "/Groups", group("none"), nil, 400, "invalidValue"},
		{"required attribute", "PATCH", "/Users/{id}", patch(`{"op":"remove","path":"userName"}`), nil, 400, "mutability"},
		{"two primaries", "PATCH", "/Users/{id}", patch(`{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`), nil, 400, "invalidValue"},
		{"no target", "PATCH", "/Users/{id}", patch(`{"op":"replace","path":"emails[value eq \"x\"].type","value":"work"}`), nil, 400, "noTarget"},
		{"long name", "POST", "/Users", `{` + userSchemas + `,"userName":"` + strings.Repeat("x", schema.MaxIndexed+1) + `"}`, nil, 400, "invalidValue"},
		{"another version", "PATCH", "/Users/{id}", patch(`{"op":"replace","path":"title","value":"x"}`), []string{"If-Match", `W/"7"`}, 412, ""},
		{"another version deleted", "DELETE", "/Users/{id}", "", []string{"If-Match", `W/"7"`}, 412, ""},
		{"wrong token", "GET", "/Users/{id}", "", []string{"Authorization", "Bearer x"}, 401, ""},
		{"too large", "PUT", "/Users/{id}", `{` + userSchemas + `,"userName":"x","title":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 400, ""},
	}
	f := newFixture(t, defaults("rfc"))
	id := createUser(t, f, "ada")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := send(t, f.theirs, test.method, filled(test.path, id), test.body, test.header...)
			body := w.Body.Bytes()
			if got := text(body, "scimType"); w.Code != test.status || got != test.scimType {
				t.Errorf("status %d, type %q, want %d %q: %s", w.Code, got, test.status, test.scimType, body)
			}
			if test.status >= 400 && (text(body, "detail") == "" || strings.Contains(text(body, "detail"), "applicable")) {
				t.Errorf("detail: %s", body)
			}
		})
	}
	if w := send(t, f.ours, "GET", "/Users/"+id, ""); w.Header().Get("Etag") != `W/"1"` {
		t.Errorf("a refused request changed the user: %s", w.Body)
	}
}

// TestUnavailable asserts that a status which the server does not know becomes
// one that it does, and that no cause gets out.
func TestUnavailable(t *testing.T) {
	tests := []struct {
		name   string
		cause  error
		detail string
	}{
		{"busy", &store.UnavailableError{RetryAfter: time.Second, Err: errors.New("secret cause")}, "the directory is busy, try again"},
		{"broken", errors.New("secret cause"), "internal error "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, defaults("auto"))
			engine := &provision.Engine{Store: broken{f.engine.Store, test.cause}, Logger: f.engine.Logger}
			h := elimity.Guard(newServer(t, &scim.Handler{Engine: engine, Logger: f.engine.Logger}))
			w := send(t, h, "POST", "/Users", `{`+userSchemas+`,"userName":"ada"}`)
			if got := text(w.Body.Bytes(), "detail"); w.Code != http.StatusInternalServerError || !strings.HasPrefix(got, test.detail) {
				t.Errorf("status %d, detail %q, want 500 %q", w.Code, got, test.detail)
			}
		})
	}
}

// broken is a store that cannot be written.
type broken struct {
	store.Store
	err error
}

func (b broken) Update(context.Context, string, func(context.Context, store.Tx) error) error {
	return b.err
}

// TestDefinition keeps a resource type of the application's own, and its numbers
// as they were written.
func TestDefinition(t *testing.T) {
	ship := server.ResourceType{
		Name: "Ship", Endpoint: "/Ships", Description: optional.NewString("A ship"),
		Schema: eschema.Schema{ID: "urn:example:Ship", Name: optional.NewString("Ship"), Attributes: eschema.Attributes{
			eschema.SimpleCoreAttribute(eschema.SimpleStringParams(eschema.StringParams{Name: "name", Required: true, Uniqueness: eschema.AttributeUniquenessServer()})),
			eschema.SimpleCoreAttribute(eschema.SimpleNumberParams(eschema.NumberParams{Name: "tonnage", Type: eschema.AttributeTypeInteger()})),
		}},
		SchemaExtensions: []server.SchemaExtension{{Schema: eschema.Schema{ID: "urn:example:Crane", Attributes: eschema.Attributes{
			eschema.SimpleCoreAttribute(eschema.SimpleNumberParams(eschema.NumberParams{Name: "reach", Type: eschema.AttributeTypeDecimal()})),
		}}, Required: true}},
	}
	set, err := schema.Compile(elimity.Definition(ship))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Type("Ship"); got.Description != "A ship" || !got.RequiredExtensions["urn:example:Crane"] {
		t.Errorf("compiled %+v", got)
	}
	f := newFixture(t, defaults("rfc"))
	provider := &scim.Handler{Engine: f.engine, Schemas: func(string) *schema.Set { return set }}
	ship.Handler = elimity.New(provider, ship)
	s, err := server.NewServer(&server.ServerArgs{ServiceProviderConfig: &server.ServiceProviderConfig{}, ResourceTypes: []server.ResourceType{ship}})
	if err != nil {
		t.Fatal(err)
	}
	w := send(t, s, "POST", "/Ships", `{"schemas":["urn:example:Ship","urn:example:Crane"],"name":"Vega","tonnage":9007199254740993,"urn:example:Crane":{"reach":1.25}}`)
	want := `"tonnage":9007199254740993,"urn:example:Crane":{"reach":1.25}`
	if w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), want) {
		t.Errorf("status %d, want %s: %s", w.Code, want, w.Body)
	}
	w = send(t, s, "GET", `/Ships?filter=tonnage+gt+5+and+name+eq+"VEGA"`, "")
	if !strings.Contains(w.Body.String(), `"totalResults":1`) {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// TestCallbacks calls the methods as a wrapper of them would, without a server.
func TestCallbacks(t *testing.T) {
	f := newFixture(t, defaults("rfc"))
	provider := f.ours.(*scim.Handler)
	h := elimity.New(provider, server.ResourceType{Endpoint: "/Users", Schema: eschema.CoreUserSchema()})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.example/scim/Users", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	attributes := server.ResourceAttributes{"userName": "ada", "externalId": "7", "emails": []any{map[string]any{"value": "a@x.example"}}}
	created, err := h.Create(r, attributes)
	if err != nil {
		t.Fatal(err)
	}
	if created.ExternalID.Value() != "7" || created.Meta.Version != `W/"1"` || created.Meta.Created == nil || created.Meta.LastModified == nil {
		t.Errorf("created %+v", created)
	}
	want := server.ResourceAttributes{"userName": "ada", "active": true, "emails": []any{map[string]any{"value": "a@x.example"}}}
	if diff := cmp.Diff(want, created.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if len(attributes) != 3 {
		t.Errorf("Create changed its argument: %v", attributes)
	}
	_, err = h.Create(r, attributes)
	var conflict escimerrors.ScimError
	if !errors.As(err, &conflict) || conflict.Status != http.StatusConflict {
		t.Errorf("second time: %v", err)
	}
	if _, err := h.Create(r, server.ResourceAttributes{"userName": func() {}}); err == nil {
		t.Error("a function is accepted as a value")
	}
}
