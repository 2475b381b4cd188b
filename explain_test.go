package provision_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// explain returns the explanation of the account with a user name.
func (tn *tenant) explain(userName string) provision.Explanation {
	tn.t.Helper()
	got, err := tn.dir.Explain(tn.t.Context(), tn.account(userName).ID)
	if err != nil {
		tn.t.Fatal(err)
	}
	return got
}

// An explanation has the reasons of the account, and the options that did not
// apply.
func TestExplain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff","siteAdminGroups":"Admins","roles":[{"groups":"All*","role":"editor"}]}`)
		staff := tn.group("Staff", tn.user(ada))
		tn.group("All of them", staff)
		at := tn.lastEvent()
		got := tn.explain("ada@example.com")
		if diff := cmp.Diff(tn.account("ada@example.com"), got.Account); diff != "" {
			t.Errorf("account (-stored +explained):\n%s", diff)
		}
		if got.Status != policy.StatusActive || tn.lastEvent() != at {
			t.Errorf("status %s, %d new events; want active and none", got.Status, tn.lastEvent()-at)
		}
		want := map[policy.Reason]bool{
			{Option: "requiredGroups", Pattern: "Staff", Group: "Staff", Effect: policy.EffectAdmitted}:             true,
			{Option: "roles", Pattern: "All*", Group: "All of them", Effect: policy.EffectGranted, Value: "editor"}: true,
			{Option: "siteAdminGroups", Effect: policy.EffectNotMatched}:                                            true,
			{Option: "passwordGroups", Effect: policy.EffectOff}:                                                    true,
		}
		for _, reason := range append(got.Reasons, got.Account.Reasons...) {
			delete(want, reason)
		}
		for reason := range want {
			t.Errorf("the explanation has no reason %+v: %+v", reason, got.Reasons)
		}
		for _, reason := range got.Account.Reasons {
			n := 0
			for _, r := range got.Reasons {
				if r == reason {
					n++
				}
			}
			if n != 1 {
				t.Errorf("the explanation has reason %+v %d times, want once", reason, n)
			}
		}
	})
}

// What an explanation says is what the account is, whatever became of the
// person.
func TestExplainAgrees(t *testing.T) {
	for _, policyJSON := range crowdPolicies {
		t.Run(policyJSON, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := crowd(t, st, policyJSON)
				for _, a := range tn.everyAccount() {
					got, err := tn.dir.Explain(t.Context(), a.ID)
					if err != nil {
						t.Fatal(err)
					}
					if got.Status != a.Status {
						t.Errorf("account %q is %s, the explanation says %s: %+v", a.UserName, a.Status, got.Status, got.Reasons)
					}
				}
			})
		})
	}
}

// The explanation says what the policy decides, and what keeps the account in
// spite of it.
func TestExplainKeptAccounts(t *testing.T) {
	const canceled, lastAdmin = policy.EffectKeptByOperator, policy.EffectKeptAsLastAdmin
	tests := []struct {
		name   string
		do     func(tn *tenant)
		status policy.Status // what the policy says
		effect policy.Effect // of the last reason
	}{
		{"held", func(tn *tenant) { tn.setPolicy(`{"requiredGroups":"Nobody"}`) }, policy.StatusDisabled, policy.EffectHeld},
		{"canceled", func(tn *tenant) {
			tn.setPolicy(`{"requiredGroups":"Nobody"}`)
			if err := tn.operator().Keep(tn.t.Context(), tn.account("u0").ID); err != nil {
				tn.t.Fatal(err)
			}
		}, policy.StatusDisabled, canceled},
		{"last site admin", func(tn *tenant) {
			tn.engine.Limits.Deprovision = -1
			root := tn.group("Root", tn.user(graceBody))
			tn.setPolicy(`{"siteAdminGroups":"Root"}`)
			tn.rename(root, "Others")
		}, policy.StatusActive, lastAdmin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.people(12)
				test.do(tn)
				name := "u0"
				if test.effect == lastAdmin {
					name = "grace@example.com"
				}
				got := tn.explain(name)
				last := got.Reasons[len(got.Reasons)-1]
				if got.Account.Status != policy.StatusActive || got.Status != test.status || last != (policy.Reason{Effect: test.effect}) {
					t.Errorf("the account is %s, the policy says %s, the last reason is %+v; want active, %s, %q",
						got.Account.Status, got.Status, last, test.status, test.effect)
				}
			})
		})
	}
}

// A tombstone is explained by what it was deleted for.
func TestExplainDeleted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		id := tn.account("ada@example.com").ID
		tn.deleteAccount("ada@example.com")
		got, err := tn.dir.Explain(t.Context(), id)
		if err != nil || got.Status != policy.StatusDeleted {
			t.Fatalf("status %s, %v", got.Status, err)
		}
		if diff := cmp.Diff(got.Account.Reasons, got.Reasons); diff != "" || len(got.Reasons) != 1 {
			t.Errorf("reasons (-account +explanation):\n%s", diff)
		}
	})
}

// An account whose derivation waits for a job is explained by what it will be.
func TestExplainPending(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits = provision.Limits{Inline: 1, Deprovision: -1}
		tn.people(3)
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		if got := tn.explain("u0"); got.Account.Status != policy.StatusActive || !got.Account.Pending || got.Status != policy.StatusDisabled {
			t.Errorf("the account is %s, pending %t, the policy says %s; want active, true, disabled", got.Account.Status, got.Account.Pending, got.Status)
		}
	})
}

func TestExplainErrors(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		id := tn.account("ada@example.com").ID
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		for connection, account := range map[string]string{"acme": "unknown", "other": id, "nobody": id, "": id} {
			if _, err := tn.engine.Directory(connection).Explain(t.Context(), account); !errors.Is(err, provision.ErrNotFound) {
				t.Errorf("account %q of connection %q: %v, want ErrNotFound", account, connection, err)
			}
		}
	})
}
