package scimtest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/scimtest"
)

// call is one call of a fake, and the recorded requests that it must send.
type call struct {
	name  string
	run   func(context.Context) (id string, err error)
	as    string            // the name of the returned id in the recording
	steps []string          // of the recording, in order; "get" stands for any GET by id
	edit  map[string]string // replacements in the recording
}

// TestOktaShapes compares the requests of both kinds of apps with those that
// were recorded.
func TestOktaShapes(t *testing.T) {
	person := scimtest.Person{ExternalID: "00u7exampleAbCdEf0h7", UserName: "ines.duarte@riverbank.example", GivenName: "Ines", FamilyName: "Duarte"}
	const staff, all = "Riverbank Staff", "Riverbank All"
	t.Run("AIW", func(t *testing.T) {
		s := newSite(t, "okta")
		okta := scimtest.NewOkta(s.url, token)
		ids := map[string]string{}
		s.compare(t, "okta", ids, []call{
			{name: "test", run: none(okta.TestConnection), steps: []string{"test-connection"}},
			{name: "assign", run: func(ctx context.Context) (string, error) { return okta.Assign(ctx, person) }, as: "id", steps: []string{"match-user", "create-user"}},
			{name: "assign another", run: func(ctx context.Context) (string, error) {
				return okta.Assign(ctx, scimtest.Person{UserName: "tomas.vega@riverbank.example"})
			}, as: "id2", steps: []string{"match-second-user", "any"}},
			{name: "push", run: func(ctx context.Context) (string, error) { return okta.PushGroup(ctx, staff, ids["id"], ids["id2"]) }, as: "gid", steps: []string{"match-group", "create-group", "get", "group-push-put"}},
			{name: "delete", run: func(ctx context.Context) (string, error) { return "", okta.DeleteGroup(ctx, ids["gid"]) }, steps: []string{"delete-group"}},
		})
	})
	t.Run("OIN", func(t *testing.T) {
		s := newSite(t, "okta")
		okta := scimtest.NewOkta(s.url, token)
		okta.Catalog = true
		ids := map[string]string{}
		s.compare(t, "okta-catalog", ids, []call{
			{name: "test", run: none(okta.TestConnection), steps: []string{"test-connection"}},
			{name: "assign", run: func(ctx context.Context) (string, error) { return okta.Assign(ctx, person) }, as: "id", steps: []string{"match-user", "create-user"}},
			{name: "assign another", run: func(ctx context.Context) (string, error) {
				return okta.Assign(ctx, scimtest.Person{UserName: "tomas.vega@riverbank.example"})
			}, as: "id2", steps: []string{"any", "any"}},
			{name: "push", run: func(ctx context.Context) (string, error) { return okta.PushGroup(ctx, staff) }, as: "gid", steps: []string{"match-group", "create-group", "get", "any"}},
			{name: "push members", run: func(ctx context.Context) (string, error) { return okta.PushGroup(ctx, staff, ids["id"], ids["id2"]) }, as: "gid", steps: []string{"match-group", "get", "any"}},
			{name: "rename", run: func(ctx context.Context) (string, error) { return "", okta.RenameGroup(ctx, ids["gid"], all) }, steps: []string{"rename-group-patch"}},
			{name: "deactivate", run: func(ctx context.Context) (string, error) { return "", okta.Deactivate(ctx, ids["id"]) }, steps: []string{"deactivate-patch"}},
			{name: "reactivate", run: func(ctx context.Context) (string, error) { return "", okta.Reactivate(ctx, ids["id"]) }, steps: []string{"reactivate-patch"}},
			{name: "delete", run: func(ctx context.Context) (string, error) { return "", okta.DeleteGroup(ctx, ids["gid"]) }, steps: []string{"delete-group"}},
		})
	})
}

