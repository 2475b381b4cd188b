package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/scimjit/provision/store"
)

// stages is the tier of memberships that are staged.
func (s *suite) stages(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, st store.Store)
	}{
		{"shown at once", s.stageShown},
		{"given up", s.stageGivenUp},
		{"of a new group", s.stageOfNewGroup},
		{"of a group that never comes", s.stageOfNoGroup},
		{"what is staged", s.stageCounts},
		{"others write meanwhile", s.stageMeanwhile},
		{"members and groups are deleted", s.stageDeleted},
		{"a group is deleted with its members", s.stageWhole},
		{"rollback", s.stageRolledBack},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
}

const (
	twin      = "twin" // a scope where the same is written directly
	stageSize = 4      // memberships that stageSome stages
)

// crew fills a scope with a group in which a and b are, c by a login, and the group
// nested; d, e and f are in no group.
func (s *suite) crew(t *testing.T, st store.Store, in string) {
	t.Helper()
	updateIn(t, st, in, func(tx store.Tx) error {
		var err error
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			err = all(err, tx.PutResource(s.user(name)))
		}
		err = all(err, tx.PutResource(s.group("g")), tx.PutResource(s.group("nested")), tx.PutResource(s.group("h")))
		for _, m := range []store.Membership{
			member("a", store.SourceSCIM), member("b", store.SourceSCIM), member("c", store.SourceJIT),
			{Group: "id-g", Member: "id-nested", Source: store.SourceSCIM, Kind: "Group"},
			{Group: "id-h", Member: "id-a", Source: store.SourceSCIM, Kind: "User"},
		} {
			_, putErr := tx.PutMembership(m)
			err = all(err, putErr)
		}
		return err
	})
}

func member(name string, source store.Source) store.Membership {
	return store.Membership{Group: "id-g", Member: "id-" + name, Source: source, Kind: "User"}
}

// someStage is the number of the stage of stageSome.
const someStage = 7

// stageSome stages that d and the group h join the group of crew, and that b and the
// nested group leave it.
func stageSome(tx store.Tx) error {
	joining := []store.Membership{member("d", store.SourceSCIM), member("h", store.SourceSCIM)}
	leaving := []store.Membership{member("b", store.SourceSCIM), member("nested", store.SourceSCIM)}
	n, err := tx.StageMembers(someStage, joining, leaving)
	if n != stageSize && err == nil {
		err = errors.New("staged " + strconv.Itoa(n))
	}
	return err
}

// stageTwin writes to the twin what stageSome stages.
func stageTwin(t *testing.T, st store.Store) {
	t.Helper()
	updateIn(t, st, twin, func(tx store.Tx) error {
		_, err := tx.PutMembership(member("d", store.SourceSCIM))
		h := member("h", store.SourceSCIM)
		h.Kind = "Group"
		_, putErr := tx.PutMembership(h)
		_, deleteErr := tx.DeleteMembership("id-g", "id-b", store.SourceSCIM)
		_, nestedErr := tx.DeleteMembership("id-g", "id-nested", "")
		return all(err, putErr, deleteErr, nestedErr)
	})
}

// answers is what a scope answers about memberships.
type answers struct {
	State                            state
	Of, In, Page                     []store.Membership
	Is                               map[string]bool
	Found, Scanned, Groups, OfGroups []string
	Members                          map[string][]store.Membership // as parts
}

// ask asks a reader every question about the memberships of crew.
func ask(t *testing.T, st store.Store, in string) (got answers) {
	t.Helper()
	people := []string{"id-a", "id-b", "id-c", "id-d", "id-e", "id-f", "id-nested", "id-h"}
	got.State = placed(dump(t, st, in))
	viewIn(t, st, in, func(r store.Reader) (err error) {
		a := answers{State: got.State, Is: map[string]bool{}, Members: map[string][]store.Membership{}}
		if a.Of, err = r.MembershipsOf(people...); err != nil {
			return err
		}
		if a.In, err = r.GroupsIn("id-g", "id-h"); err != nil {
			return err
		}
		for after := ""; ; { // pages have the size that was asked for
			page, err := r.Memberships("id-g", after, 1)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			a.Page, after = append(a.Page, page...), page[0].Member
		}
		for _, id := range append(people, "") {
			one, err := r.MembershipsOf(id)
			if err != nil {
				return err
			}
			a.Of = append(a.Of, one...)
			for _, group := range []string{"id-g", "id-h", "id-new", ""} {
				is, err := r.IsMember(group, id)
				if err != nil {
					return err
				}
				a.Is[group+" "+id] = is
			}
			found, err := r.Resource("", id, store.WithGroups|store.WithMembers)
			if err == nil {
				a.Members["of "+id] = append(found.Groups, found.Members...)
			}
		}
		page, err := r.Query(store.Query{Filter: store.MemberOf{Group: "id-g"}, Limit: 100})
		a.Found = ids(page.Resources)
		if err != nil {
			return err
		}
		page, err = r.Query(store.Query{Filter: store.HasMember{Member: "id-d"}, Limit: 100, With: store.WithMembers})
		a.Groups = ids(page.Resources)
		for _, g := range page.Resources {
			a.Members["found "+g.ID] = g.Members
		}
		if err != nil {
			return err
		}
		page, err = r.Query(store.Query{Filter: store.HasMember{Member: "id-b"}, Limit: 100})
		a.OfGroups = ids(page.Resources)
		got = a
		return err
	})
	page, err := st.Scan(t.Context(), in, store.Query{Filter: store.Not{Filter: store.MemberOf{Group: "id-g"}}, Limit: 100, ScanRows: 100})
	is(t, "Scan", err, nil)
	got.Scanned = ids(page.Resources)
	return got
}

