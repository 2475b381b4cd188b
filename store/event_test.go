package store_test

import (
	"testing"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func TestEventDenial(t *testing.T) {
	denied := func(typ store.EventType, code policy.Denial) *store.Event {
		return &store.Event{Type: typ, Reasons: []policy.Reason{
			{Option: "requiredGroups", Effect: policy.EffectNotAdmitted},
			{Effect: policy.EffectLoginDenied, Value: string(code)},
		}}
	}
	for code, ends := range map[policy.Denial]bool{
		policy.DeniedNotAdmitted: true, policy.DeniedDisabled: true, policy.DeniedPassword: false,
		policy.DeniedConflict: false, policy.DeniedRecycled: false, policy.DeniedIncomplete: false,
		policy.DeniedNotProvisioned: false, policy.DeniedConnection: false,
	} {
		if got := denied(store.LoginDenied, code).Denial(); got != code || got.EndsSessions() != ends {
			t.Errorf("%s reads %q and ends sessions: %v", code, got, got.EndsSessions())
		}
	}
	for _, ev := range []*store.Event{denied(store.AccountUpdated, policy.DeniedDisabled), {Type: store.LoginDenied}} {
		if got := ev.Denial(); got != "" || got.EndsSessions() {
			t.Errorf("%+v reads %q", ev, got)
		}
	}
}
