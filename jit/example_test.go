package jit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

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

// The users table of the host follows the accounts by events. The first login of a
// person waits for their row.
func ExampleLoginHandler_wait() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	engine := &provision.Engine{Store: memory.New()}
	if _, err := engine.Directory("okta").As(provision.Actor{Kind: "operator"}).SaveConnection(ctx, provision.Connection{}); err != nil {
		fmt.Println(err)
		return
	}
	var rows sync.Map // the users table: the version of each account
	users := engine.Consumer("users-table")
	if err := users.Register(ctx); err != nil { // before the first login
		fmt.Println(err)
		return
	}
	go func() {
		_ = users.Deliver(ctx, func(_ context.Context, d provision.Delivery) error {
			if d.Account != nil {
				rows.Store(d.Account.ID, d.Account.Version)
			}
			return nil
		}, provision.DeliveryOptions{})
	}()

	login := &jit.LoginHandler{Engine: engine, OnLogin: func(w http.ResponseWriter, r *http.Request, a *provision.Account, returnTo string) {
		patience, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := users.Wait(patience, a.Connection, a.ID); err != nil {
			http.Error(w, "Please try again in a minute.", http.StatusServiceUnavailable)
			return
		}
		version, ok := rows.Load(a.ID)
		fmt.Println("the row is there:", ok && version.(int64) >= a.Version)
		http.Redirect(w, r, returnTo, http.StatusSeeOther)
	}}
	// Package jit/saml does this when a response arrives.
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/saml/okta/acs", nil)
	login.Login(w, r, "okta", provision.Identity{ID: "00u1", UserName: "ada@example.com"}, "/home")
	fmt.Println(w.Code)
	// Output:
	// the row is there: true
	// 303
}
