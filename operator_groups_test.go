package provision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// membershipStep is something that is done, and what Ada's account carries after it, as
// "name/source", with a + for an admin of the group.
type membershipStep struct {
	name   string
	do     func() error
	err    error
	groups string
	events string // types, in order
}

// A membership by an operator stays whatever the identity provider says, until an operator
// or the end of the group or of the account ends it.
func TestAddGroup(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff","siteAdminGroups":"Boss*","groupAdminGroups":"*","excludedGroups":"Hidden"}`)
		tn.engine.Limits.InlineMembers = 2
		tn.register("17 Ours")
		others := []string{tn.user(`{"userName":"b1"}`), tn.user(`{"userName":"b2"}`), tn.user(`{"userName":"b3"}`)}
		id := tn.user(ada)
		account := tn.account("ada@example.com").ID
		boss, staff, hidden := tn.group("Boss"), tn.group("Staff"), tn.group("Hidden")
		add := func(group string) func() error {
			return func() error { return tn.operator().AddGroup(t.Context(), account, group) }
		}
		take := func(group string) func() error {
			return func() error { return tn.operator().RemoveGroup(t.Context(), account, group) }
		}
		does := func(fn func()) func() error { return func() error { fn(); return nil } }
		replace := func(group string, ids ...string) func() error {
			return func() error { return tn.replaceMembers(group, ids) }
		}
		for _, step := range []membershipStep{
			{"nothing", does(func() {}), nil, "", ""},
			{"the gate stays shut", add(staff), nil, "Staff/operator", "account.updated"},
			{"twice", add(staff), nil, "Staff/operator", ""},
			{"the identity provider says so, too", does(func() { tn.join(staff, id) }), nil, "Staff+/scim", "group.updated account.activated"},
			{"and no longer", does(func() { tn.leave(staff, id) }), nil, "Staff/operator", "group.updated account.disabled"},
			{"no admin by it", add(boss), nil, "Boss/operator Staff/operator", "account.updated"},
			{"no exclusion of it", add(hidden), nil, "Boss/operator Hidden/operator Staff/operator", "account.updated"},
			{"renamed", does(func() { tn.rename(boss, "Boss 2") }), nil, "Boss 2/operator Hidden/operator Staff/operator", "group.updated account.updated"},
			{"members replaced", replace(hidden, others[0]), nil, "Boss 2/operator Hidden/operator Staff/operator", "group.updated"},
			{"by many", replace(hidden, others...), nil, "Boss 2/operator Hidden/operator Staff/operator", "group.updated"},
			{"the user replaced", does(func() { tn.set(id, `{"userName":"ada@example.com","title":"Dr"}`) }), nil, "Boss 2/operator Hidden/operator Staff/operator", "account.updated"},
			{"one of the host", add("17"), nil, "Boss 2/operator Hidden/operator Ours/operator Staff/operator", "account.updated"},
			{"which is renamed", does(func() { tn.register("17 Yours") }), nil, "Boss 2/operator Hidden/operator Staff/operator Yours/operator", "connection.updated account.updated"},
			{"the user is deleted", does(func() { tn.remove("User", id) }), nil, "Boss 2/operator Hidden/operator Staff/operator Yours/operator", "group.updated group.updated group.updated"},
			{"a group meanwhile", does(func() { tn.remove("Group", hidden) }), nil, "Boss 2/operator Hidden/operator Staff/operator Yours/operator", "group.deleted"},
			{"and taken", take(boss), nil, "Hidden/operator Staff/operator Yours/operator", "account.updated"},
			{"and added", add(boss), nil, "Boss 2/operator Hidden/operator Staff/operator Yours/operator", "account.updated"},
			{"the user is back", does(func() { id = tn.user(ada) }), nil, "Boss 2/operator Staff/operator Yours/operator", "account.updated"},
			{"reported", does(func() { tn.join(staff, id) }), nil, "Boss 2/operator Staff+/scim Yours/operator", "group.updated account.activated"},
			{"taken below the report", take(staff), nil, "Boss 2/operator Staff+/scim Yours/operator", ""},
			{"nothing is left below", take(staff), provision.ErrReported, "Boss 2/operator Staff+/scim Yours/operator", ""},
			{"taken", take(boss), nil, "Staff+/scim Yours/operator", "account.updated"},
			{"taken from the host", take("17"), nil, "Staff+/scim", "account.updated"},
			{"no such group", add("nobody"), provision.ErrNotFound, "Staff+/scim", ""},
			{"a user is none", add(id), provision.ErrNotFound, "Staff+/scim", ""},
			{"the group ends", does(func() { _ = add(boss)(); tn.remove("Group", boss) }), nil, "Staff+/scim", "account.updated group.deleted account.updated"},
		} {
			t.Run(step.name, func(t *testing.T) {
				at := tn.lastEvent()
				if err := step.do(); !errors.Is(err, step.err) {
					t.Errorf("error %v, want %v", err, step.err)
				}
				a := tn.account("ada@example.com")
				if got := carriedGroups(a); got != step.groups {
					t.Errorf("carries %s, want %s", got, step.groups)
				}
				if a.SiteAdmin {
					t.Error("an operator's membership made a site admin")
				}
				expectStepEvents(tn, at, step.events)
			})
		}
	})
}

// expectStepEvents compares the types of events of the groups' members, and of Ada.
func expectStepEvents(tn *tenant, at int64, want string) {
	tn.t.Helper()
	var told []string
	list, err := tn.dir.Events(tn.t.Context(), at, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, ev := range list {
		told = append(told, string(ev.Type))
	}
	if got := strings.Join(told, " "); got != want {
		tn.t.Errorf("events %s, want %s", got, want)
	}
}

func carriedGroups(a *provision.Account) string {
	var out []string
	for _, g := range a.Groups {
		admin := ""
		if g.Admin {
			admin = "+"
		}
		out = append(out, fmt.Sprintf("%s%s/%s", g.Name, admin, g.Source))
	}
	return strings.Join(sorted(out), " ")
}

// With the account everything of it ends: who comes next has nothing of it.
func TestAddedGroupsEndWithTheAccount(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for _, method := range []string{"by an operator", "by the method"} {
			tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
			group := tn.group("G " + method)
			id := tn.user(ada)
			a := tn.account("ada@example.com")
			if err := tn.operator().AddGroup(t.Context(), a.ID, group); err != nil {
				t.Fatal(err)
			}
			if method == "by the method" {
				tn.remove("User", id)
			} else {
				tn.deleteAccount("ada@example.com")
			}
			if n := len(tn.members(group)); n != 0 {
				t.Errorf("%s: %d members are left", method, n)
			}
			again := tn.user(ada)
			if b := tn.account("ada@example.com"); b.ID == a.ID || len(b.Groups) != 0 || b.Status != policy.StatusActive {
				t.Errorf("%s: who comes next has %+v", method, b)
			}
			tn.remove("User", again)
		}
	})
}
