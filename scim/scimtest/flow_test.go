package scimtest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store"
)

// provider is what both identity providers can do.
type provider struct {
	assign     func(context.Context, scimtest.Person) (string, error)
	update     func(context.Context, string, scimtest.Person) error
	deactivate func(context.Context, string) error
	reactivate func(context.Context, string) error
	group      func(context.Context, string) (string, error)
	add        func(context.Context, string, ...string) error
	remove     func(context.Context, string, ...string) error
	rename     func(context.Context, string, string) error
	drop       func(context.Context, string) error
}

func ofOkta(o *scimtest.Okta) provider {
	group := func(ctx context.Context, name string) (string, error) { return o.PushGroup(ctx, name) }
	return provider{o.Assign, o.UpdateProfile, o.Deactivate, o.Reactivate, group, o.AddMembers, o.RemoveMembers, o.RenameGroup, o.DeleteGroup}
}

func ofEntra(e *scimtest.Entra) provider {
	group := func(ctx context.Context, name string) (string, error) { return e.SyncGroup(ctx, "g-1", name) }
	return provider{e.Sync, e.Update, e.Disable, e.Restore, group, e.AddMembers, e.RemoveMembers, e.RenameGroup, e.DeleteGroup}
}

// TestFlow asserts that each kind of app has the same effect.
func TestFlow(t *testing.T) {
	tests := []struct {
		name    string
		dialect string
		make    func(url string) provider
	}{
		{"okta AIW", "okta", func(url string) provider { return ofOkta(scimtest.NewOkta(url, token)) }},
		{"okta OIN", "okta", func(url string) provider {
			o := scimtest.NewOkta(url+"/", token)
			o.Catalog = true
			return ofOkta(o)
		}},
		{"entra", "entra", func(url string) provider { return ofEntra(scimtest.NewEntra(url, token)) }},
		{"entra with the flag", "entra", func(url string) provider {
			e := scimtest.NewEntra(url+"/", token)
			e.Flag = true
			return ofEntra(e)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.dialect)
			flow(t, s, test.make(s.url))
		})
	}
}

func flow(t *testing.T, s *site, p provider) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	person := scimtest.Person{ExternalID: "x1", UserName: `ada "A" \1@example.com`, GivenName: "Ada", FamilyName: "Byron", Email: "ada@example.com", Title: "Engineer", Department: "Quay"}
	ada, err := p.assign(ctx, person)
	must(err)
	bob, err := p.assign(ctx, scimtest.Person{ExternalID: "x2", UserName: "bob", GivenName: "Bob", FamilyName: "B"})
	must(err)
	again, err := p.assign(ctx, person)
	if must(err); again != ada {
		t.Errorf("assigned again: id %q, want %q", again, ada)
	}
	crew, err := p.group(ctx, "Crew")
	must(err)
	must(p.rename(ctx, crew, "Team"))
	must(p.add(ctx, crew, bob))
	must(p.add(ctx, crew, ada))
	must(p.remove(ctx, crew, ada))
	person.UserName, person.FamilyName, person.Email = "ada", "King", "king@example.com"
	must(p.update(ctx, ada, person))
	must(p.deactivate(ctx, ada))
	must(p.deactivate(ctx, bob))
	must(p.reactivate(ctx, bob))

	list, err := s.engine.Directory("idp").Accounts(ctx, store.AccountQuery{})
	must(err)
	slices.SortFunc(list, func(a, b *provision.Account) int { return strings.Compare(a.UserName, b.UserName) })
	var got []string
	for _, a := range list {
		text := strings.Join([]string{a.UserName, a.ExternalID, a.Email, a.Name, a.DisplayName, string(a.Status)}, "|")
		for _, g := range a.Groups {
			text += "|" + g.Name
		}
		got = append(got, text)
	}
	want := []string{"ada|x1|king@example.com|Ada King|Ada King|disabled", "bob|x2|bob|Bob B|Bob B|active|Team"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	must(p.drop(ctx, crew))
	if _, err := s.engine.Directory("idp").Get(ctx, provision.TypeGroup, crew, 0); !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("the deleted group: %v", err)
	}
}

