package elimity_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	server "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/elimity"
	"github.com/scimjit/provision/store/memory"
)

const token = "elimity-token-0123456789abcdefghijklm"

// fixture is one engine behind both servers.
type fixture struct {
	engine *provision.Engine
	theirs http.Handler // an elimity-com/scim server
	ours   http.Handler
}

func newFixture(t testing.TB, conn provision.Connection) *fixture {
	t.Helper()
	conn.ID, conn.SCIM = "idp", true
	f := &fixture{engine: &provision.Engine{Store: memory.New(), Logger: slog.New(slog.DiscardHandler)}}
	operator := provision.Actor{Kind: "operator", ID: "test"}
	if _, err := f.engine.Directory(conn.ID).As(operator).SaveConnection(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if _, err := f.engine.Directory(conn.ID).As(operator).SetCredential(t.Context(), provision.Secret{Token: token}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	provider := &scim.Handler{Engine: f.engine, Logger: f.engine.Logger}
	f.ours = provider
	f.theirs = elimity.Guard(newServer(t, provider))
	return f
}

// newServer returns an elimity-com/scim server for users and groups.
func newServer(t testing.TB, provider *scim.Handler) http.Handler {
	t.Helper()
	users := server.ResourceType{
		Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(),
		SchemaExtensions: []server.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}},
	}
	users.Handler = elimity.New(provider, users)
	groups := server.ResourceType{Name: "Group", Endpoint: "/Groups", Schema: schema.CoreGroupSchema()}
	groups.Handler = elimity.New(provider, groups)
	s, err := server.NewServer(&server.ServerArgs{
		ServiceProviderConfig: &server.ServiceProviderConfig{SupportFiltering: true, SupportPatch: true},
		ResourceTypes:         []server.ResourceType{users, groups},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func defaults(dialect string) provision.Connection {
	return provision.Connection{Dialect: dialect}
}

// send makes a request with the token of the connection. Headers are pairs.
func send(t testing.TB, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequestWithContext(t.Context(), method, path, r)
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// createUser creates a user whose e-mail is the name, and returns the id.
func createUser(t testing.TB, f *fixture, userName string) string {
	t.Helper()
	w := send(t, f.theirs, http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+userName+`","emails":[{"value":"`+userName+`"}]}`)
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return text(w.Body.Bytes(), "id")
}

// filled puts an id in the place of {id}.
func filled(text, id string) string { return strings.ReplaceAll(text, "{id}", id) }
