package provision_test

import (
	"context"
	"fmt"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// A user is created, and is admitted when the identity provider reports the
// group that the policy requires.
func Example() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "setup"}
	engine := &provision.Engine{Store: memory.New()}
	config := policy.Config{RequiredGroups: policy.Patterns{"Support"}}
	conn := provision.Connection{ID: "okta", SCIM: true, Policy: config}
	if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}

	// scim.Handler does this for an identity provider.
	dir := engine.Directory("okta").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim"})
	ada, err := dir.Create(ctx, provision.TypeUser, 0, func(d *provision.Draft) error {
		d.Write(provision.Content{Document: store.Document(`{"userName":"ada"}`), Display: "ada"})
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func() {
		accounts, err := dir.Accounts(ctx, store.AccountQuery{})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, a := range accounts {
			fmt.Println(a.UserName, a.Status)
		}
	}
	show()
	_, err = dir.Create(ctx, provision.TypeGroup, 0, func(d *provision.Draft) error {
		d.Write(provision.Content{Document: store.Document(`{"displayName":"Support"}`), Display: "Support"})
		d.AddMember(ada.ID)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show()
	// Output:
	// ada staged
	// ada active
}
