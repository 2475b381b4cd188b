package storetest

import (
	"testing"

	"github.com/scimjit/provision/store"
)

func (s *suite) memberships(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	update(t, st, func(tx store.Tx) error {
		nested := s.group("all")
		if err := tx.PutResource(nested); err != nil {
			return err
		}
		added, err := tx.PutMembership(store.Membership{Group: "id-all", Member: "id-staff", Source: store.SourceSync, Kind: "Group"})
		if !added || err != nil {
			t.Errorf("a new membership: %t, %v", added, err)
		}
		added, err = tx.PutMembership(store.Membership{Group: "id-staff", Member: "id-ann", Source: store.SourceSCIM, Kind: "User"})
		if added || err != nil {
			t.Errorf("the same membership: %t, %v", added, err)
		}
		return nil
	})
	ann := store.Membership{Group: "id-staff", Member: "id-ann", Source: store.SourceSCIM, Kind: "User", Display: "ann"}
	bob := store.Membership{Group: "id-staff", Member: "id-bob", Source: store.SourceSCIM, Kind: "User", Display: "bob"}
	staff := store.Membership{Group: "id-all", Member: "id-staff", Source: store.SourceSync, Kind: "Group", Display: "staff"}
	view(t, st, func(r store.Reader) error {
		rows, err := r.Memberships("id-staff", "", 0)
		is(t, "Memberships", err, nil)
		same(t, "members of staff", rows, []store.Membership{ann, bob})
		rows, err = r.Memberships("id-all", "", 0)
		is(t, "Memberships", err, nil)
		same(t, "members of all", rows, []store.Membership{staff})
		rows, err = r.MembershipsOf("id-staff")
		is(t, "MembershipsOf", err, nil)
		staff.Display = "all" // of the other side
		same(t, "groups of staff", rows, []store.Membership{staff})
		ann, bob := ann, bob
		ann.Display, bob.Display = "staff", "staff"
		rows, err = r.MembershipsOf("id-staff", "id-bob", "nobody", "id-ann", "id-bob", "id-all", "")
		is(t, "MembershipsOf many", err, nil)
		same(t, "groups of many", rows, []store.Membership{ann, bob, staff})
		rows, err = r.MembershipsOf()
		is(t, "MembershipsOf nobody", err, nil)
		same(t, "groups of nobody", rows, []store.Membership{})
		staff.Display = "staff" // of the member
		rows, err = r.GroupsIn("id-staff", "id-all", "nowhere", "id-all", "id-ann", "")
		is(t, "GroupsIn", err, nil)
		same(t, "groups in groups", rows, []store.Membership{staff})
		rows, err = r.GroupsIn()
		is(t, "GroupsIn nothing", err, nil)
		same(t, "groups in nothing", rows, []store.Membership{})
		for _, test := range []struct {
			group, member string
			want          bool
		}{

			{"id-staff", "id-ann", true}, {"id-staff", "id-staff", false}, {"id-all", "id-ann", false},
			{"id-all", "id-staff", true}, {"id-ann", "id-staff", false}, {"nowhere", "id-ann", false}, {"id-staff", "nobody", false},
			{"id-staff", "", true}, {"id-ann", "", false}, {"", "id-ann", true}, {"", "id-all", false}, {"", "nobody", false},
		} {
			got, err := r.IsMember(test.group, test.member)
			if got != test.want || err != nil {
				t.Errorf("IsMember(%q, %q) = %t, %v", test.group, test.member, got, err)
			}
		}
		return nil
	})
}

