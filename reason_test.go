package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// The event of what no option decides says what did, with its code or value.
func TestReasonsOfEvents(t *testing.T) {
	tests := []struct {
		name string
		do   func(tn *tenant)
		want []policy.Reason
	}{
		{"login of an unknown person", func(tn *tenant) {
			_, err := tn.dir.Login(tn.t.Context(), provision.Identity{ID: "1", UserName: "nobody@example.com"})
			if err == nil {
				tn.t.Error("the login is let in")
			}
		}, []policy.Reason{
			{Option: "provisionOnFirstLogin", Effect: policy.EffectNotCreated},
			{Effect: policy.EffectLoginDenied, Value: string(policy.DeniedNotProvisioned)},
		}},
		{"deleted by an operator", func(tn *tenant) {
			tn.user(ada)
			if err := tn.operator().DeleteAccount(tn.t.Context(), tn.account("ada@example.com").ID); err != nil {
				tn.t.Fatal(err)
			}
		}, []policy.Reason{{Effect: policy.EffectDeletedByOperator}}},
		{"granted role", func(tn *tenant) {
			tn.setPolicy(`{"roles":[{"groups":"Staff","role":"editor"}]}`)
			tn.group("Staff", tn.user(ada))
		}, []policy.Reason{{Option: "roles", Pattern: "Staff", Group: "Staff", Effect: policy.EffectGranted, Value: "editor"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				test.do(tn)
				list, err := tn.dir.Events(t.Context(), 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, list[len(list)-1].Reasons); diff != "" {
					t.Errorf("reasons of %s (-want +got):\n%s", list[len(list)-1].Type, diff)
				}
			})
		})
	}
}
