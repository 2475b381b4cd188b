package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// A host that names no option of the policy has the defaults of all of them.
// Whatever it forgot, a leaver leaves.
func TestForgottenPolicy(t *testing.T) {
	const (
		bob      = `{"userName":"bob@example.com"}`
		inactive = `{"userName":"bob@example.com","active":false}`
		noah     = `{"userName":"noah@example.com"}`
	)
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := forgetful(t, st)
		adaID, bobID, noahID := tn.user(ada), tn.user(bob), tn.user(noah)
		staff := tn.group("Staff", adaID, bobID, noahID)
		for _, name := range []string{"ada@example.com", "bob@example.com", "noah@example.com"} {
			tn.expectStatus(name, policy.StatusActive)
			tn.expectGroups(name, "Staff")
		}

		tn.set(bobID, inactive)
		tn.expectStatus("bob@example.com", policy.StatusDisabled)
		tn.remove("User", noahID)
		tn.expectStatus("noah@example.com", policy.StatusDisabled)

		tn.leave(staff, adaID)
		tn.expectGroups("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

// Without SCIM a first login creates an account, and with SCIM it does not.
func TestForgottenFirstLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		engine := &provision.Engine{Store: st, Now: newClock().Now}
		for id, scim := range map[string]bool{"scim": true, "logins": false} {
			if _, err := engine.Directory(id).As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: id, SCIM: scim})); err != nil {
				t.Fatal(err)
			}
			_, err := engine.Directory(id).Login(t.Context(), provision.Identity{ID: "1", UserName: "ada@example.com"})
			if denied := err != nil; denied != scim {
				t.Errorf("connection with SCIM %v: a first login gives the error %v", scim, err)
			}
		}
	})
}

// Saving the forgotten policy again, in any of its spellings, changes nothing.
func TestForgottenPolicyIsStable(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := forgetful(t, st)
		tn.user(ada)
		at := tn.lastEvent()
		stored, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := policy.Parse([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range []policy.Config{{}, parsed, stored.Policy} {
			conn := provision.Connection{ID: "acme", SCIM: true, Policy: config}
			if saved, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); saved.Version != stored.Version || err != nil {
				t.Errorf("saving %+v: version %d, %v", config, saved.Version, err)
			}
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("events %v", got)
		}
	})
}

// forgetful returns a tenant whose host sets nothing but that there is SCIM.
func forgetful(t *testing.T, st store.Store) *tenant {
	t.Helper()
	tn := &tenant{t: t, clock: newClock()}
	tn.engine = &provision.Engine{Store: st, Now: tn.clock.Now}
	tn.dir = tn.engine.Directory("acme").As(provision.Actor{Kind: "scim", ID: "credential"})
	if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", SCIM: true})); err != nil {
		t.Fatal(err)
	}
	return tn
}

// expectGroups compares the names of the groups that an account carries.
func (tn *tenant) expectGroups(userName string, want ...string) {
	tn.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), groupNames(tn.account(userName))); diff != "" {
		tn.t.Errorf("groups of %s (-want +got):\n%s", userName, diff)
	}
}
