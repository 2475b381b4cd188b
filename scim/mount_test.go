package scim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

// TestMounts sends each request of the table file to the directory acme, which
// has two users and a group, through a handler that is mounted somewhere.
func TestMounts(t *testing.T) {
	var rows []struct {
		Name   string `json:"name"`
		Prefix string `json:"prefix"`
		Base   string `json:"base"`
		Value  string `json:"value"` // what the router says that the connection is
		As     string `json:"as"`
		Method string `json:"method"`
		Path   string `json:"path"`
		Body   string `json:"body"`
		Status int    `json:"status"` // 200 where there is a total
		Total  *int   `json:"total"`
		Detail string `json:"detail"`
	}
	decodeStrict(t, "testdata/mounts.json", &rows)
	s := newService(t, memory.New(), "")
	expand := strings.NewReplacer(s.directory()...).Replace
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			handler := &scim.Handler{Engine: s.engine, Prefix: row.Prefix}
			if row.Base != "" {
				handler.BaseURL = func(*http.Request, string) string { return row.Base }
			}
			router := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.SetPathValue("connection", row.Value)
				handler.ServeHTTP(w, r)
			})
			method, token, status := row.Method, acmeToken, row.Status
			if method == "" {
				method = http.MethodGet
			}
			if row.As == "other" {
				token = otherToken
			}
			if row.Total != nil {
				status = http.StatusOK
			}
			at := &service{t: t, handler: router}
			a := at.do(method, expand(row.Path), token, row.Body)
			if a.status != status {
				t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
			}
			if a.status >= 400 {
				checkError(t, a, "", row.Detail)
			}
			if row.Total != nil && a.json(t)["totalResults"] != float64(*row.Total) {
				t.Errorf("totalResults %v, want %d", a.json(t)["totalResults"], *row.Total)
			}
		})
	}
}

// Every route answers below any prefix as it does without one, with any number of
// slashes, in SCIM's own media type.
func TestEveryRouteAtEveryMount(t *testing.T) {
	s := newService(t, memory.New(), "")
	ids := s.directory()
	user, group := ids[1], ids[5]
	endpoints := []string{"Users/" + user, "Groups/" + group, "Users/nobody", "Nothing/x"}
	for _, route := range scim.Routes() {
		method, pattern, _ := strings.Cut(route, " /")
		if method == http.MethodDelete {
			continue // the second one would find nothing
		}
		for _, endpoint := range endpoints {
			collection, id, _ := strings.Cut(endpoint, "/")
			path := strings.Replace(strings.Replace(pattern, "*/*", collection+"/"+id, 1), "*", collection, 1)
			want := s.do(method, "/"+path, acmeToken, mountBody(method))
			for _, prefix := range []string{"/v2", "/scim/v2", "/a/b/c/v2", "//x%20y//v2//", "/.search/../v2"} {
				got := s.do(method, prefix+"/"+path, acmeToken, mountBody(method))
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
					t.Errorf("%s %s below %s (-without +with the prefix):\n%s", method, path, prefix, diff)
				}
			}
			if want.header.Get("Content-Type") != "application/scim+json" {
				t.Errorf("%s %s: Content-Type %q", method, path, want.header.Get("Content-Type"))
			}
		}
	}
}

// mountBody is a body that changes nothing.
func mountBody(method string) string {
	if method == http.MethodGet {
		return ""
	}
	return `{"Operations":[{}]}`
}
