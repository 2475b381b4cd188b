package scim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

const (
	acmeToken  = "token-of-acme-0123456789abcdef-0123456789"
	otherToken = "token-of-other-0123456789abcdef-012345678"
)

// service is a handler over a store with two connections.
type service struct {
	t       *testing.T
	handler http.Handler
	engine  *provision.Engine
	log     *bytes.Buffer
}

func newService(t *testing.T, st store.Store, dialect string) *service {
	t.Helper()
	s := &service{t: t, engine: &provision.Engine{Store: st}, log: &bytes.Buffer{}}
	operator := provision.Actor{Kind: "operator", ID: "test"}
	for id, token := range map[string]string{"acme": acmeToken, "other": otherToken} {
		conn := provision.Connection{ID: id, Dialect: dialect, SCIM: true}
		if _, err := s.engine.Directory(conn.ID).As(operator).UpdateConnection(t.Context(), with(conn)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.engine.Directory(id).As(operator).SetCredential(t.Context(), provision.Secret{Token: token}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	s.handler = &scim.Handler{
		Engine:  s.engine,
		BaseURL: func(*http.Request, string) string { return "https://sp.example/scim/v2" },
		Logger:  slog.New(slog.NewTextHandler(s.log, nil)),
	}
	return s
}

// reply is what a request got.
type reply struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a reply) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("the body %q is not JSON: %v", a.body, err)
	}
	return m
}

func (s *service) do(method, path, token, body string, headers ...string) reply {
	s.t.Helper()
	r := httptest.NewRequest(method, "https://sp.example"+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// must is do for requests that succeed; it returns the id in the reply.
func (s *service) must(method, path, body string) string {
	s.t.Helper()
	a := s.do(method, path, acmeToken, body)
	if a.status >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if a.body == "" {
		return ""
	}
	id, _ := a.json(s.t)["id"].(string)
	return id
}

// stores open an empty store each.
var stores = map[string]func(*testing.T) store.Store{
	"memory": func(*testing.T) store.Store { return memory.New() },
	"sqlite": func(t *testing.T) store.Store {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return st
	},
	"postgres": func(t *testing.T) store.Store { return postgrestest.Open(t) },
}

// decodeStrict reads a data file; an unknown field fails the test.
func decodeStrict(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

const coreUser = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],`
const coreGroup = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],`

// implementationText is what a client must never see.
var implementationText = regexp.MustCompile(`(?i)\bsql|goroutine|panic|\.go:|runtime|0x[0-9a-f]{6}|provision:|store:|schema\.|nil pointer`)

// TestRequests sends each request of the table file to a directory with two
// users and a group, and afterwards finds that directory unchanged.
func TestRequests(t *testing.T) {
	var rows []struct {
		Name          string            `json:"name"`
		Dialect       string            `json:"dialect"`
		Method        string            `json:"method"`
		Path          string            `json:"path"`
		Token         *string           `json:"token"`
		Authorization string            `json:"authorization"`
		ContentType   string            `json:"contentType"`
		IfMatch       string            `json:"ifMatch"`
		IfNoneMatch   string            `json:"ifNoneMatch"`
		Encoding      string            `json:"encoding"`
		Body          string            `json:"body"`
		BodyHex       string            `json:"body_hex"`
		Status        int               `json:"status"`
		ScimType      string            `json:"scimType"`
		Detail        string            `json:"detail"`
		Header        map[string]string `json:"header"`
		Total         *int              `json:"total"`
		Items         *int              `json:"items"`
	}
	decodeStrict(t, "testdata/requests.json", &rows)
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			for name, open := range stores {
				t.Run(name, func(t *testing.T) {
					s := newService(t, open(t), row.Dialect)
					ids := s.directory()
					expand := strings.NewReplacer(append(ids,
						"<token>", acmeToken,
						"<deep>", strings.Repeat("[", 40)+strings.Repeat("]", 40),
						"<64k>", strings.Repeat("x", 64<<10+1),
						"<megabyte>", strings.Repeat("1,", 1<<19)+"1",
						"<4k>", strings.Repeat("x", 4<<10),
						"<parentheses>", strings.Repeat("(", 100_000),
						"<operations>", strings.TrimSuffix(strings.Repeat(`{"op":"replace","path":"active","value":true},`, 1001), ","),
					)...).Replace
					before := s.dump()
					body := expand(row.Body)
					if row.BodyHex != "" {
						raw, err := hex.DecodeString(row.BodyHex)
						if err != nil {
							t.Fatal(err)
						}
						body = string(raw)
					}
					headers := []string{}
					for name, value := range map[string]string{"Authorization": expand(row.Authorization), "Content-Type": row.ContentType, "If-Match": row.IfMatch, "If-None-Match": row.IfNoneMatch, "Content-Encoding": row.Encoding} {
						if value != "" {
							headers = append(headers, name, value)
						}
					}
					token := acmeToken
					if row.Token != nil {
						token = *row.Token
					}
					a := s.do(row.Method, expand(row.Path), token, body, headers...)
					if a.status != row.Status {
						t.Fatalf("status %d, want %d; body %s", a.status, row.Status, a.body)
					}
					for name, want := range row.Header {
						if got := a.header.Get(name); got != want {
							t.Errorf("header %s is %q, want %q", name, got, want)
						}
					}
					if a.status < 300 {
						s.checkPage(a, row.Total, row.Items)
						return
					}
					checkError(t, a, row.ScimType, row.Detail)
					if diff := cmp.Diff(before, s.dump()); diff != "" {
						t.Errorf("a refused request changed the directory (-before +after):\n%s", diff)
					}
				})
			}
		})
	}
}