// settle settles a stage, one membership after the other, and looks after each.
func settle(t *testing.T, st store.Store, stage int64, look func()) {
	t.Helper()
	for more, n := true, 0; more; n++ {
		update(t, st, func(tx store.Tx) (err error) {
			more, err = tx.SettleStage(stage, 1)
			return err
		})
		look()
		if n > 2*stageSize {
			t.Fatal("settling does not end")
		}
	}
}

func show(t *testing.T, st store.Store, stage int64) {
	t.Helper()
	update(t, st, func(tx store.Tx) error { return tx.ShowStage(stage) })
}

func (s *suite) stageShown(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	s.crew(t, st, twin)
	update(t, st, stageSome)
	same(t, "before the stage is shown", ask(t, st, scope), ask(t, st, twin))
	update(t, st, func(tx store.Tx) error {
		n, err := tx.StageMembers(7, []store.Membership{member("e", store.SourceJIT)}, []store.Membership{member("c", store.SourceJIT)})
		if n != 2 {
			t.Errorf("staged %d more, want 2", n)
		}
		return err
	})
	show(t, st, 6) // another one, which does not exist
	same(t, "with two sets", ask(t, st, scope), ask(t, st, twin))

	stageTwin(t, st)
	updateIn(t, st, twin, func(tx store.Tx) error {
		_, err := tx.PutMembership(member("e", store.SourceJIT))
		_, deleteErr := tx.DeleteMembership("id-g", "id-c", "")
		return all(err, deleteErr)
	})
	show(t, st, 7)
	want := ask(t, st, twin)
	same(t, "after the stage was shown", ask(t, st, scope), want)
	settle(t, st, 7, func() { t.Helper(); same(t, "while it is settled", ask(t, st, scope), want) })
}

func (s *suite) stageGivenUp(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	want := ask(t, st, scope)
	update(t, st, stageSome)
	settle(t, st, 7, func() { t.Helper(); same(t, "while it is given up", ask(t, st, scope), want) })

	// The number is free, and nothing is left of it.
	update(t, st, func(tx store.Tx) error {
		_, err := tx.StageMembers(7, []store.Membership{member("f", store.SourceSCIM)}, nil)
		return all(err, tx.ShowStage(7))
	})
	view(t, st, func(r store.Reader) error {
		rows, err := r.Memberships("id-g", "", 0)
		if len(rows) != 5 || rows[3].Member != "id-f" {
			t.Errorf("the members are %+v, want f beside those of before", rows)
		}
		return err
	})
}

func (s *suite) stageOfNewGroup(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	s.crew(t, st, twin)
	joining := []store.Membership{
		{Group: "id-new", Member: "id-a", Source: store.SourceSCIM}, {Group: "id-new", Member: "id-h", Source: store.SourceSCIM},
	}
	update(t, st, func(tx store.Tx) error {
		n, err := tx.StageMembers(7, joining, nil)
		if n != 2 {
			t.Errorf("staged %d, want 2", n)
		}
		return err
	})
	same(t, "before there is the group", ask(t, st, scope), ask(t, st, twin))
	update(t, st, func(tx store.Tx) error { return all(tx.PutResource(s.group("new")), tx.ShowStage(7)) })
	updateIn(t, st, twin, func(tx store.Tx) error {
		joining[0].Kind, joining[1].Kind = "User", "Group"
		err := tx.PutResource(s.group("new"))
		for _, m := range joining {
			_, putErr := tx.PutMembership(m)
			err = all(err, putErr)
		}
		return err
	})
	want := ask(t, st, twin)
	same(t, "with the group", ask(t, st, scope), want)
	settle(t, st, 7, func() { t.Helper(); same(t, "while it is settled", ask(t, st, scope), want) })
}