// groupsInScopes nests two groups in two scopes, the other way round.
func (s *suite) groupsInScopes(t *testing.T, st store.Store) {
	nest := func(in, group, member string) {
		updateIn(t, st, in, func(tx store.Tx) error {
			_, err := tx.PutMembership(store.Membership{Group: group, Member: member, Source: store.SourceSCIM, Kind: "Group"})
			return err
		})
	}
	for _, in := range []string{scope, "other"} {
		updateIn(t, st, in, func(tx store.Tx) error { return all(tx.PutResource(s.group("a")), tx.PutResource(s.group("b"))) })
	}
	nest(scope, "id-a", "id-b")
	nest("other", "id-b", "id-a")
	view(t, st, func(r store.Reader) error {
		rows, err := r.GroupsIn("id-b", "id-a")
		same(t, "groups in groups", rows, []store.Membership{{Group: "id-a", Member: "id-b", Source: store.SourceSCIM, Kind: "Group", Display: "b"}})
		return err
	})
	update(t, st, func(tx store.Tx) error {
		_, err := tx.DeleteMembership("id-a", "id-b", "")
		rows, fault := tx.GroupsIn("id-a")
		same(t, "groups in a group that was left", rows, []store.Membership{})
		return all(err, fault)
	})
}

// membershipNames changes what memberships show between two reads of one
// transaction.
func (s *suite) membershipNames(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	update(t, st, func(tx store.Tx) error {
		shows := func(want string) {
			t.Helper()
			rows, err := tx.MembershipsOf("id-bob", "id-ann", "id-bob")
			is(t, "MembershipsOf", err, nil)
			if len(rows) != 2 || rows[0].Member != "id-ann" || rows[0].Display != want || rows[1].Display != want {
				t.Errorf("the groups are %+v, want two of the name %q", rows, want)
			}
		}
		shows("staff")
		g, err := tx.Resource("Group", "id-staff", 0)
		if err != nil {
			return err
		}
		renamed := *g
		renamed.Display, renamed.Version = "crew", g.Version+1
		if err := tx.PutResource(&renamed); err != nil {
			return err
		}
		shows("crew")
		return nil
	})
}

func (s *suite) membershipPages(t *testing.T, st store.Store) {
	var want []string
	update(t, st, func(tx store.Tx) error {
		want = nil
		err := tx.PutResource(s.group("g"))
		for _, name := range []string{"d", "B", "a", "C", "e", "f"} {
			err = all(err, tx.PutResource(s.user(name)), put(tx, "id-g", "id-"+name))
		}
		want = []string{"id-B", "id-C", "id-a", "id-d", "id-e", "id-f"} // byte order
		return err
	})
	view(t, st, func(r store.Reader) error {
		for _, pages := range []func(string, string, int) ([]store.Membership, error){r.Memberships, r.UnnamedMemberships} {
			for limit := range 8 {
				if err := pagesOf(t, pages, limit, want); err != nil {
					return err
				}
			}
			rows, err := pages("id-g", "id-b", 2) // an id that is not a member
			if len(rows) != 2 || rows[0].Member != "id-d" {
				t.Errorf("after an id that is not there: %+v", rows)
			}
			if err != nil {
				return err
			}
		}
		named, err := r.Memberships("id-g", "", 0)
		unnamed, uerr := r.UnnamedMemberships("id-g", "", 0)
		for i := range min(len(named), len(unnamed)) {
			unnamed[i].Display = named[i].Display
		}
		same(t, "memberships without their names", unnamed, named)
		return all(err, uerr)
	})
}

// pagesOf reads the members of a group page by page.
func pagesOf(t *testing.T, pages func(group, after string, limit int) ([]store.Membership, error), limit int, want []string) error {
	var got []string
	for after := ""; ; {
		rows, err := pages("id-g", after, limit)
		if err != nil {
			return err
		}
		for _, m := range rows {
			got = append(got, m.Member)
		}
		if limit == 0 || len(rows) < limit {
			break
		}
		after = rows[len(rows)-1].Member
	}
	same(t, "pages of members", got, want)
	return nil
}

