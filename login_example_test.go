package provision_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

// A host that has verified a login by itself, such as by OpenID Connect, asks
// the directory who the person is. Package jit/saml does this for SAML.
func ExampleDirectory_Login() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	// Without SCIM, the first login creates an account.
	config := policy.Config{RequiredGroups: policy.Patterns{"Staff"}}
	conn := provision.Connection{ID: "corp", Policy: config}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "setup"}).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}

	ann := provision.Identity{ID: "00u1", UserName: "ann@example.com", Email: "ann@example.com"}
	for _, groups := range [][]provision.IdentityGroup{nil, {{Value: "Staff"}, {Value: "Support"}}} {
		ann.Groups = groups
		account, err := engine.Directory("corp").Login(ctx, ann)
		var denied *provision.DeniedError
		switch {
		case errors.As(err, &denied):
			fmt.Println(denied.Code)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(account.UserName, account.Status, len(account.Groups), "groups")
		}
	}
	// Output:
	// not_admitted
	// ann@example.com active 2 groups
}
