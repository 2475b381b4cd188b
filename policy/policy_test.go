package policy_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/policy"
)

// unset are the permissions of an account that no option says anything of.
var unset = policy.Permissions{"webdav": nil, "ftp": nil, "sftp": nil}

func compile(t testing.TB, config policy.Config) *policy.Policy {
	t.Helper()
	p, err := config.Compile("api", "ü")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyConfig(t *testing.T) {
	immutable := true
	config := policy.Config{
		RequiredGroups:      policy.Patterns{"IT"},
		TimeZone:            "hawaii",
		Permissions:         policy.Permissions{"FTP": &immutable},
		Roles:               []policy.RoleGrant{{Groups: policy.Patterns{"IT"}, Role: "editor"}},
		ExternalIDImmutable: &immutable,
	}
	want := config.Clone()
	want.TimeZone = "Pacific/Honolulu"
	want.DeprovisionMethod, want.CompanyMode, want.DefaultGroupsAt = policy.MethodDisable, policy.CompanyDefault, policy.AtCreation
	want.TwoFactor, want.Link, want.OnMissingGroups = policy.TwoFactorSite, policy.LinkDeny, policy.MissingKeep
	want.Permissions = policy.Permissions{"ftp": new(true), "webdav": nil, "sftp": nil}
	want.RoleEvidenceMaxAgeDays = 30

	p := compile(t, config)
	change := func(c policy.Config) {
		c.RequiredGroups[0] = "changed"
		c.Roles[0].Groups[0] = "changed"
		c.Roles[0].Role = "changed"
		for name, allowed := range c.Permissions {
			if allowed != nil {
				*allowed = false
			}
			delete(c.Permissions, name)
		}
		*c.ExternalIDImmutable = false
	}
	change(p.Config())
	change(config)
	if diff := cmp.Diff(want, p.Config()); diff != "" {
		t.Errorf("a change from outside reached the policy (-want +got)\n%s", diff)
	}
}

func TestProvisionsOnFirstLogin(t *testing.T) {
	for _, test := range []struct {
		option     policy.FirstLogin
		scim, want bool
	}{
		{policy.FirstLoginAuto, false, true},
		{policy.FirstLoginAuto, true, false},
		{policy.FirstLoginProvision, false, true},
		{policy.FirstLoginProvision, true, true},
		{policy.FirstLoginRefuse, false, false},
		{policy.FirstLoginRefuse, true, false},
	} {
		p := compile(t, policy.Config{ProvisionOnFirstLogin: test.option})
		if got := p.ProvisionsOnFirstLogin(test.scim); got != test.want {
			t.Errorf("%v, SCIM %v: got %v", test.option, test.scim, got)
		}
	}
}

func TestAllowsSSO(t *testing.T) {
	for _, allow := range []bool{false, true} {
		p := compile(t, policy.Config{AllowSSOForPasswordUsers: allow})
		if got := p.AllowsSSO(policy.AuthenticationPassword); got != allow {
			t.Errorf("allowSSOForPasswordUsers %v: got %v", allow, got)
		}
		if !p.AllowsSSO(policy.AuthenticationSSO) {
			t.Error("SSO is refused to those who log in by SSO")
		}
	}
}

func TestTrustsEmail(t *testing.T) {
	p := compile(t, policy.Config{EmailDomains: []string{"example.com", "Bücher.example"}})
	for email, want := range map[string]bool{
		"ann@example.com":              true,
		"Ann@EXAMPLE.COM":              true,
		"ann@bÜcher.example":           true,
		"ann@mail.example.com":         false,
		"ann@notexample.com":           false,
		"ann@example.com.evil.org":     false,
		"ann@example.com@evil.org":     false,
		"\"ann@evil.org\"@example.com": true,
		"@example.com":                 false,
		"example.com":                  false,
		"":                             false,
	} {
		if got := p.TrustsEmail(email); got != want {
			t.Errorf("%q: got %v", email, got)
		}
	}
	if compile(t, policy.Config{}).TrustsEmail("ann@example.com") {
		t.Error("an address is trusted without any domain")
	}
}

func TestExternalIDImmutable(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		option        *bool
		dialect, want bool
	}{{nil, true, true}, {nil, false, false}, {&yes, false, true}, {&no, true, false}} {
		c := policy.Config{ExternalIDImmutable: test.option}
		if got := c.ExternalIDsImmutable(test.dialect); got != test.want {
			t.Errorf("option %v, dialect %v: got %v", test.option, test.dialect, got)
		}
	}
}

