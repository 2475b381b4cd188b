package routertest_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/jit/samltest"
	"github.com/scimjit/provision/store/memory"
)

// newSAML returns a handler whose connection "okta" trusts an identity provider.
func newSAML(t *testing.T, idp *samltest.IDP) *saml.Handler {
	t.Helper()
	engine := &provision.Engine{Store: memory.New(), Logger: slog.New(slog.DiscardHandler)}
	conn := provision.Connection{ID: "okta", SAML: &provision.SAML{Metadata: idp.Metadata()}}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator"}).SaveConnection(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return &saml.Handler{Engine: engine, Logger: engine.Logger, Login: &jit.LoginHandler{
		Engine: engine,
		Logger: engine.Logger,
		OnLogin: func(w http.ResponseWriter, _ *http.Request, account *provision.Account, returnTo string) {
			_, _ = w.Write([]byte(account.UserName + " to " + returnTo))
		},
	}}
}

// A login, from the first address to the end, under each router at each prefix.
func TestLogin(t *testing.T) {
	idp := samltest.New(t)
	for _, router := range routers() {
		for _, prefix := range append(prefixes, "/saml", "/metadata/login", "/saml/{connection}") {
			named := strings.HasSuffix(prefix, "{connection}")
			if named && (router.strips || router.halves) {
				continue
			}
			t.Run(router.name+" at "+prefix+"/", func(t *testing.T) {
				handler := newSAML(t, idp)
				server := serve(t, router.mount(prefix, handler))
				root := server.URL + strings.TrimSuffix(prefix, "/{connection}")
				handler.BaseURL = func(connection string) string { return root + "/" + connection }

				metadata := get(t, root+"/okta/metadata", "")
				if metadata.status != http.StatusOK || !strings.Contains(metadata.body, `Location="`+root+`/okta/acs"`) {
					t.Errorf("metadata: status %d: %s", metadata.status, metadata.body)
				}
				login := get(t, root+"/okta/login", "")
				if login.status != http.StatusFound || !strings.Contains(login.header.Get("Location"), ".idp.example/sso?") {
					t.Errorf("login: status %d to %s", login.status, login.header.Get("Location"))
				}
				got := idp.Login(t, root+"/okta/login?return=/home", samltest.User{Email: "ada@example.com"})
				if got.Status != http.StatusOK || got.Body != "ada@example.com to /home" {
					t.Errorf("status %d: %s", got.Status, got.Body)
				}
				for _, path := range []string{"/nobody/login", "/okta/nothing"} {
					if got := get(t, root+path, ""); got.status != http.StatusNotFound {
						t.Errorf("%s: status %d", path, got.status)
					}
				}
			})
		}
	}
}
