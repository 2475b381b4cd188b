package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// register registers groups of the host, given as "id name".
func (tn *tenant) register(groups ...string) {
	tn.t.Helper()
	if err := tn.operator().RegisterGroups(tn.t.Context(), hostGroups(groups...)...); err != nil {
		tn.t.Fatal(err)
	}
}

func hostGroups(groups ...string) []provision.HostGroup {
	list := []provision.HostGroup{}
	for _, g := range groups {
		id, name, _ := strings.Cut(g, " ")
		list = append(list, provision.HostGroup{ID: id, Name: name})
	}
	return list
}

// A name is looked for among the groups of the host first, folded, then among
// those of the connection.
func TestHostGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["EVERYONE","staff"],"excludedGroups":"*"}`)
		tn.register("17 Everyone", "18 Others")
		own := tn.group("Everyone")
		tn.group("Staff")
		id := tn.user(ada)
		tn.carries("ada@example.com", "Everyone default", "Staff default")
		if g := tn.account("ada@example.com").Groups; g[1].ID != "17" || g[1].ID == own {
			t.Errorf("groups %v, want the host's, 17", g)
		}
		if n := len(tn.members(own)); n != 0 {
			t.Errorf("the connection's group of the same name got %d members", n)
		}
		if r, err := tn.dir.Get(t.Context(), "User", id, store.WithGroups); err != nil || len(r.Groups) != 1 {
			t.Errorf("the identity provider sees groups %v, %v; want one", r.Groups, err)
		}
	})
}

// A group of the host is a fact of the account that stays, whatever becomes of
// the account; it is no evidence.
func TestHostGroupsStay(t *testing.T) {
	const gate = `{"defaultGroups":["Everyone"],"siteAdminGroups":"Everyone","roles":[{"groups":"Everyone","role":"r"}],"requiredGroups":"Everyone,IT"}`
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, gate)
		tn.register("17 Everyone")
		id := tn.user(ada)
		tn.expectStatus("ada@example.com", policy.StatusStaged)
		group := tn.group("IT", id)
		steps := []struct {
			name string
			do   func()
			also []string
		}{
			{"admitted", func() {}, []string{"IT scim"}},
			{"policy edited", func() { tn.setPolicy(strings.Replace(gate, "{", `{"company":"Acme",`, 1)) }, []string{"IT scim"}},
			{"group renamed", func() { tn.rename(group, "IT2") }, []string{"IT2 scim"}},
			{"gate lost", func() { tn.leave(group, id) }, nil},
			{"disabled", func() { tn.set(id, adaInactive) }, nil},
			{"back", func() { tn.set(id, adaActive) }, nil},
			{"deleted", func() { tn.remove("User", id) }, nil},
			{"edited while deleted", func() { tn.setPolicy(strings.Replace(gate, "{", `{"company":"Ajax",`, 1)) }, nil},
			{"no longer registered", func() { tn.register() }, nil},
			{"posted again", func() { tn.user(ada) }, nil},
		}
		for _, step := range steps {
			step.do()
			want := append([]string{"Everyone default"}, step.also...)
			slices.Sort(want)
			tn.carries("ada@example.com", want...)
			if a := tn.account("ada@example.com"); a.SiteAdmin || len(a.Roles) > 0 || a.Groups[len(a.Groups)-1].ID != "17" {
				t.Errorf("%s: admin %t, roles %v, groups %v", step.name, a.SiteAdmin, a.Roles, a.Groups)
			}
		}
	})
}

// Accounts that wait for a name get the group when the host registers it, and
// its new name when the host renames it: at once or by a job.
func TestHostGroupsAppear(t *testing.T) {
	for _, inline := range []int{0, 2} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"defaultGroups":["über/alle","never"]}`)
				tn.people(4)
				tn.remove("User", tn.user(ada))
				tn.engine.Limits.Inline = inline
				settled := func() {
					if inline > 0 {
						tn.runUntilSettled()
					}
				}
				for _, name := range []string{"Über/Alle", "ÜBER/ALLE"} {
					tn.register("17 "+name, "18 unasked")
					settled()
					tn.carries("u0", name+" default")
					tn.carries("u3", name+" default")
				}
				tn.register("17 Renamed", "19 Über/Alle")
				settled()
				tn.carries("u0", "Renamed default") // applied once
				tn.carries("ada@example.com")
				tn.user(ada) // who comes back gets it then
				tn.carries("ada@example.com", "Über/Alle default")
			})
		})
	}
}

