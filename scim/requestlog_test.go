package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// requests returns the request log of a connection, the oldest first, as lines such as
// "outcome method path status code, r:resource x:externalId".
func (s *service) requests(connection string, q provision.RequestQuery) (lines []string) {
	s.t.Helper()
	if err := s.engine.Plumbing().FlushRequests(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	page, err := s.engine.Directory(connection).Requests(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range page.Requests {
		r := &page.Requests[len(page.Requests)-1-i]
		line := fmt.Sprintf("%s %s %s %d %s", r.Outcome, r.Method, r.Path, r.Status, r.Code)
		for _, id := range []struct{ name, id string }{{" r:", r.Resource}, {" x:", r.ExternalID}} {
			if id.id != "" {
				line += id.name + id.id
			}
		}
		if r.Stranger {
			line += fmt.Sprintf(" stranger %d", r.Count)
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func (s *service) expectRequests(what string, got []string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Writes and refusals are in the log, on every store, and are found by what they are about.
func TestRequestLog(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "")
			ada := s.must("POST", "/Users", `{`+coreUser+`"userName":"ada","externalId":"00u1","active":true}`)
			s.do("POST", "/Users", acmeToken, `{`+coreUser+`"userName":"ADA","externalId":"00u2"}`)
			s.must("PATCH", "/Users/"+ada, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","value":{"active":"False"}}]}`)
			s.must("GET", "/Users", "")
			s.do("GET", "/Users?filter=userName+eq&count=1&secret=x", acmeToken, "")
			s.do("GET", "/Users/"+strings.Repeat("a", 26), acmeToken, "")
			s.do("GET", "/Users/somebody@example.com", acmeToken, "")
			s.do("DELETE", "/Users/"+ada, acmeToken, "")
			s.do("GET", "/Users", "wrong", "")
			s.do("GET", "/Users", "", "")
			s.do("GET", "/Users", otherToken, "")

			all := []string{
				"succeeded POST /Users 201 r:" + ada + " x:00u1",
				"refused POST /Users 409 not_unique x:00u2",
				"succeeded PATCH /Users/" + ada + " 200 r:" + ada,
				"refused GET /Users?count=…&filter=…&…=… 400 bad_filter",
				"refused GET /Users/" + strings.Repeat("a", 26) + " 404 unknown_resource r:" + strings.Repeat("a", 26),
				"refused GET /Users/… 404 unknown_resource",
				"succeeded DELETE /Users/" + ada + " 204 r:" + ada,
			}
			s.expectRequests("all", s.requests("acme", provision.RequestQuery{}), all...)
			s.expectRequests("of strangers", s.requests("", provision.RequestQuery{}), "refused GET /Users 401 unauthenticated stranger 2")
			s.expectRequests("elsewhere", s.requests("other", provision.RequestQuery{}))
			s.expectRequests("refused", s.requests("acme", provision.RequestQuery{Outcome: provision.RequestRefused, Text: "UNKNOWN"}), all[4], all[5])
			s.expectRequests("about ada", s.requests("acme", provision.RequestQuery{Resource: ada}), all[0], all[2], all[6])
			s.expectRequests("by the id of who was refused", s.requests("acme", provision.RequestQuery{ExternalID: "00u2"}), all[1])
			s.expectRequests("by the id of ada", s.requests("acme", provision.RequestQuery{ExternalID: "00u1"}), all[0], all[2], all[6])
			s.expectRequests("by name", s.requests("acme", provision.RequestQuery{UserName: "Ada"}), all[0], all[1], all[2], all[6])
			traffic, err := s.engine.Directory("acme").Traffic(t.Context(), time.Time{})
			if err != nil || len(traffic) != 1 || traffic[0].Reads != 1 || traffic[0].Writes != 3 || traffic[0].Refused != 4 {
				t.Errorf("traffic %+v, %v; want 1 read, 3 writes, 4 refused", traffic, err)
			}
			activity, err := s.engine.Directory("acme").Activity(t.Context())
			if err != nil || activity.Request == nil || activity.Change == nil || activity.Refusal == nil || activity.Refusal.Code != "unknown_resource" {
				t.Errorf("activity %+v, %v", activity, err)
			}
			if activity, err = s.engine.Directory("other").Activity(t.Context()); err != nil || activity.Request == nil || activity.Change != nil || activity.Refusal != nil {
				t.Errorf("activity elsewhere %+v, %v; want a request alone", activity, err)
			}
		})
	}
}

// canary is in no entry of the log, wherever a request has it.
const canary = "canary7secret"

// canaries are requests with it in every place that a client fills.
func canaries(id string) []*http.Request {
	var list []*http.Request
	add := func(method, path, body string, headers ...string) {
		r := httptest.NewRequest(method, "https://sp.example/x", strings.NewReader(body))
		r.Method = method
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
		r.Header.Set("Authorization", "Bearer "+acmeToken)
		r.Header.Set("Content-Type", "application/scim+json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		list = append(list, r)
	}
	for _, name := range []string{"filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes", "cursor", canary} {
		for _, value := range []string{canary, canary + "+eq+1", "userName+" + canary + "+1", "userName+eq+%22" + canary + "%22", "userName+eq+" + canary, "%22" + canary, "%zz" + canary} {
			add("GET", "/Users?"+name+"="+value, "")
			add("GET", "/Schemas?"+name+"="+value, "")
		}
	}
	for _, path := range []string{"/" + canary, "/Users/" + canary, "/Groups/" + canary + "/" + canary, "/" + canary + "/Users", "/Schemas/" + canary, "/ResourceTypes/" + canary, "/Users/.search/" + canary} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", strings.ToUpper(canary)} {
			add(method, path, "{}")
		}
	}
	for _, header := range []string{"If-Match", "If-None-Match", "Content-Type", "Content-Encoding", "Accept", "User-Agent", "X-Forwarded-For", "Authorization"} {
		for _, value := range []string{canary, "Bearer " + canary, "Basic " + canary, `W/"` + canary + `"`} {
			add("PUT", "/Users/"+id, `{`+coreUser+`"userName":"eve"}`, header, value)
		}
	}
	quoted := `"` + canary + `"`
	for _, attribute := range []string{"userName", "externalId", "id", "schemas", "active", "name", "emails", "meta", "password", "roles", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", canary} {
		for _, value := range []string{quoted, `[` + quoted + `]`, `{"value":` + quoted + `}`, `[{"value":` + quoted + `}]`, `{` + quoted + `:1}`, canary, `"\u0000` + canary + `"`, `{"value":{` + quoted + `:[` + quoted + `]}}`, `[{"value":"a","primary":` + quoted + `}]`} {
			add("POST", "/Users", fmt.Sprintf(`{%s"userName":"eve","password":"%s",%q:%s}`, coreUser, canary, attribute, value))
			add("PUT", "/Groups/"+id, fmt.Sprintf(`{%q:%s}`, attribute, value))
			for _, op := range []string{"add", "replace", "remove", canary} {
				add("PATCH", "/Users/"+id, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":%q,"path":%q,"value":%s}]}`, op, attribute, value))
			}
		}
	}
	for _, path := range []string{canary, `emails[value eq \"` + canary + `\"]`, `emails[` + canary + ` eq 1].value`, `emails[type eq \"work\"].` + canary, `name.` + canary} {
		add("PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"`+path+`","value":1}]}`)
	}
	for _, op := range []string{
		`{"method":` + quoted + `,"path":"/Users"}`, `{"method":"POST","bulkId":` + quoted + `,"path":"/` + canary + `","data":{` + quoted + `:1}}`,
		`{"method":"PUT","path":"/Users/` + canary + `","version":` + quoted + `,"data":{}}`, `{"method":"DELETE","path":"/Users/bulkId:` + canary + `"}`,
		`{"method":"POST","bulkId":"1","path":"/Groups","data":{"displayName":"g","members":[{"value":"bulkId:` + canary + `"}]}}`,
	} {
		add("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+op+`]}`)
	}
	add("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"`+canary+`","members":[{"value":"`+canary+`"}]}`)
	add("POST", "/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"`+canary+`"}`)
	add("POST", "/Users/.search", `{"schemas":[`+quoted+`],"filter":"userName eq `+canary+`"}`)
	return list
}

// Nothing that a client has chosen arrives in the log, but the externalId of whoever was
// refused: no secret, no value of a filter, no name.
func TestCanary(t *testing.T) {
	s := newService(t, stores["memory"](t), "")
	id := s.must("POST", "/Users", `{`+coreUser+`"userName":"ada"}`)
	list := canaries(id)
	codes := map[string]bool{}
	for _, strict := range []string{"", "rfc"} {
		for _, r := range canaries(id) {
			s.handler.(*scim.Handler).ServeHTTP(httptest.NewRecorder(), r)
		}
		_, err := s.engine.Directory("acme").UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Dialect = strict; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	s.requests("acme", provision.RequestQuery{})
	entries := 0
	for _, scope := range []string{"acme", store.Global} {
		err := s.engine.Store.View(t.Context(), scope, func(_ context.Context, r store.Reader) error {
			for _, part := range []int{0, 1} {
				logged, err := r.LogEntries(store.LogQuery{Part: part})
				if err != nil {
					return err
				}
				entries += len(logged)
				for _, e := range logged {
					var said map[string]any
					if err := json.Unmarshal(e.Data, &said); err != nil {
						return err
					}
					codes[fmt.Sprint(said["c"])] = true
					delete(said, "x") // the externalId is kept
					text, err := json.Marshal(said)
					if err != nil {
						return err
					}
					if all := strings.ToLower(string(text) + strings.Join(e.Keys, " ")); strings.Contains(all, canary) {
						t.Errorf("the log has it: %s %v", e.Data, e.Keys)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if entries < len(list) || len(codes) < 20 {
		t.Errorf("%d entries with %d codes: too little was looked at", entries, len(codes))
	}
}
