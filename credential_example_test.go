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
func ExampleDirectory_IssueToken() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "ada"}
	engine := &provision.Engine{Store: memory.New()}
	if _, err := engine.Directory("acme").As(operator).SaveConnection(ctx, provision.Connection{ID: "acme", SCIM: true}); err != nil {
		panic(err)
	}
	old, oldCredential, err := engine.Directory("acme").As(operator).IssueToken(ctx, time.Time{})
	if err != nil {
		panic(err)
	}
	fresh, _, err := engine.Directory("acme").As(operator).IssueToken(ctx, time.Time{})
	if err != nil {
		panic(err)
	}
	fmt.Println("recognizable:", strings.HasPrefix(fresh, "scimjit_"))

	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: old})
	fmt.Println("old:", err)
	if err := engine.Directory("acme").As(operator).RevokeCredential(ctx, oldCredential.ID); err != nil {
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
