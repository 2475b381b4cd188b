package policy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// decideCase is one case of testdata/decide: what a policy decides for a person.
type decideCase struct {
	Name   string
	Rule   string          // the rule that the case shows
	Config json.RawMessage // a policy object; absent for the zero Config
	Facts  factsData
	Want   decisionData
	Trace  bool // decide with Trace; the decision is the same but for its reasons
}

// factsData is [policy.Facts] as JSON.
type factsData struct {
	Groups            []groupData
	Evidence          string // known (default), absent or overage
	Blocked           bool
	BlockedByOperator bool
	Gone              bool
	Conflict          string
	WasActive         bool
	LoggedIn          bool
	Company           string
	TimeZone          string
	Current           *struct {
		Status policy.Status
		accessData
	}
}

// decisionData is [policy.Decision] as JSON.
type decisionData struct {
	Status     policy.Status
	Admitted   bool
	Suppressed bool
	accessData
	Reasons [][]string // option, pattern, group, effect and, where it has one, value
}

// accessData is [policy.Access] as JSON. What is absent is sso, site, and
// permissions that are left to the host.
type accessData struct {
	Authentication    policy.Authentication
	SiteAdmin         bool
	ReadOnlySiteAdmin bool
	Roles             []string
	Groups            []groupData
	TwoFactor         policy.TwoFactor
	Permissions       json.RawMessage
	Company           string
	TimeZone          string
}

// groupData is a group as JSON: an object, or only a name, which is the id, too.
// Admin is for grants.
type groupData struct {
	ID, ExternalID, Name  string
	Admin, Lapsed, ByName bool
}

func (g *groupData) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		err := json.Unmarshal(data, &g.Name)
		g.ID = g.Name
		return err
	}
	type plain groupData
	return decodeStrictly(data, (*plain)(g))
}

func (g groupData) group() policy.Group {
	return policy.Group{ID: g.ID, ExternalID: g.ExternalID, Name: g.Name, Lapsed: g.Lapsed, ByName: g.ByName}
}

func (f factsData) facts(t *testing.T) policy.Facts {
	t.Helper()
	evidence, ok := map[string]policy.Evidence{
		"": policy.EvidenceKnown, "known": policy.EvidenceKnown, "absent": policy.EvidenceAbsent, "overage": policy.EvidenceOverage,
	}[f.Evidence]
	if !ok {
		t.Fatalf("unknown evidence %q", f.Evidence)
	}
	facts := policy.Facts{
		Evidence: evidence,
		Blocked:  f.Blocked, BlockedByOperator: f.BlockedByOperator, Gone: f.Gone, Conflict: f.Conflict,
		WasActive: f.WasActive, LoggedIn: f.LoggedIn,
		Company: f.Company, TimeZone: f.TimeZone,
	}
	for _, g := range f.Groups {
		facts.Groups = append(facts.Groups, g.group())
	}
	if f.Current != nil {
		facts.Current = &policy.Current{Status: f.Current.Status, Access: f.Current.access(t, unset)}
	}
	return facts
}

