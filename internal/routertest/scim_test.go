package routertest_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/httpscript"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

var (
	prefixes = []string{"", "/scim/v2", "/a/b/c"}
	tokens   = map[string]string{
		"scim":   "token-of-okta-0123456789abcdef-0123456789",
		"entra":  "token-of-entra-0123456789abcdef-012345678",
		"nobody": "token-of-nobody-0123456789abcdef-01234567",
	}
)

// newSCIM returns a handler with the connections "okta" and "entra".
func newSCIM(t *testing.T) *scim.Handler {
	t.Helper()
	engine := &provision.Engine{Store: memory.New(), Logger: slog.New(slog.DiscardHandler)}
	operator := provision.Actor{Kind: "operator", ID: "test"}
	for id, token := range map[string]string{"okta": tokens["scim"], "entra": tokens["entra"]} {
		conn := provision.Connection{ID: id, SCIM: true}
		if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Directory(id).As(operator).SetCredential(t.Context(), provision.Secret{Token: token}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	return &scim.Handler{Engine: engine, Logger: engine.Logger, Me: func(r *http.Request, p scim.Principal) (string, error) {
		page, err := engine.Directory(p.Connection).Query(r.Context(), store.Query{Types: []string{provision.TypeUser}, Limit: 1})
		if err != nil || len(page.Resources) == 0 {
			return "", err
		}
		return page.Resources[0].ID, nil
	}}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// Each router at each prefix: the conversation is the same.
func TestConversation(t *testing.T) {
	script, err := httpscript.Read("testdata/conversation.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, router := range routers() {
		for _, prefix := range prefixes {
			for _, exact := range []string{"found", "Prefix"} {
				if router.halves && exact == "Prefix" {
					continue // it is the prefix here, not where the router stands
				}
				t.Run(router.name+" at "+prefix+"/ "+exact, func(t *testing.T) {
					handler := newSCIM(t)
					if exact == "Prefix" {
						handler.Prefix = prefix + "/"
					}
					server := serve(t, router.mount(prefix, handler))
					handler.BaseURL = func(*http.Request, string) string { return server.URL + prefix }
					player := &httpscript.Player{Base: server.URL + prefix, Tokens: tokens, Client: server.Client()}
					player.Play(t, script)
				})
			}
		}
	}
}

// reply is what a client gets that follows no redirect.
type reply struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, address, token string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// The zero value, with nothing but an Engine.
func TestZeroValue(t *testing.T) {
	for _, router := range routers() {
		for _, prefix := range prefixes {
			t.Run(router.name+" at "+prefix+"/", func(t *testing.T) {
				server := serve(t, router.mount(prefix, newSCIM(t)))
				paths := map[string]int{"/Users": 200, "/Users/": 200, "/Users/x": 404, "/users": 404, "/Schemas": 200, "/Bulk": 405}
				if !router.cleans {
					paths["//Users"], paths["//Users//x"] = 200, 404 // a base URL that ends with a slash
				}
				for path, want := range paths {
					got := get(t, server.URL+prefix+path, tokens["scim"])
					if got.status != want || got.header.Get("Content-Type") != "application/scim+json" {
						t.Errorf("%s: status %d, %s: %s", path, got.status, got.header.Get("Content-Type"), got.body)
					}
				}
			})
		}
	}
}

// docs/mounting.md says what does not come to a handler.
func TestWhatRoutersAnswer(t *testing.T) {
	for _, router := range routers() {
		t.Run(router.name, func(t *testing.T) {
			handler := newSCIM(t)
			handler.BaseURL = func(*http.Request, string) string { return "https://app.example/a/b/c" }
			server := serve(t, router.mount("/a/b/c", handler))
			for path, want := range map[string]int{"/a/b/c": router.root, "/a//b/c/Users": router.slashes} {
				if got := get(t, server.URL+path, tokens["scim"]); got.status != want {
					t.Errorf("%s: status %d, want %d", path, got.status, want)
				}
			}
		})
	}
}

// The connection in the path refuses the credential of another one, and selects
// nothing.
func TestConnectionInThePath(t *testing.T) {
	const prefix = "/scim/{connection}/v2"
	for _, router := range routers() {
		if router.strips || router.halves {
			continue // what is a wildcard cannot be stripped
		}
		for _, by := range []string{"Prefix", "path value"} {
			if by == "path value" && !router.names {
				continue
			}
			t.Run(router.name+" by "+by, func(t *testing.T) {
				handler := newSCIM(t)
				if by == "Prefix" {
					handler.Prefix = prefix
				}
				server := serve(t, router.mount(prefix, handler))
				for _, row := range []struct {
					connection, token string
					want              int
				}{
					{"okta", "scim", 200}, {"entra", "entra", 200}, {"entra", "scim", 404}, {"okta", "entra", 404},
					{"nobody", "scim", 404}, {"okta", "nobody", 401}, {"Okta", "scim", 404},
				} {
					at := server.URL + strings.Replace(prefix, "{connection}", row.connection, 1)
					for _, path := range []string{"/Users", "/", "/ServiceProviderConfig"} {
						got := get(t, at+path, tokens[row.token])
						if got.status != row.want || got.header.Get("Content-Type") != "application/scim+json" {
							t.Errorf("%s with the credential %s at %s: status %d: %s", path, row.token, row.connection, got.status, got.body)
						}
					}
				}
			})
		}
	}
}
