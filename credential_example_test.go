package provision_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// A token is rotated without an interruption: the old one works until the
// identity provider has the new one.
func ExampleEngine_IssueToken() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "ada"}
	engine := &provision.Engine{Store: memory.New()}
	if _, err := engine.SaveConnection(ctx, provision.Connection{ID: "acme", SCIM: true}, operator); err != nil {
		panic(err)
	}
	old, oldCredential, err := engine.IssueToken(ctx, "acme", time.Time{}, operator)
	if err != nil {
		panic(err)
	}
	fresh, _, err := engine.IssueToken(ctx, "acme", time.Time{}, operator)
	if err != nil {
		panic(err)
	}
	fmt.Println("recognizable:", strings.HasPrefix(fresh, provision.TokenPrefix))

	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: old})
	fmt.Println("old:", err)
	if err := engine.RevokeCredential(ctx, "acme", oldCredential.ID, operator); err != nil {
		panic(err)
	}
	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: old})
	fmt.Println("old, revoked:", err)
	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: fresh})
	fmt.Println("new:", err)
	// Output:
	// recognizable: true
	// old: <nil>
	// old, revoked: provision: credential is not valid
	// new: <nil>
}
