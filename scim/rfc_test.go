package scim_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/httpscript"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store"
)

// TestRFC7644 replays the examples of RFC 7644, sections 3.3 to 3.14.
func TestRFC7644(t *testing.T) { playScripts(t, "../testdata/rfc7644/*.json") }

// TestScripts replays what goes beyond the examples of the RFC.
func TestScripts(t *testing.T) { playScripts(t, "testdata/scripts/*.json") }

// playScripts replays every script of a folder on every store. A new script is a
// new file there.
func playScripts(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts at %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			script, err := httpscript.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, dialect := range script.Dialects {
				for name, open := range stores {
					t.Run(strings.Trim(dialect+"/"+name, "/"), func(t *testing.T) { newPlayer(t, open(t), dialect).Play(t, script) })
				}
			}
		})
	}
}

// newPlayer returns a player for a handler over a store with the connections
// "acme", which "scim" is the token of, and "other". The header X-Me of a request
// says who is meant by /Me; "nobody" is an empty id. Ids sort in the order in which they were made, and
// the clock goes on a second with each request.
func newPlayer(t *testing.T, st store.Store, dialect string) *httpscript.Player {
	t.Helper()
	var clock scimtest.Clock
	clock.Advance(time.Date(2011, 5, 13, 4, 42, 34, 0, time.UTC).Sub(clock.Now()))
	logger := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	engine := &provision.Engine{Store: st, Now: clock.Now, Rand: &conversationIDs{}, Logger: logger}
	operator := provision.Actor{Kind: "operator", ID: "test"}
	for id, token := range map[string]string{"acme": acmeToken, "other": otherToken} {
		conn := provision.Connection{ID: id, Dialect: dialect, SCIM: true}
		if _, err := engine.Directory(conn.ID).As(operator).UpdateConnection(t.Context(), with(conn)); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Directory(id).As(operator).SetCredential(t.Context(), provision.Secret{Token: token}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	const base = "https://sp.example"
	handler := &scim.Handler{
		Engine:  engine,
		Logger:  logger,
		BaseURL: func(*http.Request, string) string { return base + "/scim/v2" },
		Me: func(r *http.Request, _ scim.Principal) (string, error) {
			switch id := r.Header.Get("X-Me"); id {
			case "":
				return "", provision.ErrNotFound
			case "nobody":
				return "", nil
			default:
				return id, nil
			}
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", http.StripPrefix("/scim/v2", handler))
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		list, err := engine.Directory("acme").Accounts(r.Context(), store.AccountQuery{})
		answerJSON(t, w, list, err)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		list, err := engine.Directory("acme").Events(r.Context(), 0, 0)
		answerJSON(t, w, list, err)
	})
	return &httpscript.Player{
		Client: httpscript.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			clock.Advance(time.Second)
			mux.ServeHTTP(w, r)
		})),
		Base:     base + "/scim/v2",
		Operator: base,
		Tokens:   map[string]string{"scim": acmeToken, "other": otherToken, "operator": ""},
	}
}

func answerJSON(t *testing.T, w http.ResponseWriter, v any, err error) {
	if err != nil {
		t.Error(err)
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

// testWriter is a log that is shown where a test fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
