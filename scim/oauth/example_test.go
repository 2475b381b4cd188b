package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/oauth"
	"github.com/scimjit/provision/store/memory"
)

// A handler takes access tokens of an authorization server, and the tokens that
// the engine keeps.
func Example() {
	engine := &provision.Engine{Store: memory.New()}
	conn := provision.Connection{ID: "acme", SCIM: true}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "setup"}).SaveConnection(context.Background(), conn); err != nil {
		fmt.Println(err)
		return
	}
	// The keys stand for oauth.NewRemoteKeys("https://idp.example/keys").
	private := newKey("2030-01")
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.public()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := oauth.StaticKeys(set)
	if err != nil {
		fmt.Println(err)
		return
	}
	auth, err := oauth.New(engine, oauth.Verifier{
		Connection: "acme",
		Issuer:     "https://idp.example",
		Audience:   "https://app.example/scim",
		Keys:       keys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	auth.Otherwise = scim.Credentials(engine)
	auth.Logger = slog.New(slog.DiscardHandler)
	handler := &scim.Handler{Engine: engine, Authenticate: auth.Authenticate}

	for _, scope := range []string{"scim", "openid"} {
		r := httptest.NewRequest(http.MethodGet, "/Users", nil)
		r.Header.Set("Authorization", "Bearer "+issue(private, scope))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%s: %d %q\n", scope, w.Code, w.Header()["Www-Authenticate"])
	}
	// Output:
	// scim: 200 []
	// openid: 401 ["Bearer realm=\"scim\", error=\"invalid_token\""]
}

// issue is the authorization server.
func issue(key keyPair, scope string) string {
	options := (&jose.SignerOptions{}).WithType("at+jwt")
	signingKey := jose.SigningKey{Algorithm: key.alg, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}}
	signer, err := jose.NewSigner(signingKey, options)
	if err != nil {
		return err.Error()
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer:   "https://idp.example",
		Audience: jwt.Audience{"https://app.example/scim"},
		Subject:  "idp-client",
		IssuedAt: jwt.NewNumericDate(time.Now()),
		Expiry:   jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Claims(map[string]any{"client_id": "idp-client", "scope": scope}).Serialize()
	if err != nil {
		return err.Error()
	}
	return token
}