// TestEntraShapes compares the requests of both dialects with those that were
// recorded.
func TestEntraShapes(t *testing.T) {
	person := scimtest.Person{ExternalID: "mlq", UserName: "mira.berg@fjordworks.example", GivenName: "Mira", FamilyName: "Berg"}
	name := groupName(t)
	steps := func(e *scimtest.Entra, ids map[string]string, disable, restore, remove string) []call {
		return []call{
			{name: "test", run: none(e.TestConnection), steps: []string{"test-connection-user", "test-connection-group"},
				edit: map[string]string{"4c0e9a52-5d2c-4a3a-a0f0-0b7a6f0d2c11": "7b1f6f0e-0a5e-4d53-9a43-6c7a2d4f9b10"}},
			{name: "create", run: func(ctx context.Context) (string, error) { return e.Sync(ctx, person) }, as: "id", steps: []string{"match-new-name", "create-user-after-deletion"}},
			{name: "unchanged", run: func(ctx context.Context) (string, error) { return e.Sync(ctx, person) }, as: "id", steps: []string{"match-new-name", "get"}},
			{name: "disable", run: func(ctx context.Context) (string, error) { return "", e.Disable(ctx, ids["id"]) }, steps: []string{disable}},
			{name: "restore", run: func(ctx context.Context) (string, error) { return "", e.Restore(ctx, ids["id"]) }, steps: []string{restore}},
			{name: "group", run: func(ctx context.Context) (string, error) {
				return e.SyncGroup(ctx, "c5a1c7a0-11a2-4d0c-8f3e-6d1de2f2a7b4", name)
			}, as: "gid", steps: []string{"match-group", "create-group", "get-group"}},
			{name: "remove", run: func(ctx context.Context) (string, error) { return "", e.RemoveMembers(ctx, ids["gid"], ids["id"]) }, steps: []string{remove}},
			{name: "delete", run: func(ctx context.Context) (string, error) { return "", e.Delete(ctx, ids["id"]) }, steps: []string{"delete-user"}},
			{name: "delete group", run: func(ctx context.Context) (string, error) { return "", e.DeleteGroup(ctx, ids["gid"]) }, steps: []string{"delete-group"}},
		}
	}
	t.Run("legacy", func(t *testing.T) {
		s := newSite(t, "entra")
		e, ids := scimtest.NewEntra(s.url, token), map[string]string{}
		list := steps(e, ids, "disable-legacy", "reactivate-legacy", "remove-members-legacy")
		last := len(list) - 2
		s.compare(t, "entra", ids, list[:last])
		s.compare(t, "entra", ids, []call{
			{name: "add", run: func(ctx context.Context) (string, error) { return "", e.AddMembers(ctx, ids["gid"], ids["id"]) }, steps: []string{"add-members"}},
			{name: "rename group", run: func(ctx context.Context) (string, error) { return "", e.RenameGroup(ctx, ids["gid"], name+" A") }, steps: []string{"rename-group"}},
		})
		s.compare(t, "entra", ids, list[last:])
	})
	t.Run("flag", func(t *testing.T) {
		s := newSite(t, "entra")
		e, ids := scimtest.NewEntra(s.url, token), map[string]string{}
		e.Flag = true
		list := steps(e, ids, "disable-flag", "reactivate-flag", "remove-members-flag")
		last := len(list) - 2
		s.compare(t, "entra", ids, list[:last])
		s.compare(t, "entra", ids, []call{
			{name: "external id", run: func(ctx context.Context) (string, error) { return e.SyncGroup(ctx, "c5a1", name) }, as: "gid", steps: []string{"match-group", "get-group", "group-externalid"}},
		})
		s.compare(t, "entra", ids, list[last:])
	})
}

