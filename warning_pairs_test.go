package provision_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// pairValues are values of the options that decide about an account, none of which
// is the default.
var pairValues = map[string][]string{
	"requiredGroups": {`["A"]`, `["*"]`}, "onMissingGroups": {`"empty"`, `"deny"`},
	"deprovisionUsers": {`false`}, "deprovisionMethod": {`"delete"`}, "deleteAfterDays": {`3`},
	"provisionGroups": {`false`}, "deprovisionGroups": {`false`},
	"excludedGroups": {`["A"]`, `["*"]`}, "includedGroups": {`["A"]`, `["B"]`},
	"siteAdminGroups": {`["A"]`}, "readOnlySiteAdminGroups": {`["A"]`, `["B"]`}, "allowEveryoneAdmin": {`true`},
	"groupAdminGroups": {`["A"]`, `["B"]`}, "roles": {`[{"groups":["A"],"role":"r"}]`},
	"twoFactor": {`"always"`}, "permissions": {`{"ftp":true}`}, "passwordGroups": {`["A"]`},
	"company": {`"Acme"`}, "companyMode": {`"force"`}, "timeZone": {`"Europe/Berlin"`},
}

// notDecided are the options on which no decision depends.
var notDecided = map[string]bool{
	"provisionOnFirstLogin": true, "link": true, "emailDomains": true, "externalIdImmutable": true, "uniqueEmails": true,
	"defaultGroups": true, "defaultGroupsAt": true, "roleEvidenceMaxAgeDays": true, "allowSSOForPasswordUsers": true,
}

// An option that makes no difference beside another one is warned of, and one that
// makes a difference is not: for each two options that decide about an account.
func TestWarningsOfPairs(t *testing.T) {
	for _, o := range policy.Options() {
		if (pairValues[o.Key] == nil) != notDecided[o.Key] {
			t.Errorf("option %s is in none or both of the tables", o.Key)
		}
	}
	useful := map[string]bool{ // a warning, and yet a difference
		`{"groupAdminGroups":["A"],"provisionGroups":false}`: true, // of a group that is carried since before
		`{"includedGroups":["A"],"excludedGroups":["A"]}`:    true, // the other groups go as well
		`{"deprovisionMethod":"delete","deleteAfterDays":3}`: true, // it acts later
	}
	w := pairWalk{t: t, facts: someFacts()}
	for a, values := range pairValues {
		for _, value := range values {
			w.option(a, value, useful)
		}
	}
}

type pairWalk struct {
	t     *testing.T
	facts []policy.Facts
}

// option tries a value of an option beside each other option.
func (w *pairWalk) option(a, value string, useful map[string]bool) {
	for b, others := range pairValues {
		if a == b {
			continue
		}
		for _, other := range others {
			both, alone := fmt.Sprintf(`{%q:%s,%q:%s}`, a, value, b, other), fmt.Sprintf(`{%q:%s}`, b, other)
			with, without := w.decide(both), w.decide(alone)
			if with == nil || without == nil || useful[both] {
				continue // a policy that is refused
			}
			if differs, warned := !reflect.DeepEqual(with, without), w.warns(both, a); differs == warned {
				w.t.Errorf("%s: %s makes a difference: %v; it is warned of: %v", both, a, differs, warned)
			}
		}
	}
}

// decide returns what a policy decides of all facts, nil for a wrong one.
func (w *pairWalk) decide(text string) []policy.Decision {
	config, err := policy.Parse([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := config.Compile()
	if err != nil {
		return nil
	}
	list := make([]policy.Decision, len(w.facts))
	for i, f := range w.facts {
		list[i] = p.Decide(f)
		list[i].Reasons = nil
	}
	return list
}

// warns reports whether a connection with everything is warned of an option.
func (w *pairWalk) warns(text, option string) bool {
	c := provision.Connection{ID: "acme", SCIM: true, SAML: &provision.SAML{Preset: "entra", Metadata: "<EntityDescriptor/>"}}
	if err := json.Unmarshal([]byte(text), &c.Policy); err != nil {
		w.t.Fatal(err)
	}
	for _, warning := range c.Warnings() {
		if warning.Field == option {
			return true
		}
	}
	return false
}

// someFacts are people of all kinds.
func someFacts() []policy.Facts {
	random := rand.New(rand.NewPCG(1, 2))
	coin := func() bool { return random.IntN(2) == 0 }
	var list []policy.Facts
	for range 400 {
		f := policy.Facts{Gone: random.IntN(6) == 0, Blocked: random.IntN(4) == 0, WasActive: coin(), LoggedIn: coin()}
		f.Evidence = []policy.Evidence{policy.EvidenceKnown, policy.EvidenceAbsent, policy.EvidenceOverage}[random.IntN(3)]
		for _, name := range []string{"A", "B", "C"} {
			if f.Evidence == policy.EvidenceKnown && coin() {
				f.Groups = append(f.Groups, policy.Group{ID: name, Name: name})
			}
		}
		if coin() {
			f.Company = "Given"
		}
		if coin() {
			f.TimeZone = "Asia/Tokyo"
		}
		if coin() {
			f.Current = &policy.Current{
				Status: []policy.Status{policy.StatusStaged, policy.StatusActive, policy.StatusDisabled}[random.IntN(3)],
				Access: policy.Access{Authentication: policy.AuthenticationSSO, TwoFactor: policy.TwoFactorSite},
			}
			if coin() {
				f.Current.Access.Groups = []policy.Grant{{Group: policy.Group{ID: "A", Name: "A"}}}
			}
		}
		list = append(list, f)
	}
	return list
}
