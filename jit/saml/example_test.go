package saml_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store/memory"
)

func ExampleHandler() {
	engine := &provision.Engine{Store: memory.New()}
	login := &jit.LoginHandler{
		Engine: engine,
		OnLogin: func(w http.ResponseWriter, r *http.Request, account *provision.Account, returnTo string) {
			// Begin a session for account.ID, and send the browser to returnTo.
		},
	}
	handler := &saml.Handler{
		Engine:  engine,
		Login:   login,
		BaseURL: func(connection string) string { return "https://app.example.com/saml/" + connection },
		Logger:  slog.New(slog.DiscardHandler), // of warnings about certificates and mappings
	}
	mux := http.NewServeMux()
	mux.Handle("/saml/{connection}/", handler)

	metadata, err := os.ReadFile("../../testdata/saml/idp-metadata.xml")
	if err != nil {
		log.Fatal(err)
	}
	connection := provision.Connection{
		ID:   "okta",
		SAML: &provision.SAML{Metadata: string(metadata), Preset: "okta"},
	}
	if _, err := handler.Check(connection); err != nil {
		log.Fatal(err)
	}
	if _, err := engine.Directory(connection.ID).As(provision.Actor{Kind: "operator"}).SaveConnection(context.Background(), connection); err != nil {
		log.Fatal(err)
	}

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/saml/okta/login?return=/projects", nil))
	to, err := w.Result().Location()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Code, "to", to.Host)
	// Output: 302 to idp.example.com
}

func ExampleParseMetadata() {
	data, err := os.ReadFile("../../testdata/saml/idp-metadata.xml")
	if err != nil {
		log.Fatal(err)
	}
	idp, err := saml.ParseMetadata(data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(idp.EntityID, len(idp.Certificates))
	// Output: https://idp.example.com/metadata 1
}