func TestRolesLapsed(t *testing.T) {
	known := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		days     int
		lapsesAt time.Time // zero for never
	}{
		{"default", 0, known.AddDate(0, 0, 31)},
		{"a day", 1, known.AddDate(0, 0, 2)},
		{"two months", 60, known.AddDate(0, 0, 61)},
		{"for ever", policy.Forever, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := compile(t, policy.Config{RoleEvidenceMaxAgeDays: test.days})
			if test.lapsesAt.IsZero() {
				if _, ok := p.EvidenceSince(known); ok || p.RolesLapsed(known, known.AddDate(1000, 0, 0)) {
					t.Error("roles lapse")
				}
				return
			}
			east := time.FixedZone("", 14*60*60)
			for _, now := range []time.Time{test.lapsesAt, test.lapsesAt.In(east)} {
				if !p.RolesLapsed(known, now) || p.RolesLapsed(known, now.Add(-1)) {
					t.Errorf("roles do not lapse at %v", now)
				}
				if day, ok := p.EvidenceSince(now); !ok || !day.Equal(known.AddDate(0, 0, 1)) {
					t.Errorf("at %v evidence counts from %v on", now, day)
				}
			}
		})
	}
}

func TestNeedsExternalIDs(t *testing.T) {
	for pattern, want := range map[string]bool{"IT": false, "*": false, "?d:IT": false, "id:IT": true} {
		if got := compile(t, policy.Config{PasswordGroups: policy.Patterns{pattern}}).NeedsExternalIDs(); got != want {
			t.Errorf("%q: got %v", pattern, got)
		}
	}
}

// TestDecideProperties checks what holds for every policy and every person.
func TestDecideProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 4000 {
		config := randomConfig(random)
		if random.IntN(20) == 0 {
			config = policy.Config{}
		}
		p, facts := compile(t, config), randomFacts(random)
		untouched := facts
		untouched.Groups = slices.Clone(facts.Groups)
		if facts.Current != nil {
			current := *facts.Current
			current.Access.Groups = slices.Clone(current.Access.Groups)
			current.Access.Roles = slices.Clone(current.Access.Roles)
			untouched.Current = &current
		}
		d := p.Decide(facts)

		fail := func(rule, diff string) {
			t.Fatalf("%s\nconfig %+v\nfacts %+v\ncurrent %+v\ndecision %+v\n%s", rule, config, facts, facts.Current, d, diff)
		}
		if diff := cmp.Diff(untouched, facts); diff != "" {
			fail("Decide changed the facts", diff)
		}
		if d.Status != policy.StatusActive && hasRights(d.Access) {
			fail("an account that is not active has rights", "")
		}
		for _, reason := range d.Reasons {
			if !slices.Contains(policy.Effects(), reason.Effect) || reason.Option != "" && !slices.Contains(documentedOptions, reason.Option) {
				fail("a reason names no option or no effect", "")
			}
		}
		if config.DeprovisionUsers == policy.Off && facts.Current != nil && facts.Current.Status == policy.StatusActive &&
			!facts.BlockedByOperator && d.Status != policy.StatusActive {
			fail("an account was deprovisioned although deprovisionUsers is off", "")
		}
		if (config.ProvisionGroups == policy.Off || config.DeprovisionGroups == policy.Off) && facts.Current != nil && d.Status != policy.StatusDeleted {
			for _, grant := range facts.Current.Access.Groups {
				if !slices.ContainsFunc(d.Access.Groups, func(g policy.Grant) bool { return g.Group.ID == grant.Group.ID }) {
					fail("an account lost a group", grant.Group.ID)
				}
			}
		}
		if diff := decideInOtherOrder(p, facts, d); diff != "" {
			fail("the order of the groups makes a difference", diff)
		}
		if d.Status != policy.StatusDeleted {
			again := facts
			again.WasActive = facts.WasActive || d.Status == policy.StatusActive || facts.Current != nil && facts.Current.Status == policy.StatusActive
			again.Current = &policy.Current{Status: d.Status, Access: d.Access}
			second := p.Decide(again)
			if facts.Evidence != policy.EvidenceKnown || facts.Gone {
				second.Admitted = d.Admitted // whoever was in is kept in
			}
			if diff := cmp.Diff(d, second); diff != "" {
				fail("deciding again is deciding otherwise", diff)
			}
		}
	}
}

// decideInOtherOrder returns how the decision differs when the groups come in
// the opposite order.
func decideInOtherOrder(p *policy.Policy, facts policy.Facts, want policy.Decision) string {
	facts.Groups = slices.Clone(facts.Groups)
	slices.Reverse(facts.Groups)
	byID := cmpopts.SortSlices(func(a, b policy.Grant) bool { return a.Group.ID < b.Group.ID })
	return cmp.Diff(want, p.Decide(facts), byID, cmpopts.IgnoreFields(policy.Decision{}, "Reasons"))
}

