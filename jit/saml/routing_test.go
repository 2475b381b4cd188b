package saml_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store/memory"
)

func TestRouting(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	saml := &provision.SAML{Metadata: idpMetadata(idpPair().cert)}
	s.save(provision.Connection{ID: "plain"})
	s.save(provision.Connection{ID: "closed", SAML: saml, Disabled: true})
	s.save(provision.Connection{ID: "broken", SAML: &provision.SAML{Metadata: "<EntityDescriptor/>"}})
	tests := []struct {
		method, path string
		want         int
		allow        string
	}{
		{method: "GET", path: "/saml/demo/metadata", want: 200},
		{method: "HEAD", path: "/saml/demo/metadata", want: 200},
		{method: "POST", path: "/saml/demo/metadata", want: 405, allow: "GET HEAD"},
		{method: "GET", path: "/saml/demo/login", want: 302},
		{method: "HEAD", path: "/saml/demo/login", want: 405, allow: "GET"},
		{method: "POST", path: "/saml/demo/login", want: 405, allow: "GET"},
		{method: "GET", path: "/saml/demo/acs", want: 405, allow: "POST"},
		{method: "PUT", path: "/saml/demo/acs", want: 405, allow: "POST"},
		{method: "GET", path: "/saml/demo/other", want: 404},
		{method: "GET", path: "/saml/demo/", want: 404},
		{method: "GET", path: "/saml/demo/login/", want: 302},
		{method: "POST", path: "/saml/demo/acs/", want: 400},
		{method: "GET", path: "/saml/demo/x/metadata", want: 404},
		{method: "POST", path: "/saml/demo/a/b/acs", want: 404},
		{method: "GET", path: "/saml/demo/x/demo/metadata", want: 200},
		{method: "GET", path: "/saml/demo/x%2Fmetadata", want: 404},
		{method: "GET", path: "/saml/plain/x/demo/metadata", want: 404},
		{method: "GET", path: "/saml/unknown/login", want: 404},
		{method: "POST", path: "/saml/unknown/acs", want: 404},
		{method: "GET", path: "/saml/plain/metadata", want: 404},
		{method: "GET", path: "/saml/closed/login", want: 404},
		{method: "GET", path: "/saml/broken/login", want: 500},
	}
	var unknown string
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
			answer := s.do(r, nil)
			if answer.StatusCode != tt.want || strings.Join(answer.Header["Allow"], " ") != tt.allow {
				t.Errorf("status %d, Allow %q", answer.StatusCode, answer.Header["Allow"])
			}
			if tt.want != http.StatusNotFound {
				return
			}
			body := answer.body
			body, _, _ = strings.Cut(body, "<code>")
			if unknown == "" {
				unknown = body
			}
			if body != unknown {
				t.Errorf("body %s", body)
			}
		})
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error(s.log.String())
	}
}

// The connection is before the last segment, whatever the router leaves of the
// path, or the host finds it by itself.
func TestMounts(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	s.save(provision.Connection{ID: "metadata", SAML: &provision.SAML{Metadata: idpMetadata(idpPair().cert)}})
	byHost := &saml.Handler{
		Engine: s.engine, Login: s.handler.Login, BaseURL: s.handler.BaseURL, Logger: s.handler.Logger,
		Connection: func(*http.Request) string { return "demo" },
	}
	mux := func(pattern string, h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(pattern, h)
		return mux
	}
	tests := []struct {
		name   string
		router http.Handler
		paths  map[string]int
	}{
		{"no router", s.handler, map[string]int{
			"/demo/metadata": 200, "/a/b/c/demo/metadata": 200, "//demo//metadata//": 200, "/saml/nobody/metadata": 404,
			"/metadata": 404, "/": 404, "/demo/metadata/x": 404, "/demo%2Fmetadata": 404, "/x/demo%2Fmetadata": 404,
		}},
		{"path value", mux("/saml/{connection}/", s.handler), map[string]int{"/saml/demo/metadata": 200, "/saml/other/demo/metadata": 404}},
		{"stripped", mux("/saml/{connection}/", http.StripPrefix("/saml", s.handler)), map[string]int{
			"/saml/demo/metadata": 200, "/saml/demo/x/metadata": 404,
		}},
		{"all stripped", mux("/saml/{connection}/", http.StripPrefix("/saml/demo", s.handler)), map[string]int{"/saml/demo/metadata": 200}},
		{"subtree", mux("/saml/", s.handler), map[string]int{"/saml/demo/metadata": 200, "/saml/metadata/metadata": 200, "/saml/metadata": 404}},
		{"one pattern for each", mux("GET /sso/{connection}/metadata", s.handler), map[string]int{"/sso/demo/metadata": 200}},
		{"by host", mux("demo.example.com/", byHost), map[string]int{"/metadata": 200, "/metadata/": 200, "/": 404}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, want := range tt.paths {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				var err error
				if r.URL, err = url.ParseRequestURI(path); err != nil {
					t.Fatal(err)
				}
				r.Host = "demo.example.com"
				tt.router.ServeHTTP(w, r)
				if w.Code != want {
					t.Errorf("%s: status %d", path, w.Code)
				}
			}
		})
	}
}