func (a accessData) access(t *testing.T, permissions policy.Permissions) policy.Access {
	t.Helper()
	access := policy.Access{
		Authentication: a.Authentication,
		SiteAdmin:      a.SiteAdmin, ReadOnlySiteAdmin: a.ReadOnlySiteAdmin,
		Roles:     a.Roles,
		TwoFactor: a.TwoFactor, Permissions: permissions,
		Company: a.Company, TimeZone: a.TimeZone,
	}
	if a.Authentication == "" {
		access.Authentication = policy.AuthenticationSSO
	}
	if a.TwoFactor == "" {
		access.TwoFactor = policy.TwoFactorSite
	}
	if a.Permissions != nil {
		access.Permissions = nil
		if err := json.Unmarshal(a.Permissions, &access.Permissions); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range a.Groups {
		access.Groups = append(access.Groups, policy.Grant{Group: g.group(), Admin: g.Admin})
	}
	return access
}

func (d decisionData) decision(t *testing.T) policy.Decision {
	t.Helper()
	decision := policy.Decision{Status: d.Status, Admitted: d.Admitted, Suppressed: d.Suppressed}
	if d.Status != policy.StatusDeleted {
		decision.Access = d.access(t, unset)
	}
	for _, r := range d.Reasons {
		reason := policy.Reason{Option: r[0], Pattern: r[1], Group: r[2], Effect: policy.Effect(r[3])}
		if len(r) > 4 {
			reason.Value = r[4]
		}
		decision.Reasons = append(decision.Reasons, reason)
	}
	return decision
}

// compile compiles the policy of a case.
func (c decideCase) compile(t *testing.T) *policy.Policy {
	t.Helper()
	var config policy.Config
	if c.Config != nil {
		var err error
		if config, err = policy.Parse(c.Config); err != nil {
			t.Fatal(err)
		}
	}
	p, err := config.Compile("api")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecide(t *testing.T) {
	eachDecideCase(t, func(t *testing.T, c decideCase) {
		p, facts := c.compile(t), c.Facts.facts(t)
		plain, traced := p.Decide(facts), p.Trace(facts)
		got := plain
		if c.Trace {
			got = traced
		}
		if len(got.Reasons) == 0 {
			got.Reasons = nil
		}
		if diff := cmp.Diff(c.Want.decision(t), got); diff != "" {
			t.Errorf("%s\n(-want +got)\n%s", c.Rule, diff)
		}
		assertTraceExtends(t, plain, traced)
	})
}

// assertTraceExtends checks that Trace decides as Decide does and gives its
// reasons, in its order, among others.
func assertTraceExtends(t *testing.T, plain, traced policy.Decision) {
	t.Helper()
	rest := traced.Reasons
	for _, want := range plain.Reasons {
		for len(rest) > 0 && rest[0] != want {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Errorf("Trace does not give the reason %v", want)
			break
		}
		rest = rest[1:]
	}
	plain.Reasons, traced.Reasons = nil, nil
	if diff := cmp.Diff(plain, traced); diff != "" {
		t.Errorf("Trace decides otherwise (-Decide +Trace)\n%s", diff)
	}
}

// TestDecideCoversOptions checks that each option that takes part in deciding
// has a case.
func TestDecideCoversOptions(t *testing.T) {
	carried := map[string]bool{ // acted on by the caller
		"provisionOnFirstLogin": true, "defaultGroups": true, "defaultGroupsAt": true, "allowSSOForPasswordUsers": true,
		"link": true, "emailDomains": true, "externalIdImmutable": true, "uniqueEmails": true,
	}
	seen := map[string]bool{}
	eachDecideCase(t, func(t *testing.T, c decideCase) {
		var config map[string]json.RawMessage
		if c.Config == nil {
			return
		}
		if err := json.Unmarshal(c.Config, &config); err != nil {
			t.Fatal(err)
		}
		for key := range config {
			seen[key] = true
		}
	})
	for _, key := range documentedOptions {
		if !seen[key] && !carried[key] {
			t.Errorf("no case sets %s", key)
		}
		if seen[key] && carried[key] {
			t.Errorf("a case sets %s, which Decide does not know", key)
		}
	}
}

func eachDecideCase(t *testing.T, do func(t *testing.T, c decideCase)) {
	t.Helper()
	files, err := filepath.Glob("testdata/decide/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var cases []decideCase
			readData(t, file, &cases)
			for _, c := range cases {
				if c.Rule == "" {
					t.Errorf("%s names no rule", c.Name)
				}
				t.Run(c.Name, func(t *testing.T) { do(t, c) })
			}
		})
	}
}

// readData decodes a file of test data. An unknown field fails the test.
func readData(t testing.TB, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeStrictly(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func decodeStrictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