func (s *suite) stageOfNoGroup(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	want := ask(t, st, scope)
	joining := []store.Membership{{Group: "id-new", Member: "id-a", Source: store.SourceSCIM}}
	update(t, st, func(tx store.Tx) error {
		_, err := tx.StageMembers(7, joining, nil)
		return err
	})
	settle(t, st, 7, func() { t.Helper(); same(t, "while it is given up", ask(t, st, scope), want) })
	update(t, st, func(tx store.Tx) error { return tx.PutResource(s.group("new")) })
	view(t, st, func(r store.Reader) error {
		rows, err := r.Memberships("id-new", "", 0)
		same(t, "members of the group that came later", rows, []store.Membership{})
		return err
	})
}

func (s *suite) stageCounts(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	want := ask(t, st, scope)
	for _, test := range []struct {
		name             string
		joining, leaving []store.Membership
		want             int
	}{
		{"nothing", nil, nil, 0},
		{"who does not exist", []store.Membership{member("nobody", store.SourceSCIM)}, nil, 0},
		{"who is a member", []store.Membership{member("a", store.SourceSCIM)}, nil, 0},
		{"who is one from another source", []store.Membership{member("a", store.SourceJIT)}, nil, 1},
		{"who is none", nil, []store.Membership{member("f", store.SourceSCIM)}, 0},
		{"who is none from this source", nil, []store.Membership{member("c", store.SourceSCIM)}, 0},
	} {
		update(t, st, func(tx store.Tx) error {
			n, err := tx.StageMembers(7, test.joining, test.leaving)
			if n != test.want {
				t.Errorf("%s: %d were staged, want %d", test.name, n, test.want)
			}
			return err
		})
	}
	same(t, "after all that", ask(t, st, scope), want)
	other := member("d", store.SourceSCIM)
	other.Group = "id-h"
	for _, test := range []struct {
		stage   int64
		joining []store.Membership
	}{{0, []store.Membership{member("d", store.SourceSCIM)}}, {-7, nil}, {8, []store.Membership{member("d", store.SourceSCIM), other}}} {
		err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			_, err := tx.StageMembers(test.stage, test.joining, nil)
			return err
		})
		if err == nil {
			t.Errorf("stage %d of %+v is no error", test.stage, test.joining)
		}
	}
}

// stageMeanwhile writes memberships while they are staged, and after the stage was
// shown: the writes act on what is seen.
func (s *suite) stageMeanwhile(t *testing.T, st store.Store) {
	for _, shown := range []bool{false, true} {
		in := "shown " + strconv.FormatBool(shown)
		s.crew(t, st, in)
		updateIn(t, st, in, func(tx store.Tx) error {
			if err := stageSome(tx); err != nil || !shown {
				return err
			}
			return tx.ShowStage(7)
		})
		updateIn(t, st, in, func(tx store.Tx) error {
			wrote := func(name string, got, want bool) {
				if got != want {
					t.Errorf("%s: %s is %t, want %t", in, name, got, want)
				}
			}
			removed, err := tx.DeleteMembership("id-g", "id-d", store.SourceSCIM)
			wrote("removing who joins", removed, shown)
			added, putErr := tx.PutMembership(member("b", store.SourceSCIM))
			wrote("adding who leaves", added, shown)
			removed, deleteErr := tx.DeleteMembership("id-g", "id-nested", "")
			wrote("removing what leaves", removed, !shown)
			h := member("h", store.SourceSCIM)
			h.Kind = "Group"
			added, nestedErr := tx.PutMembership(h)
			wrote("adding what joins", added, !shown)
			return all(err, putErr, deleteErr, nestedErr)
		})
		want := ask(t, st, in)
		same(t, in+": who is seen", memberIDs(want.Page), []string{"id-a", "id-b", "id-c", "id-h"})
		for more := true; more; {
			updateIn(t, st, in, func(tx store.Tx) (err error) {
				more, err = tx.SettleStage(7, 1)
				return err
			})
			same(t, in+": while it is settled", ask(t, st, in), want)
		}
	}
}

func memberIDs(list []store.Membership) (ids []string) {
	for _, m := range list {
		ids = append(ids, m.Member)
	}
	return ids
}