func hasRights(a policy.Access) bool {
	return a.SiteAdmin || a.ReadOnlySiteAdmin || len(a.Roles) > 0 ||
		slices.ContainsFunc(a.Groups, func(g policy.Grant) bool { return g.Admin })
}

// randomFacts returns facts about a person, whose account is in a state that a
// policy can have left it in.
func randomFacts(random *rand.Rand) policy.Facts {
	coin := func() bool { return random.IntN(3) == 0 }
	groups := func() []policy.Group {
		var groups []policy.Group
		for id, name := range []string{"IT", "Sales, EMEA", "site-admins", "abc", "äö <&>", "k", "Other"} {
			if coin() {
				groups = append(groups, policy.Group{ID: string(rune('0' + id)), ExternalID: "1 2", Name: name})
			}
		}
		random.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		return groups
	}
	facts := policy.Facts{
		Groups:            groups(),
		Evidence:          pick(random, policy.EvidenceKnown, policy.EvidenceKnown, policy.EvidenceAbsent, policy.EvidenceOverage),
		Blocked:           coin(),
		BlockedByOperator: coin(),
		Gone:              coin(),
		WasActive:         coin(),
		LoggedIn:          coin(),
		Company:           pick(random, "", "Acme"),
		TimeZone:          pick(random, "", "Tokyo", "nowhere"),
	}
	if coin() {
		return facts
	}
	facts.Current = &policy.Current{
		Status: pick(random, policy.StatusStaged, policy.StatusActive, policy.StatusDisabled),
		Access: policy.Access{Authentication: pick(random, policy.AuthenticationSSO, policy.AuthenticationPassword), TwoFactor: policy.TwoFactorSite},
	}
	for _, group := range groups() {
		facts.Current.Access.Groups = append(facts.Current.Access.Groups, policy.Grant{Group: group})
	}
	if facts.Current.Status == policy.StatusActive {
		facts.WasActive = true
		facts.Current.Access.SiteAdmin = coin()
		facts.Current.Access.ReadOnlySiteAdmin = !facts.Current.Access.SiteAdmin && coin()
		facts.Current.Access.Roles = pick(random, nil, []string{"auditor"}, []string{"auditor", "editor"})
		for i := range facts.Current.Access.Groups {
			facts.Current.Access.Groups[i].Admin = coin()
		}
	}
	return facts
}

// TestManyGroupsAndLists goes beyond what fits into the scratch space.
func TestManyGroupsAndLists(t *testing.T) {
	config := policy.Config{DeprovisionGroups: policy.Off}
	var facts policy.Facts
	var roles []string
	want := policy.Access{Authentication: policy.AuthenticationSSO, TwoFactor: policy.TwoFactorSite, Permissions: unset}
	current := &policy.Current{Status: policy.StatusActive}
	for i := range 200 {
		name := string(rune('一' + i))
		config.Roles = append(config.Roles, policy.RoleGrant{Role: name, Groups: policy.Patterns{name}})
		group := policy.Group{ID: name, Name: name}
		facts.Groups = append(facts.Groups, group)
		want.Groups = append(want.Groups, policy.Grant{Group: group})
		current.Access.Groups = append([]policy.Grant{{Group: group}}, current.Access.Groups...)
		roles = append(roles, name)
	}
	want.Roles = roles
	config.GroupAdminGroups = policy.Patterns{facts.Groups[199].Name}
	want.Groups[199].Admin = true
	p := compile(t, config)
	if diff := cmp.Diff(want, p.Decide(facts).Access); diff != "" {
		t.Errorf("new (-want +got)\n%s", diff)
	}
	facts.Current = current
	want.TwoFactor, want.Permissions = "", nil
	if diff := cmp.Diff(want, p.Decide(facts).Access); diff != "" {
		t.Errorf("existing (-want +got)\n%s", diff)
	}
}

// TestPolicyIsConcurrent is for the race detector.
func TestPolicyIsConcurrent(t *testing.T) {
	config := policy.Config{SiteAdminGroups: policy.Patterns{"IT", "*-admins"}}
	p := compile(t, config)
	facts := policy.Facts{Groups: []policy.Group{{ID: "1", Name: "Site-Admins"}}}
	want := p.Decide(facts)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 100 {
				if diff := cmp.Diff(want, p.Decide(facts)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
	wait.Wait()
}
