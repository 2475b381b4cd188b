package account_test

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func TestSetBlock(t *testing.T) {
	const scim, sync, operator = store.SourceSCIM, store.SourceSync, store.SourceOperator
	for _, test := range []struct {
		name    string
		blocks  []store.Source
		source  store.Source
		blocked bool
		want    []store.Source
	}{
		{"the first", nil, scim, true, []store.Source{scim}},
		{"another", []store.Source{scim}, sync, true, []store.Source{scim, sync}},
		{"again", []store.Source{scim, sync}, scim, true, []store.Source{scim, sync}},
		{"lifted", []store.Source{scim, sync, operator}, sync, false, []store.Source{scim, operator}},
		{"another's is not lifted", []store.Source{scim}, sync, false, []store.Source{scim}},
	} {
		t.Run(test.name, func(t *testing.T) {
			facts := store.Facts{Blocks: slices.Clone(test.blocks)}
			account.SetBlock(&facts, test.source, test.blocked)
			if diff := gocmp.Diff(test.want, facts.Blocks); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStates(t *testing.T) {
	type is struct{ blocked, deprovisioned, admin, held bool }
	reason := func(effect policy.Effect) []policy.Reason {
		return []policy.Reason{{Option: "x", Effect: "y"}, {Effect: effect}}
	}
	for _, test := range []struct {
		name    string
		account store.Account
		want    is
	}{
		{"active", store.Account{Status: policy.StatusActive, ResourceID: "r"}, is{}},
		{"active in spite of a block", store.Account{Status: policy.StatusActive, ResourceID: "r", Facts: store.Facts{Blocks: []store.Source{"scim"}}}, is{blocked: true}},
		{"blocked", store.Account{Status: policy.StatusDisabled, ResourceID: "r", Facts: store.Facts{Blocks: []store.Source{"operator", "sync"}}}, is{blocked: true, deprovisioned: true}},
		{"blocked by an operator", store.Account{Status: policy.StatusDisabled, ResourceID: "r", Facts: store.Facts{Blocks: []store.Source{"operator"}}}, is{}},
		{"outside the gate", store.Account{Status: policy.StatusDisabled, ResourceID: "r"}, is{}},
		{"without a resource", store.Account{Status: policy.StatusDisabled}, is{deprovisioned: true}},
		{"active without a resource", store.Account{Status: policy.StatusActive}, is{}},
		{"deleted", store.Account{Status: policy.StatusDeleted, Facts: store.Facts{Blocks: []store.Source{"scim"}}}, is{blocked: true}},
		{"admin", store.Account{Status: policy.StatusActive, SiteAdmin: true}, is{admin: true}},
		{"read-only admin", store.Account{Status: policy.StatusActive, ReadOnlySiteAdmin: true}, is{}},
		{"admin who is out", store.Account{Status: policy.StatusStaged, SiteAdmin: true}, is{}},
		{"held", store.Account{Status: policy.StatusActive, Reasons: reason(policy.EffectHeld)}, is{held: true}},
		{"kept", store.Account{Status: policy.StatusActive, Reasons: reason(policy.EffectKeptByOperator)}, is{held: true}},
		{"kept as admin", store.Account{Status: policy.StatusActive, Reasons: reason(policy.EffectKeptAsLastAdmin)}, is{}},
	} {
		a := &test.account
		got := is{account.BlockedByProvider(a), account.Deprovisioned(a), account.IsAdmin(a), account.IsHeld(a)}
		if got != test.want {
			t.Errorf("%s is %+v, want %+v", test.name, got, test.want)
		}
	}
	for effect, want := range map[policy.Effect]bool{
		policy.EffectHeld: true, policy.EffectKeptByOperator: true, policy.EffectKeptAsLastAdmin: true, policy.EffectKept: false, "": false,
	} {
		if got := account.IsGuardReason(policy.Reason{Effect: effect}); got != want {
			t.Errorf("effect %q is of a guard: %t, want %t", effect, got, want)
		}
	}
}

func TestGains(t *testing.T) {
	group := func(id string, admin bool) store.AccountGroup { return store.AccountGroup{ID: id, Admin: admin} }
	has := func(groups ...store.AccountGroup) store.Account { return store.Account{Groups: groups} }
	for _, test := range []struct {
		name          string
		before, after store.Account
		gains, loses  bool
	}{
		{"nothing", store.Account{}, store.Account{}, false, false},
		{"access", store.Account{Status: policy.StatusStaged}, store.Account{Status: policy.StatusActive}, true, false},
		{"a tombstone", store.Account{Status: policy.StatusStaged}, store.Account{Status: policy.StatusDeleted}, false, false},
		{"admin", store.Account{}, store.Account{SiteAdmin: true}, true, false},
		{"read-only admin", store.Account{}, store.Account{ReadOnlySiteAdmin: true}, true, false},
		{"another kind of admin", store.Account{ReadOnlySiteAdmin: true}, store.Account{SiteAdmin: true}, true, true},
		{"a role", store.Account{Roles: []string{"a"}}, store.Account{Roles: []string{"b", "a"}}, true, false},
		{"another role", store.Account{Roles: []string{"a"}}, store.Account{Roles: []string{"b"}}, true, true},
		{"a group", has(group("a", false)), has(group("b", false), group("a", false)), true, false},
		{"admin of a group", has(group("a", false)), has(group("a", true)), true, false},
		{"the order of groups", has(group("a", true), group("b", false)), has(group("b", false), group("a", true)), false, false},
		{"a name", store.Account{Name: "a"}, store.Account{Name: "b"}, false, false},
	} {
		if got := account.Gains(&test.before, &test.after); got != test.gains {
			t.Errorf("%s: gains %t, want %t", test.name, got, test.gains)
		}
		if got := account.Gains(&test.after, &test.before); got != test.loses {
			t.Errorf("%s: loses %t, want %t", test.name, got, test.loses)
		}
	}
}

// TestKnowGroups has somebody who knows the groups write a person.
func TestKnowGroups(t *testing.T) {
	var nobody store.Facts
	if account.KnowGroups(&nobody); nobody.Login != nil {
		t.Error("a login came from nowhere")
	}
	stored := &store.LoginFacts{Keys: []string{"id/1"}, Evidence: policy.EvidenceAbsent}
	facts := store.Facts{Login: stored}
	account.KnowGroups(&facts)
	if facts.Evidence() != policy.EvidenceKnown || len(facts.Login.Keys) != 1 {
		t.Errorf("login facts %+v", facts.Login)
	}
	if stored.Evidence != policy.EvidenceAbsent {
		t.Error("what is stored was changed")
	}
}
