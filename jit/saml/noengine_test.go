package saml_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
)

// A handler that nobody gave an engine or a login says so, in its log.
func TestNoEngine(t *testing.T) {
	for _, test := range []struct {
		login *jit.LoginHandler
		want  string
	}{
		{nil, "Handler.Login is not set"},
		{&jit.LoginHandler{}, "the Engine is nil"},
	} {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		if test.login != nil {
			test.login.Logger = logger
		}
		h := &saml.Handler{Login: test.login, Logger: logger, BaseURL: func(string) string { return "https://app.example/saml/demo" }}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/saml/demo/metadata", nil))
		if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), test.want) {
			t.Errorf("status %d, log %s", w.Code, log.String())
		}
	}
}