// Registering the same list again changes nothing; the event of a change says
// who and what.
func TestRegisterGroupsIdempotent(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["a"]}`)
		tn.user(ada)
		tn.register("1 a", "2 b")
		at := tn.lastEvent()
		tn.register("2 b", "1 a")
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("the same list made events %v", got)
		}
		tn.register("2 b", "3 c")
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil || len(list) != 1 || list[0].Type != store.ConnectionUpdated || list[0].Actor != tester {
			t.Fatalf("events %v, %v; want one, connection.updated", list, err)
		}
		want := `[{"attribute":"hostGroups","before":[{"id":"1","name":"a"}],"after":[{"id":"3","name":"c"}]}]`
		if diff := cmp.Diff(want, asJSON(t, list[0].Changes)); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		got, err := tn.dir.HostGroups(t.Context())
		if diff := cmp.Diff(hostGroups("2 b", "3 c"), got); diff != "" || err != nil {
			t.Errorf("registered, %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestRegisterGroupsRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		group := tn.group("IT")
		tn.register("1 a")
		long := strings.Repeat("x", 257)
		for _, list := range [][]string{{" a"}, {"2"}, {"2 b", "2 c"}, {"2 b", "3 B"}, {long + " b"}, {"2 " + long}, {"2 \xff"}, {"2 b\x00"}, {"2 b\u2028"}, {"2\n b"}, {"2\u0085 b"}, {"2 b", group + " c"}} {
			err := tn.operator().RegisterGroups(t.Context(), hostGroups(list...)...)
			var wrong *provision.ArgumentError
			if !errors.As(err, &wrong) || wrong.Argument != "groups" {
				t.Errorf("groups %.40q: %v, want an ArgumentError", list, err)
			}
		}
		err := tn.engine.Directory("nobody").RegisterGroups(t.Context(), hostGroups("2 b")...)
		if !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("an unknown connection: %v, want ErrNotFound", err)
		}
		if list, err := tn.engine.Directory("nobody").HostGroups(t.Context()); !errors.Is(err, provision.ErrNotFound) || list != nil {
			t.Errorf("the groups of an unknown connection: %v, %v, want ErrNotFound", list, err)
		}
		if got, err := tn.dir.HostGroups(t.Context()); err != nil || !slices.Equal(got, hostGroups("1 a")) {
			t.Errorf("refused lists left %v, %v", got, err)
		}
	})
}

// A job gives a new name also to accounts that wait for nothing else.
func TestHostGroupRenamedByJob(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["a"]}`)
		tn.register("1 a")
		tn.people(4)
		tn.engine.Limits.Inline = 2
		tn.register("1 b")
		tn.runUntilSettled()
		tn.carries("u0", "b default")
		tn.carries("u3", "b default")
	})
}

// A group of the host is found by its name as those of the connection are: not by one
// that only clashes, and whatever white space is at its ends.
func TestHostGroupsByName(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Everyone","Sales","U\u0308nal"]}`)
		if err := tn.operator().RegisterGroups(t.Context(),
			provision.HostGroup{ID: "17", Name: " everyone\u00a0"}, provision.HostGroup{ID: "18", Name: "\u017fales"}, provision.HostGroup{ID: "19", Name: "\u00dcNAL"}); err != nil {
			t.Fatal(err)
		}
		tn.user(ada)
		expectSame(t, "groups", []string{" everyone\u00a0", "\u00dcNAL"}, groupNames(tn.account("ada@example.com")))
	})
}