// TestEntraUpdate compares the PATCH of a changed person, whose shape in the two
// dialects was recorded with other values.
func TestEntraUpdate(t *testing.T) {
	before := scimtest.Person{ExternalID: "1", UserName: "mira", GivenName: "Mira", FamilyName: "Berg", Email: "mira@x.example"}
	after := scimtest.Person{ExternalID: "1", UserName: "mira", GivenName: "Mira", FamilyName: "L", Email: "m@x.example", Title: "Pilot", Department: "Quay"}
	const department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
	tests := []struct {
		name string
		flag bool
		want string
	}{
		{"legacy", false, `[
			{"op":"Replace","path":"displayName","value":"Mira L"},
			{"op":"Replace","path":"emails[type eq \"work\"].value","value":"m@x.example"},
			{"op":"Replace","path":"name.formatted","value":"Mira L"},
			{"op":"Replace","path":"name.familyName","value":"L"},
			{"op":"Add","path":"title","value":"Pilot"},
			{"op":"Add","path":"` + department + `","value":"Quay"}]`},
		{"flag", true, `[
			{"op":"replace","path":"emails[type eq \"work\"].value","value":"m@x.example"},
			{"op":"replace","value":{"displayName":"Mira L","name.formatted":"Mira L","name.familyName":"L","title":"Pilot","` + department + `":"Quay"}}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, "entra")
			e := scimtest.NewEntra(s.url, token)
			e.Flag = test.flag
			id, err := e.Sync(t.Context(), before)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := e.Sync(t.Context(), after); again != id || err != nil {
				t.Fatalf("id %q, want %q: %v", again, id, err)
			}
			var want any
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, body(s.take())["Operations"]); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			if _, err := e.Sync(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Sync(t.Context(), scimtest.Person{UserName: "mira", Email: after.Email}); err != nil {
				t.Fatal(err)
			}
			if got := s.take(); len(got) != 4 {
				t.Errorf("a cycle without a change, and one without values, send %v", got)
			}
		})
	}
}

// TestEntraOtherEmails asserts that only the work e-mail is compared.
func TestEntraOtherEmails(t *testing.T) {
	const user = `{"id":"1","userName":"mira","emails":[{"type":"home","value":"h"},{"type":"work","value":"mira"},{"type":"other","value":"o"}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if strings.HasSuffix(r.URL.Path, "/1") {
			writeAnswer(t, w, "200 application/scim+json "+user)
			return
		}
		writeAnswer(t, w, `200 application/scim+json {"totalResults":1,"Resources":[`+user+`]}`)
	}))
	defer server.Close()
	if id, err := scimtest.NewEntra(server.URL, token).Sync(t.Context(), scimtest.Person{UserName: "mira"}); id != "1" || err != nil {
		t.Errorf("id %q: %v", id, err)
	}
}

// none makes a call of a method that returns no id.
func none(run func(context.Context) error) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return "", run(ctx) }
}

// compare makes the calls and compares what each sends with the recording. "get"
// is a GET of one resource, "any" is not compared.
func (s *site) compare(t *testing.T, recording string, ids map[string]string, calls []call) {
	t.Helper()
	recorded := readRecording(t, recording)
	for _, c := range calls {
		id, err := c.run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.as != "" {
			ids[c.as] = id
		}
		got := s.take()
		if len(got) != len(c.steps) {
			t.Fatalf("%s: sent %v, want the steps %v", c.name, got, c.steps)
		}
		var pairs []string
		for name, id := range ids {
			pairs = append(pairs, "{"+name+"}", id)
		}
		for old, edited := range c.edit {
			pairs = append(pairs, old, edited)
		}
		fill := strings.NewReplacer(pairs...)
		for i, step := range c.steps {
			switch want, known := recorded[step]; {
			case step == "any":
			case step == "get":
				if got[i].Method != http.MethodGet || strings.Count(got[i].Path, "/") != 2 {
					t.Errorf("%s: sent %v, want a GET of a resource", c.name, got[i])
				}
			case !known:
				t.Errorf("%s: %q is not a recorded step", c.name, step)
			default:
				if diff := cmp.Diff(decodeRequest(t, fill.Replace(want)), got[i]); diff != "" {
					t.Errorf("%s: %s (-recorded +sent):\n%s", c.name, step, diff)
				}
			}
		}
	}
}

// readRecording returns the requests of a recorded conversation as JSON texts.
func readRecording(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../testdata/idp/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var conv struct {
		Steps []struct {
			Step, Method, Path string
			Body               json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &conv); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, step := range conv.Steps {
		data, err := json.Marshal(request{Method: step.Method, Path: step.Path, Body: step.Body})
		if err != nil {
			t.Fatal(err)
		}
		out[step.Step] = string(data)
	}
	return out
}

// groupName returns the name of the group in the recording of Entra ID.
func groupName(t *testing.T) string {
	t.Helper()
	body, _ := decodeRequest(t, readRecording(t, "entra")["create-group"]).Body.(map[string]any)
	name, _ := body["displayName"].(string)
	return name
}

func decodeRequest(t *testing.T, data string) request {
	t.Helper()
	var r request
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		t.Fatal(err)
	}
	return r
}