// directory fills acme with two users and a group, other with a user, and
// returns their ids as pairs for a Replacer.
func (s *service) directory() []string {
	s.t.Helper()
	user := s.must("POST", "/Users", `{`+coreUser+`"userName":"ada@example.com","externalId":"ext-ada","name":{"givenName":"Ada"}}`)
	user2 := s.must("POST", "/Users", `{`+coreUser+`"userName":"grace@example.com"}`)
	group := s.must("POST", "/Groups", `{`+coreGroup+`"displayName":"Support","members":[{"value":"`+user+`"}]}`)
	foreign := s.do("POST", "/Users", otherToken, `{`+coreUser+`"userName":"foreign@example.com"}`)
	id, _ := foreign.json(s.t)["id"].(string)
	return []string{"<user>", user, "<user2>", user2, "<group>", group, "<foreign>", id}
}

// dump returns all that a client can read.
func (s *service) dump() []string {
	s.t.Helper()
	var out []string
	for _, path := range []string{"/Users", "/Groups"} {
		for _, token := range []string{acmeToken, otherToken} {
			out = append(out, s.do("GET", path, token, "").body)
		}
	}
	return out
}

func (s *service) checkPage(a reply, total, items *int) {
	s.t.Helper()
	if total == nil && items == nil {
		return
	}
	page := a.json(s.t)
	resources, isArray := page["Resources"].([]any)
	if !isArray {
		s.t.Errorf("Resources is not an array: %s", a.body)
	}
	if total != nil && page["totalResults"] != float64(*total) {
		s.t.Errorf("totalResults %v, want %d", page["totalResults"], *total)
	}
	if items != nil && (len(resources) != *items || page["itemsPerPage"] != float64(*items)) {
		s.t.Errorf("%d resources, itemsPerPage %v, want %d", len(resources), page["itemsPerPage"], *items)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n) //nolint:errchkjson // an int always encodes
	return string(b)
}