func (s *suite) membershipSources(t *testing.T, st store.Store) {
	sources := []store.Source{store.SourceJIT, store.SourceOperator, store.SourceSCIM}
	putAll := func(tx store.Tx) {
		for _, source := range []store.Source{store.SourceSCIM, store.SourceJIT, store.SourceOperator} {
			added, err := tx.PutMembership(store.Membership{Group: "id-g", Member: "id-a", Source: source, Kind: "User"})
			if !added || err != nil {
				t.Errorf("adding from %s: %t, %v", source, added, err)
			}
		}
	}
	check := func(tx store.Tx, want []store.Source) {
		t.Helper()
		of, _ := tx.MembershipsOf("id-a")
		in, err := tx.Memberships("id-g", "", 0)
		is(t, "Memberships", err, nil)
		for side, rows := range map[string][]store.Membership{"of the member": of, "of the group": in} {
			var got []store.Source
			for _, m := range rows {
				got = append(got, m.Source)
			}
			same(t, "sources "+side, got, want)
		}
	}
	update(t, st, func(tx store.Tx) error {
		if err := all(tx.PutResource(s.group("g")), tx.PutResource(s.user("a"))); err != nil {
			return err
		}
		for i, source := range []store.Source{store.SourceDefault, store.SourceOperator, store.SourceSync} {
			if _, err := tx.PutMembership(store.Membership{Group: "id-g", Member: "id-a", Source: source, Kind: "User"}); err != nil {
				return err
			}
			// What the application adds is nothing that a filter finds.
			for _, ask := range [][2]string{{"id-g", "id-a"}, {"id-g", ""}, {"", "id-a"}} {
				if got, err := tx.IsMember(ask[0], ask[1]); got != (i == 2) || err != nil {
					t.Errorf("IsMember(%q) from %s and before: %t, %v", ask, source, got, err)
				}
			}
		}
		if _, err := tx.DeleteMembership("id-g", "id-a", ""); err != nil {
			return err
		}
		putAll(tx)
		check(tx, sources)
		for _, test := range []struct {
			source  store.Source
			removed bool
			left    []store.Source
		}{
			{store.SourceJIT, true, sources[1:]},
			{store.SourceJIT, false, sources[1:]},
			{"", true, nil},
			{"", false, nil},
		} {
			removed, err := tx.DeleteMembership("id-g", "id-a", test.source)
			if removed != test.removed || err != nil {
				t.Errorf("DeleteMembership(%q) = %t, %v", test.source, removed, err)
			}
			check(tx, test.left)
		}
		removed, err := tx.DeleteMembership("nowhere", "nobody", "")
		if removed || err != nil {
			t.Errorf("removing what is not there: %t, %v", removed, err)
		}
		return nil
	})
}

func (s *suite) parts(t *testing.T, st store.Store) {
	s.fill(t, st, scope)
	for _, test := range []struct {
		name            string
		id              string
		with            store.Parts
		groups, members int
	}{
		{"none", "id-staff", 0, 0, 0},
		{"members", "id-staff", store.WithMembers, 0, 2},
		{"groups", "id-ann", store.WithGroups, 1, 0},
		{"groups of a group", "id-staff", store.WithGroups, 0, 0},
		{"both", "id-ann", store.WithGroups | store.WithMembers, 1, 0},
		{"members of a user", "id-ann", store.WithMembers, 0, 0},
	} {
		view(t, st, func(r store.Reader) error {
			one, err := r.Resource("", test.id, test.with)
			if err != nil {
				return err
			}
			page, err := r.Query(store.Query{Filter: byID(test.id), Limit: 1, With: test.with})
			if err != nil || len(page.Resources) != 1 {
				t.Errorf("%s: found %d, %v", test.name, len(page.Resources), err)
				return err
			}
			for _, got := range []*store.Resource{one, page.Resources[0]} {
				if len(got.Groups) != test.groups || len(got.Members) != test.members {
					t.Errorf("%s: %d groups and %d members, want %d and %d",
						test.name, len(got.Groups), len(got.Members), test.groups, test.members)
				}
			}
			same(t, test.name+": resource and page", one, page.Resources[0])
			return nil
		})
	}
}
