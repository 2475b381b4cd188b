package policy_test

import (
	"fmt"

	"github.com/scimjit/provision/policy"
)

// An administrator lets only IT and support staff in and makes the platform team
// site admins. The identity provider reports the groups of one person.
func Example() {
	config, err := policy.Parse([]byte(`{
		"requiredGroups": "IT, Support*",
		"excludedGroups": ["All *"],
		"siteAdminGroups": ["id:4f2a9c"]
	}`))
	if err != nil {
		panic(err)
	}
	p, err := config.Compile()
	if err != nil {
		panic(err)
	}
	decision := p.Decide(policy.Facts{Groups: []policy.Group{
		{ID: "1", Name: "All Employees"},
		{ID: "2", Name: "Support EMEA"},
		{ID: "3", ExternalID: "4f2a9c", Name: "Platform"},
	}})
	fmt.Println(decision.Status, decision.Access.SiteAdmin)
	for _, grant := range decision.Access.Groups {
		fmt.Println("carries", grant.Group.Name)
	}
	for _, reason := range decision.Reasons {
		fmt.Println(reason)
	}
	// Output:
	// active true
	// carries Support EMEA
	// carries Platform
	// requiredGroups "Support*" matched "Support EMEA": admitted
	// excludedGroups "All *" matched "All Employees": excluded
	// siteAdminGroups "id:4f2a9c" matched "4f2a9c": granted
}

func ExampleConfigError() {
	_, err := policy.Parse([]byte(`{"requiredGroups": "IT, \"Sales, EMEA"}`))
	fmt.Println(err)
	// Output:
	// policy option "requiredGroups": "IT, \"Sales, EMEA" has a quote that is never closed (byte 4) [option_quote]
}

func ExampleTimeZone() {
	fmt.Println(policy.TimeZone("Eastern Time (US & Canada)"))
	// Output: America/New_York true
}
