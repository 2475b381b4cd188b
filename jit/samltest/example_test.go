package samltest_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/jit/samltest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

// In a test of yours, t is the *testing.T, and the application is your own.
func Example() {
	t := exampleT{}
	idp := samltest.New(t)
	app := application(idp)
	defer app.Close()

	got := idp.Login(t, app.URL+"/saml/okta/login?return=/home", samltest.User{Email: "ada@example.com", Groups: []string{"Support"}})
	fmt.Println(got.Status, got.Header.Get("Location"))

	page, err := got.Browser.Get(app.URL + "/home") // with the cookie of the session
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Status, page.Body.Close())

	got = idp.Login(t, app.URL+"/saml/okta/login", samltest.User{Email: "eve@example.com"})
	fmt.Println(got.Status)
	// Output:
	// 303 /home
	// 200 OK <nil>
	// 403
}

// application logs in who is in the group Support.
func application(idp *samltest.IDP) *httptest.Server {
	engine := &provision.Engine{Store: memory.New()}
	logger := slog.New(slog.DiscardHandler) // a test passes its own
	connection := provision.Connection{ID: "okta", SAML: &provision.SAML{Metadata: idp.Metadata()}}
	connection.Policy.RequiredGroups = policy.Patterns{"Support"}
	if _, err := engine.Directory(connection.ID).As(provision.Actor{Kind: "operator"}).SaveConnection(context.Background(), connection); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	mux.Handle("/saml/", &saml.Handler{
		Engine:  engine,
		Logger:  logger,
		BaseURL: func(connection string) string { return app.URL + "/saml/" + connection },
		Login: &jit.LoginHandler{Engine: engine, Logger: logger, OnLogin: func(w http.ResponseWriter, r *http.Request, account *provision.Account, returnTo string) {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: account.ID, Path: "/"})
			http.Redirect(w, r, returnTo, http.StatusSeeOther)
		}},
	})
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}
	})
	return app
}

// exampleT stands in for a *testing.T.
type exampleT struct{}

func (exampleT) Helper()                           {}
func (exampleT) Context() context.Context          { return context.Background() }
func (exampleT) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