func (s *suite) stageDeleted(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	update(t, st, stageSome)
	update(t, st, func(tx store.Tx) error {
		return all(tx.DeleteResource("User", "id-d"), tx.DeleteResource("User", "id-b"), tx.PutResource(s.user("d")))
	})
	show(t, st, 7)
	want := []string{"id-a", "id-c", "id-h"}
	same(t, "without those who were deleted", memberIDs(ask(t, st, scope).Page), want)
	settle(t, st, 7, func() { t.Helper(); same(t, "settled", memberIDs(ask(t, st, scope).Page), want) })

	update(t, st, func(tx store.Tx) error {
		_, err := tx.StageMembers(8, []store.Membership{member("e", store.SourceSCIM)}, []store.Membership{member("a", store.SourceSCIM)})
		return all(err, tx.DeleteResource("Group", "id-g"), tx.PutResource(s.group("again")))
	})
	update(t, st, func(tx store.Tx) error { return tx.PutResource(s.group("g")) })
	show(t, st, 8)
	settle(t, st, 8, func() { t.Helper(); same(t, "a group that came again", memberIDs(ask(t, st, scope).Page), []string{}) })
}

// stageWhole deletes a group whose members were staged to leave, and makes it again before
// they are settled.
func (s *suite) stageWhole(t *testing.T, st store.Store) {
	for _, in := range []string{scope, twin} {
		s.crew(t, st, in)
		updateIn(t, st, in, func(tx store.Tx) error {
			_, err := tx.PutMembership(store.Membership{Group: "id-h", Member: "id-g", Source: store.SourceSCIM, Kind: "Group"})
			return err
		})
	}
	leaving := []store.Membership{
		member("a", store.SourceSCIM), member("b", store.SourceSCIM), member("c", store.SourceJIT), member("nested", store.SourceSCIM),
	}
	update(t, st, func(tx store.Tx) error {
		n, err := tx.StageMembers(7, nil, leaving)
		same(t, "staged", n, len(leaving))
		return err
	})
	want := ask(t, st, twin)
	same(t, "before the group is deleted", ask(t, st, scope), want)
	err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
		return all(tx.DeleteStaged("Group", "id-g", 7), errRollback)
	})
	is(t, "rolled back", err, errRollback)
	same(t, "rolled back", ask(t, st, scope), want)
	update(t, st, func(tx store.Tx) error {
		is(t, "another type", tx.DeleteStaged("User", "id-g", 7), store.ErrNotFound)
		return tx.DeleteStaged("Group", "id-g", 7)
	})
	updateIn(t, st, twin, func(tx store.Tx) error { return tx.DeleteResource("Group", "id-g") })
	same(t, "without the group", ask(t, st, scope), ask(t, st, twin))

	for _, in := range []string{scope, twin} {
		updateIn(t, st, in, func(tx store.Tx) error {
			err := tx.PutResource(s.group("g"))
			for _, name := range []string{"a", "d"} {
				added, putErr := tx.PutMembership(member(name, store.SourceSCIM))
				same(t, in+": added "+name, added, true)
				err = all(err, putErr)
			}
			return err
		})
	}
	want = ask(t, st, twin)
	settle(t, st, 7, func() { t.Helper(); same(t, "while it is settled", ask(t, st, scope), want) })
}

// stageRolledBack fails each step once.
func (s *suite) stageRolledBack(t *testing.T, st store.Store) {
	s.crew(t, st, scope)
	s.crew(t, st, twin)
	twice := func(what string, step func(tx store.Tx) error) {
		t.Helper()
		before := ask(t, st, scope)
		err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			if err := step(tx); err != nil {
				return err
			}
			return errRollback
		})
		is(t, what, err, errRollback)
		same(t, "rolled back: "+what, ask(t, st, scope), before)
		update(t, st, step)
	}
	twice("stage", stageSome)
	twice("show", func(tx store.Tx) error { return tx.ShowStage(7) })
	stageTwin(t, st)
	want := ask(t, st, twin)
	for range 2*stageSize + 1 {
		twice("settle", func(tx store.Tx) error { _, err := tx.SettleStage(7, 1); return err })
		same(t, "settled", ask(t, st, scope), want)
	}
	// All in one transaction, with a stage of a group that does not exist.
	twice("all", func(tx store.Tx) error {
		err := all(stageBack(tx), tx.ShowStage(7))
		_, settleErr := tx.SettleStage(7, 1)
		_, newErr := tx.StageMembers(9, []store.Membership{{Group: "id-new", Member: "id-a", Source: store.SourceSCIM}}, nil)
		return all(err, settleErr, newErr, tx.PutResource(s.group("new")), tx.ShowStage(9))
	})
	same(t, "members again", memberIDs(ask(t, st, scope).Page), []string{"id-a", "id-b", "id-c", "id-nested"})
}

// stageBack stages the contrary of stageSome.
func stageBack(tx store.Tx) error {
	_, err := tx.StageMembers(7,
		[]store.Membership{member("b", store.SourceSCIM), member("nested", store.SourceSCIM)},
		[]store.Membership{member("d", store.SourceSCIM), member("h", store.SourceSCIM)})
	return err
}