// A fault of the store is a 500 with an id, or a 503 with Retry-After, and its
// text stays in the log.
func TestStoreFaults(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		header string
	}{
		{"unknown fault", errors.New("SQL logic error: no such table resources"), 500, ""},
		{"busy", &store.UnavailableError{RetryAfter: 1500 * time.Millisecond, Err: errors.New("SQL busy")}, 503, "2"},
	}
	requests := []struct{ method, path, body string }{
		{"GET", "/Users", ""},
		{"GET", "/Users/x", ""},
		{"POST", "/Users", `{` + coreUser + `"userName":"new"}`},
		{"PUT", "/Users/x", `{` + coreUser + `"userName":"new"}`},
		{"PATCH", "/Users/x", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`},
		{"DELETE", "/Users/x", ""},
	}
	for _, test := range tests {
		for _, r := range requests {
			t.Run(test.name+"/"+r.method+r.path, func(t *testing.T) {
				st := &faultyStore{Store: memory.New()}
				s := newService(t, st, "")
				s.engine.SingleProcess = true                                   // so that the fault is not met on the way in
				if a := s.do("GET", "/Users", acmeToken, ""); a.status != 200 { // the credential is remembered
					t.Fatal(a.body)
				}
				st.err = test.err
				a := s.do(r.method, r.path, acmeToken, r.body)
				if a.status != test.status || a.header.Get("Retry-After") != test.header {
					t.Errorf("status %d, Retry-After %q, want %d, %q", a.status, a.header.Get("Retry-After"), test.status, test.header)
				}
				checkError(t, a, "", "")
				if !strings.Contains(s.log.String(), "SQL") {
					t.Errorf("the log does not tell the cause: %s", s.log)
				}
			})
		}
	}
}

// faultyStore fails once err is set.
type faultyStore struct {
	store.Store
	err error
}

func (f *faultyStore) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.View(ctx, scope, fn)
}

func (f *faultyStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Update(ctx, scope, fn)
}

func TestPanicIsA500(t *testing.T) {
	s := newService(t, memory.New(), "")
	s.handler.(*scim.Handler).BaseURL = func(*http.Request, string) string { panic("secret cause") }
	a := s.do("GET", "/Users", acmeToken, "")
	if a.status != 500 {
		t.Errorf("status %d, want 500", a.status)
	}
	checkError(t, a, "", "internal error")
	if !strings.Contains(s.log.String(), "secret cause") {
		t.Error("the log does not tell the cause")
	}
}

// A credential of one connection sees nothing of another, whatever the path.
func TestTenantInThePath(t *testing.T) {
	s := newService(t, memory.New(), "")
	mux := http.NewServeMux()
	mux.Handle("/scim/{connection}/v2/{resource...}", s.handler)
	s.handler = mux
	for path, want := range map[string]int{
		"/scim/acme/v2/Users":    200,
		"/scim/other/v2/Users":   404,
		"/scim/nobody/v2/Users":  404,
		"/scim/acme/v2/Users/x":  404,
		"/scim/acme/v2/Users/":   200,
		"/scim/other/v2/Schemas": 404,
	} {
		if a := s.do("GET", path, acmeToken, ""); a.status != want {
			t.Errorf("GET %s: %d, want %d", path, a.status, want)
		}
	}
}

// A PUT may name one member without a list.
func TestPutOfOneMember(t *testing.T) {
	s := newService(t, memory.New(), "okta")
	a := s.must("POST", "/Users", `{"userName":"a"}`)
	b := s.must("POST", "/Users", `{"userName":"b"}`)
	group := s.must("POST", "/Groups", `{"displayName":"G","members":[{"value":"`+a+`"}]}`)
	for _, step := range []struct {
		name, members string
		want          []string
	}{
		{"omitted", ``, []string{a}},
		{"null", `,"members":null`, []string{a}},
		{"one object", `,"members":{"value":"` + b + `"}`, []string{b}},
		{"a list", `,"members":[{"value":"` + a + `"}]`, []string{a}},
		{"an empty list", `,"members":[]`, nil},
	} {
		s.must("PUT", "/Groups/"+group, `{"displayName":"G"`+step.members+`}`)
		var got []string
		members, _ := s.do("GET", "/Groups/"+group, acmeToken, "").json(t)["members"].([]any)
		for _, m := range members {
			got = append(got, m.(map[string]any)["value"].(string))
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: members (-want +got):\n%s", step.name, diff)
		}
	}
}

// The identity provider reads back what it wrote, not what an operator added.
func TestOperatorsMembersAreNotShown(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "")
			a, b := s.must("POST", "/Users", `{"userName":"a"}`), s.must("POST", "/Users", `{"userName":"b"}`)
			group := s.must("POST", "/Groups", `{"displayName":"G","members":[{"value":"`+a+`"}]}`)
			operator := s.engine.Directory("acme").As(provision.Actor{Kind: "operator", ID: "o"})
			_, err := operator.Update(t.Context(), "Group", group, 0, func(d *provision.Draft) error {
				d.AddMember(a)
				d.AddMember(b)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			members, _ := s.do("GET", "/Groups/"+group, acmeToken, "").json(t)["members"].([]any)
			if len(members) != 1 || members[0].(map[string]any)["value"] != a {
				t.Errorf("members %v, want only the one that the identity provider wrote, once", members)
			}
			if groups := s.do("GET", "/Users/"+b, acmeToken, "").json(t)["groups"]; groups != nil {
				t.Errorf("groups of the operator's member: %v", groups)
			}
		})
	}
}

// A membership that an operator adds to an account is in no answer, no filter finds it, no
// version tells of it, and no request of the identity provider ends it.
func TestOperatorsMembershipsAreNotShown(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "")
			a, b := s.must("POST", "/Users", `{"userName":"a"}`), s.must("POST", "/Users", `{"userName":"b"}`)
			group := s.must("POST", "/Groups", `{"displayName":"G","members":[{"value":"`+a+`"}]}`)
			asked := []string{
				"/Groups/" + group, "/Users/" + b, "/Users/" + a, "/Groups", "/Users",
				`/Groups?filter=members.value+eq+"` + b + `"`, `/Users?filter=groups.value+eq+"` + group + `"`, `/Users?filter=groups+pr`,
			}
			answers := func() (out []string) {
				for _, path := range asked {
					a := s.do("GET", path, acmeToken, "")
					out = append(out, a.header.Get("ETag")+a.body)
				}
				return out
			}
			before := answers()
			operator := s.engine.Directory("acme").As(provision.Actor{Kind: "operator", ID: "o"})
			accounts, err := operator.Accounts(t.Context(), store.AccountQuery{})
			if err != nil {
				t.Fatal(err)
			}
			for _, account := range accounts {
				if err := operator.AddGroup(t.Context(), account.ID, group); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(before, answers()); diff != "" {
				t.Errorf("answers (-before +after):\n%s", diff)
			}
			s.must("PUT", "/Groups/"+group, `{"displayName":"G2"}`)
			s.must("PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members"}]}`)
			s.must("PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"`+b+`\"]"}]}`)
			s.must("PUT", "/Users/"+b, `{"userName":"b2"}`)
			for _, account := range accounts {
				now, err := operator.Account(t.Context(), account.ID)
				if want := []store.AccountGroup{{ID: group, Name: "G2", Source: store.SourceOperator}}; err != nil || !cmp.Equal(want, now.Groups) {
					t.Errorf("%s carries %+v, %v, want %+v", now.UserName, now.Groups, err, want)
				}
			}
		})
	}
}

// The last site admin is not taken out by a request.
func TestLastAdminIsA409(t *testing.T) {
	s := newService(t, memory.New(), "")
	config, err := policy.Parse([]byte(`{"siteAdminGroups":"Admins"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.Directory("acme").As(provision.Actor{Kind: "operator"}).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", SCIM: true, Policy: config})); err != nil {
		t.Fatal(err)
	}
	id := s.must("POST", "/Users", `{"userName":"a"}`)
	s.must("POST", "/Groups", `{"displayName":"Admins","members":[{"value":"`+id+`"}]}`)
	a := s.do("DELETE", "/Users/"+id, acmeToken, "")
	if a.status != http.StatusConflict {
		t.Errorf("status %d, want 409", a.status)
	}
	checkError(t, a, "", "last site admin")
}

