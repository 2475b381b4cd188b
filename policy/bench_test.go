package policy_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision/policy"
)

// BenchmarkDecide decides for a person in 20 groups under a policy of 20
// patterns: the mix that an administrator writes, and the worst one, in which
// every pattern has wildcards.
func BenchmarkDecide(b *testing.B) {
	var exact policy.Config
	exact.RequiredGroups = policy.Patterns{"Everyone in IT", "Group 19", "Support"}
	exact.ExcludedGroups = policy.Patterns{"Mail List", "Wiki Readers", "Tmp-*", "*-test", "id:9f8b1c"}
	exact.SiteAdminGroups = policy.Patterns{"Platform Admins", "id:0d1e2f"}
	exact.GroupAdminGroups = policy.Patterns{"Group 7", "Leads-*"}
	exact.PasswordGroups = policy.Patterns{"Contractors", "Ext-?-*"}
	exact.Roles = []policy.RoleGrant{
		{Role: "auditor", Groups: policy.Patterns{"Group 3", "Auditors"}},
		{Role: "editor", Groups: policy.Patterns{"Group 5", "Editors", "Writers"}},
		{Role: "billing", Groups: policy.Patterns{"Finance"}},
	}
	wild := exact
	wild.RequiredGroups = policy.Patterns{"Everyone*", "*oup 19", "Sup*ort"}
	wild.ExcludedGroups = policy.Patterns{"Mail*", "*Readers", "Tmp-*", "*-test", "*a*b*c*"}
	wild.SiteAdminGroups = policy.Patterns{"Platform*", "*root*"}
	wild.GroupAdminGroups = policy.Patterns{"Group ?", "Leads-*"}
	wild.PasswordGroups = policy.Patterns{"Contractors*", "Ext-?-*"}
	wild.Roles = []policy.RoleGrant{
		{Role: "auditor", Groups: policy.Patterns{"Gr*3", "Audit*"}},
		{Role: "editor", Groups: policy.Patterns{"Gr*5", "Edit*", "Write*"}},
		{Role: "billing", Groups: policy.Patterns{"Fin*"}},
	}
	facts := policy.Facts{Company: "Example", TimeZone: "Europe/Berlin", WasActive: true}
	for i := range 20 {
		facts.Groups = append(facts.Groups, policy.Group{ID: fmt.Sprintf("5f2c%04d", i), Name: fmt.Sprintf("Group %d", i)})
	}
	for _, bench := range []struct {
		name    string
		config  policy.Config
		created bool
	}{
		{"patterns=mixed", exact, true},
		{"patterns=wild", wild, true},
		{"patterns=mixed/new", exact, false},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p, err := bench.config.Compile()
			if err != nil {
				b.Fatal(err)
			}
			facts := facts
			if bench.created {
				d := p.Decide(facts)
				facts.Current = &policy.Current{Status: d.Status, Access: d.Access}
			}
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(facts); d.Status != policy.StatusActive {
					b.Fatal(d.Status)
				}
			}
		})
	}
}
