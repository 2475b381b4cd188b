package account_test

import (
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// A person leaves the only group that lets them in.
func Example() {
	config, _ := policy.Parse([]byte(`{"requiredGroups": "Staff", "siteAdminGroups": "Staff"}`))
	p, _ := config.Compile()

	before := &store.Account{ID: "a1", ResourceID: "u1", Status: policy.StatusActive, SiteAdmin: true}
	next := before.Clone()
	user := store.Document(`{"userName":"ann","name":{"givenName":"Ann","familyName":"Lee"}}`)
	account.Read(user, nil).WriteTo(next)

	groups := &account.Graph{}
	above := groups.Put(nil) // Ann has no groups any more
	fmt.Println("groups to ask about:", len(above))

	d := account.Decide(account.Input{
		Before: before, Next: next, Groups: groups, Policy: p, Now: time.Now(), Source: store.SourceSCIM,
	})
	fmt.Println("the policy says:", d.Status())
	fmt.Println("questions:", len(d.Open()))

	out := d.Settle(account.Answers{OtherAdmin: true, MayGo: account.Hold})
	fmt.Println("the account is:", out.After.Status, out.After.Name)
	fmt.Println("events:", out.Notes, out.Event)
	// Output:
	// groups to ask about: 0
	// the policy says: disabled
	// questions: 2
	// the account is: active Ann Lee
	// events: [account.held] account.updated
}