// An empty active lets nobody in again: templates of identity providers leave
// it empty where they know nothing.
func TestEmptyActiveSaysNothing(t *testing.T) {
	for _, dialect := range []string{"auto", "onelogin"} {
		s := newService(t, memory.New(), dialect)
		id := s.must("POST", "/Users", `{"userName":"a","active":false}`)
		for _, operation := range []string{
			`{"op":"replace","value":{"active":""}}`, `{"op":"replace","path":"active","value":null}`,
			`{"op":"replace","path":"active","value":[]}`, `{"op":"remove","path":"active"}`,
		} {
			a := s.do("PATCH", "/Users/"+id, acmeToken, `{"Operations":[`+operation+`]}`)
			if a.status != http.StatusOK || a.json(t)["active"] != false {
				t.Errorf("%s, %s: %d %s, want active false", dialect, operation, a.status, a.body)
			}
		}
	}
}

// A host that authenticates by itself need not know the dialect.
func TestDialectOfTheConnection(t *testing.T) {
	s := newService(t, memory.New(), "rfc")
	s.handler.(*scim.Handler).Authenticate = func(*http.Request) (scim.Principal, error) {
		return scim.Principal{Connection: "acme", Credential: "host"}, nil
	}
	a := s.do("POST", "/Users", "", `{`+coreUser+`"userName":"x","active":"True"}`)
	if a.status != http.StatusBadRequest {
		t.Errorf("text for a boolean in dialect rfc: %d %s, want 400", a.status, a.body)
	}
}