// TestOktaTakesOver asserts that Okta links a user that was there before, and a
// group too.
func TestOktaTakesOver(t *testing.T) {
	s := newSite(t, "okta")
	ctx := t.Context()
	old, err := scimtest.NewEntra(s.url, token).Sync(ctx, scimtest.Person{UserName: "ada", GivenName: "A"})
	if err != nil {
		t.Fatal(err)
	}
	if err := scimtest.NewEntra(s.url, token).Disable(ctx, old); err != nil {
		t.Fatal(err)
	}
	okta := scimtest.NewOkta(s.url, token)
	id, err := okta.Assign(ctx, scimtest.Person{ExternalID: "7", UserName: "ADA", GivenName: "Ada"})
	if err != nil || id != old {
		t.Errorf("id %q, want %q: %v", id, old, err)
	}
	if diff := cmp.Diff(map[string]policy.Status{"ada": policy.StatusDisabled, "ADA": policy.StatusActive}, s.accounts(t)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// TestOktaPut asserts that an AIW app writes back what it read, merged with the
// profile, and that it knows the new name of a user.
func TestOktaPut(t *testing.T) {
	s := newSite(t, "okta")
	ctx := t.Context()
	okta := scimtest.NewOkta(s.url, token)
	person := scimtest.Person{UserName: "ada", GivenName: "Ada", FamilyName: "Byron", Title: "Engineer", Department: "Quay"}
	id, err := okta.Assign(ctx, person)
	if err != nil {
		t.Fatal(err)
	}
	created := body(s.take())
	if got, _ := created["schemas"].([]any); len(got) != 2 || created["title"] != "Engineer" {
		t.Errorf("created with %v", created)
	}
	entra := scimtest.NewEntra(s.url, token)
	if err := entra.Update(ctx, id, person); err != nil { // adds name.formatted
		t.Fatal(err)
	}
	s.take()
	person.UserName, person.GivenName = "ada.b", "Augusta"
	if err := okta.UpdateProfile(ctx, id, person); err != nil {
		t.Fatal(err)
	}
	put := body(s.take())
	meta, _ := put["meta"].(map[string]any)
	if put["id"] != id || meta["created"] == nil || put["active"] != true {
		t.Errorf("PUT does not echo what was read: %v", put)
	}
	if diff := cmp.Diff(map[string]any{"formatted": "Ada Byron", "familyName": "Byron", "givenName": "Augusta"}, put["name"]); diff != "" {
		t.Errorf("name (-want +got):\n%s", diff)
	}
	if _, err := okta.PushGroup(ctx, "Crew", id); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{map[string]any{"value": id, "display": "ada.b"}}, body(s.take())["members"]); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// body returns the body of the last request.
func body(list []request) map[string]any {
	b, _ := list[len(list)-1].Body.(map[string]any)
	return b
}

// TestEntraDelete asserts that a hard delete follows a soft one.
func TestEntraDelete(t *testing.T) {
	s := newSite(t, "entra")
	e := scimtest.NewEntra(s.url, token)
	id, err := e.Sync(t.Context(), scimtest.Person{UserName: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func(context.Context, string) error{e.Disable, e.Delete} {
		if err := step(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	var gone *scimtest.Error
	if err := e.Delete(t.Context(), id); !errors.As(err, &gone) || gone.Status != http.StatusNotFound || gone.Path != "/Users/"+id {
		t.Errorf("deleted twice: %v", err)
	}
}

// TestErrors asserts what the fakes take as a failure.
func TestErrors(t *testing.T) {
	const list = `{"totalResults":0,"Resources":[]}`
	type fakes struct {
		okta  *scimtest.Okta
		entra *scimtest.Entra
	}
	assign := func(f fakes) error {
		_, err := f.okta.Assign(context.Background(), scimtest.Person{UserName: "ada"})
		return err
	}
	sync := func(f fakes) error {
		_, err := f.entra.Sync(context.Background(), scimtest.Person{UserName: "ada"})
		return err
	}
	test := func(f fakes) error { return f.entra.TestConnection(context.Background()) }
	tests := []struct {
		name   string
		call   func(fakes) error
		get    string // the answer to a GET: status, media type and body
		post   string
		status int
		detail string // a part; empty: no failure
	}{
		{"created", assign, "200 application/scim+json " + list, `201 application/scim+json; charset=utf-8 {"id":"1"}`, 0, ""},
		{"404 is none to Okta", assign, "404 application/scim+json {}", `201 application/scim+json {"id":"1"}`, 0, ""},
		{"404 is a failure to Entra", sync, "404 application/scim+json {}", "", 404, ""},
		{"SCIM error", sync, "200 application/scim+json " + list, `409 application/scim+json {"scimType":"uniqueness","detail":"taken"}`, 409, "uniqueness taken"},
		{"plain text error", sync, "500 text/plain broken", "", 500, `"text/plain", not application/scim+json`},
		{"another media type", sync, "200 application/json " + list, "", 200, "not application/scim+json"},
		{"no JSON", sync, "200 application/scim+json []", "", 200, "not a JSON object"},
		{"empty list", sync, "200 application/scim+json ", "", 200, "empty"},
		{"no Resources", sync, `200 application/scim+json {"totalResults":0}`, "", 200, "not a list"},
		{"total as text", sync, `200 application/scim+json {"totalResults":"0","Resources":[]}`, "", 200, "not a list"},
		{"total without resources", sync, `200 application/scim+json {"totalResults":1,"Resources":[]}`, "", 200, "no resource with an id"},
		{"resource without id", sync, `200 application/scim+json {"totalResults":1,"Resources":[{}]}`, "", 200, "no resource with an id"},
		{"created without a body", assign, "200 application/scim+json " + list, "201 application/scim+json ", 201, "not 201 with an id"},
		{"created with 200", assign, "200 application/scim+json " + list, `200 application/scim+json {"id":"1"}`, 200, "not 201 with an id"},
		{"filter ignored", test, `200 application/scim+json {"totalResults":1,"Resources":[{"id":"1"}]}`, "", 200, "what is not there"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := test.get
				if r.Method == http.MethodPost {
					answer = test.post
				}
				writeAnswer(t, w, answer)
			}))
			defer server.Close()
			err := test.call(fakes{scimtest.NewOkta(server.URL, token), scimtest.NewEntra(server.URL, token)})
			var failure *scimtest.Error
			switch {
			case test.status == 0 && err == nil:
			case !errors.As(err, &failure):
				t.Errorf("error %v, want status %d", err, test.status)
			case failure.Status != test.status || !strings.Contains(failure.Error(), test.detail):
				t.Errorf("error %v, want status %d and %q", err, test.status, test.detail)
			}
		})
	}
}

// writeAnswer writes "status media-type body"; the type may have one parameter.
func writeAnswer(t *testing.T, w http.ResponseWriter, answer string) {
	t.Helper()
	status, rest, _ := strings.Cut(answer, " ")
	media, body, ok := strings.Cut(rest, " ")
	if strings.HasSuffix(media, ";") {
		parameter, after, _ := strings.Cut(body, " ")
		media, body = media+" "+parameter, after
	}
	codes := map[string]int{"200": 200, "201": 201, "404": 404, "409": 409, "500": 500}
	if !ok || codes[status] == 0 {
		t.Errorf("bad answer %q", answer)
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(codes[status])
	_, _ = w.Write([]byte(body))
}

// TestUnreachable asserts that a server that is away is an error, and that the
// given client is used.
func TestUnreachable(t *testing.T) {
	okta := scimtest.NewOkta("http://scim.invalid", token)
	away := errors.New("away")
	okta.HTTP = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, away })}
	if err := okta.TestConnection(t.Context()); !errors.Is(err, away) {
		t.Errorf("error %v, want %v", err, away)
	}
	var failure *scimtest.Error
	if err := scimtest.NewOkta("http://bad host", token).TestConnection(t.Context()); err == nil || errors.As(err, &failure) {
		t.Errorf("error %v", err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
