package scimtest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store/memory"
)

// An application tests what becomes of a person whom Okta assigns, and of one in
// a group of Entra ID. Here it prints the accounts; in a test it would look at
// its own tables.
func Example() {
	ctx := context.Background()
	var clock scimtest.Clock
	engine := &provision.Engine{Store: memory.New(), Now: clock.Now}
	server := httptest.NewServer(&scim.Handler{Engine: engine})
	defer server.Close()
	token := func(connection string) string { return connection + "-token-of-at-least-32-characters" }
	operator := provision.Actor{Kind: "operator", ID: "test"}
	for _, id := range []string{"okta", "entra"} {
		conn := provision.Connection{ID: id, Dialect: id, SCIM: true}
		if id == "entra" {
			conn.Policy.RequiredGroups = policy.Patterns{"Crew"}
		}
		if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(ctx, conn); err != nil {
			fmt.Println(err)
			return
		}
		if _, err := engine.Directory(id).As(operator).SetCredential(ctx, provision.Secret{Token: token(id)}, clock.Now().Add(24*time.Hour)); err != nil {
			fmt.Println(err)
			return
		}
	}

	check := func(err error) {
		if err != nil {
			fmt.Println(err)
		}
	}
	okta := scimtest.NewOkta(server.URL, token("okta"))
	ada, err := okta.Assign(ctx, scimtest.Person{ExternalID: "00u1", UserName: "ada@example.com", GivenName: "Ada", FamilyName: "Byron"})
	check(err)
	check(okta.Deactivate(ctx, ada))

	entra := scimtest.NewEntra(server.URL, token("entra"))
	mira, err := entra.Sync(ctx, scimtest.Person{ExternalID: "5f9d", UserName: "mira@example.com", GivenName: "Mira", FamilyName: "Berg"})
	check(err)
	crew, err := entra.SyncGroup(ctx, "c5a1", "Crew")
	check(err)
	check(entra.AddMembers(ctx, crew, mira))

	var recorder scimtest.Recorder
	check(recorder.Load(ctx, engine.Directory("okta")))
	check(recorder.Load(ctx, engine.Directory("entra")))
	for _, ev := range recorder.Events() {
		if ev.Account != nil {
			fmt.Println(ev.Connection, recorder.UserName(ev), ev.Account.Status)
		}
	}

	clock.Advance(25 * time.Hour) // the tokens expire
	fmt.Println(okta.TestConnection(ctx))
	// Output:
	// okta ada@example.com active
	// okta ada@example.com disabled
	// entra mira@example.com staged
	// entra mira@example.com active
	// scimtest: GET /Users?startIndex=1&count=2: 401 the credential is missing or not valid [unauthenticated]
}
