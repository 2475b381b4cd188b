package scimtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store/memory"
)

const token = "scimtest-token-0123456789abcdefghijk"

// site is an application with one connection, and what was sent to it.
type site struct {
	engine   *provision.Engine
	url      string // of the SCIM service root
	requests []request
}

type request struct {
	Method string
	Path   string // below the service root, with its query
	Body   any    // decoded
}

func newSite(t *testing.T, dialect string) *site {
	t.Helper()
	var clock scimtest.Clock
	s := &site{engine: &provision.Engine{Store: memory.New(), Now: clock.Now, Logger: slog.New(slog.DiscardHandler)}}
	operator := provision.Actor{Kind: "operator", ID: "test"}
	conn := provision.Connection{ID: "idp", Dialect: dialect, SCIM: true}
	if _, err := s.engine.Directory(conn.ID).As(operator).SaveConnection(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.Directory("idp").As(operator).SetCredential(t.Context(), provision.Secret{Token: token}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	handler := http.StripPrefix("/scim/v2", &scim.Handler{Engine: s.engine})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.record(t, r)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/scim/v2"
	return s
}

func (s *site) record(t *testing.T, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	req := request{Method: r.Method, Path: strings.TrimPrefix(r.RequestURI, "/scim/v2")}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &req.Body); err != nil {
			t.Errorf("%s: %v: %s", req.Path, err, data)
		}
		if got := r.Header.Get("Content-Type"); got != "application/scim+json; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", req.Path, got)
		}
	} else if got := r.Header.Get("Content-Type"); got != "" {
		t.Errorf("%s: Content-Type %q without a body", req.Path, got)
	}
	s.requests = append(s.requests, req)
}

// take returns the requests since the last call.
func (s *site) take() []request {
	list := s.requests
	s.requests = nil
	return list
}

// accounts returns the statuses by user name.
func (s *site) accounts(t *testing.T) map[string]policy.Status {
	t.Helper()
	var r scimtest.Recorder
	if err := r.Load(t.Context(), s.engine.Directory("idp")); err != nil {
		t.Fatal(err)
	}
	out := map[string]policy.Status{}
	for _, ev := range r.Events() {
		if ev.Account != nil {
			out[r.UserName(ev)] = ev.Account.Status
		}
	}
	return out
}
