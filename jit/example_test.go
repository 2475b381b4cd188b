package jit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store/memory"
)

// A verified assertion of Okta becomes an account, and the host begins a
// session.
func Example() {
	engine := &provision.Engine{Store: memory.New()}
	conn := provision.Connection{ID: "okta"}
	mapping, err := jit.NewMapping("okta", jit.Overrides{"id": "oktaId"})
	if err != nil {
		fmt.Println(err)
		return
	}
	login := &jit.LoginHandler{
		Engine: engine,
		OnLogin: func(w http.ResponseWriter, r *http.Request, a *provision.Account, returnTo string) {
			// Begin the session here.
			fmt.Println(a.UserName, a.Status, a.Groups[0].Name)
			http.Redirect(w, r, returnTo, http.StatusSeeOther)
		},
	}

	// Package jit/saml does this when a response arrives.
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/saml/okta/acs", nil)
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator"}).SaveConnection(r.Context(), conn); err != nil {
		fmt.Println(err)
		return
	}
	id, err := mapping.Identity(jit.Assertion{
		Issuer: "http://www.okta.com/exk1",
		NameID: provision.NameID{Value: "ada@example.com"},
		Attributes: []jit.Attribute{
			{Name: "oktaId", Values: []string{"00u1a2b3"}},
			{Name: "email", Values: []string{"ada@example.com"}},
			{Name: "groups", Values: []string{"Engineering"}},
		},
	})
	if err != nil {
		login.Fail(w, r, conn.ID, err)
		return
	}
	login.Login(w, r, conn.ID, id, "/files")
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output:
	// ada@example.com active Engineering
	// 303 /files
}

// An administrator sees what a mapping cannot do before anybody uses it.
func ExampleMapping_Warnings() {
	mapping, err := jit.NewMapping("jumpcloud", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, warning := range mapping.Warnings() {
		fmt.Println(warning)
	}
	// Output:
	// id: without an immutable id, renames cannot be seen, unless the NameID is persistent
}