func TestRateLimit(t *testing.T) {
	s := newService(t, memory.New(), "")
	s.handler.(*scim.Handler).Limits.Rate = 0.001
	if a := s.do("GET", "/Users", acmeToken, ""); a.status != 200 {
		t.Fatalf("the first request: %d", a.status)
	}
	a := s.do("GET", "/Users", acmeToken, "")
	if a.status != 429 || !regexp.MustCompile(`^[1-9][0-9]*$`).MatchString(a.header.Get("Retry-After")) {
		t.Errorf("the second request: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	checkError(t, a, "", "")
	if a := s.do("GET", "/Users", otherToken, ""); a.status != 200 {
		t.Errorf("another credential is limited too: %d", a.status)
	}
}

// Without a limit of the host, a burst of 1,000 passes and more does not.
func TestDefaultRateLimit(t *testing.T) {
	s := newService(t, memory.New(), "")
	now := time.Now()
	s.engine.Now = func() time.Time { return now }
	limited := 0
	for range 1100 {
		if a := s.do("GET", "/Users?count=0", acmeToken, ""); a.status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 100 {
		t.Errorf("%d of 1,100 requests at one moment are refused, want 100", limited)
	}
	s.handler.(*scim.Handler).Limits.Rate = -1
	if a := s.do("GET", "/Users?count=0", acmeToken, ""); a.status != http.StatusOK {
		t.Errorf("without a limit: %d", a.status)
	}
}

func TestContentTypeOfAnswers(t *testing.T) {
	s := newService(t, memory.New(), "onelogin")
	for _, want := range []string{"application/scim+json", "application/json"} {
		for _, path := range []string{"/Users", "/Nothing"} {
			if got := s.do("GET", path, acmeToken, "").header.Get("Content-Type"); got != want {
				t.Errorf("GET %s is %q, want %q", path, got, want)
			}
		}
		s.handler.(*scim.Handler).ContentType = "application/json"
	}
}

// The schema says what holds: names of groups are not unique in dialect rfc.
func TestSchemaOfGroupNames(t *testing.T) {
	for dialect, want := range map[string]bool{"rfc": false, "okta": true} {
		s := newService(t, memory.New(), dialect)
		a := s.do("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", acmeToken, "")
		if got := strings.Contains(a.body, `"uniqueness":"server"`); got != want {
			t.Errorf("dialect %s: a unique attribute is published: %t, want %t", dialect, got, want)
		}
	}
}

func TestOversizedGroupBody(t *testing.T) {
	s := newService(t, memory.New(), "")
	s.handler.(*scim.Handler).Limits.GroupBody = 100
	body := `{` + coreGroup + `"displayName":"` + strings.Repeat("x", 100) + `"}`
	checkError(t, s.do("POST", "/Groups", acmeToken, body), "", "100 bytes")
	// A body of unknown length is cut at the same place.
	r := httptest.NewRequest(http.MethodPost, "/Groups", io.NopCloser(strings.NewReader(body)))
	r.ContentLength = -1
	r.Header.Set("Authorization", "Bearer "+acmeToken)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked body: %d, want 413", w.Code)
	}
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}

// A handler that nobody gave an engine says so, in its log.
func TestNoEngine(t *testing.T) {
	var log strings.Builder
	for _, h := range []*scim.Handler{{}, {Engine: &provision.Engine{}}} {
		log.Reset()
		h.Logger = slog.New(slog.NewTextHandler(&log, nil))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/Users", nil)
		r.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "Engine") || strings.Contains(log.String(), "panic") {
			t.Errorf("status %d, log %s", w.Code, log.String())
		}
	}
}
