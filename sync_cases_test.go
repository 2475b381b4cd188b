package provision_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// What directories do that breaks syncs: each test is a case from somebody who runs one.

// person is a user of a source, with an id that does not change.
func person(t *testing.T, id, name string, more ...string) provision.SyncUser {
	t.Helper()
	body := fmt.Sprintf(`{"externalId":%q,"userName":%q,"active":true`, id, name)
	for _, m := range more {
		body += "," + m
	}
	return provision.SyncUser{Content: content(t, "User", body+"}")}
}

// team is a group of a source.
func team(t *testing.T, id, name string, members ...string) provision.SyncGroup {
	t.Helper()
	return provision.SyncGroup{Content: content(t, "Group", fmt.Sprintf(`{"externalId":%q,"displayName":%q}`, id, name)), Members: members}
}

// folk returns a source of some users.
func folk(list ...provision.SyncUser) chained { return chained{users: list} }

// from syncs from a source and returns the report.
func (tn *tenant) from(src provision.SyncSource, o provision.SyncOptions) provision.SyncReport {
	tn.t.Helper()
	report, err := tn.dir.Sync(tn.t.Context(), src, o)
	if err != nil {
		tn.t.Fatal(err)
	}
	return report
}

// problems returns what a report says of the objects that were left alone.
func problems(r provision.SyncReport) []string {
	out := []string{}
	for _, p := range r.Problems {
		out = append(out, p.Type+" "+p.Key+" "+p.Code)
	}
	return out
}

func problem(u provision.SyncUser, code string) provision.SyncUser {
	u.Problem = code
	return u
}

// An entry of which nothing can be written is present: nobody is absent by it, no group
// goes, and what was written stays.
func TestSyncProblemsArePresent(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		all := chained{
			users:  []provision.SyncUser{person(t, "1", "ann"), person(t, "2", "bob"), person(t, "3", "cy")},
			groups: []provision.SyncGroup{team(t, "g1", "Staff", "1", "2", "3")},
		}
		tn.from(all, provision.SyncOptions{})
		was := tn.snapshot()
		at := tn.lastEvent()
		broken := team(t, "g1", "Renamed")
		broken.Problem = "range_cut"
		unnamed := provision.SyncUser{Content: content(t, "User", `{"externalId":"3","title":"T"}`), Key: "cn=cy"}
		report := tn.from(chained{
			users:  []provision.SyncUser{person(t, "1", "ann"), problem(person(t, "2", "robert"), "bad_id"), unnamed, problem(person(t, "9", "new"), "bad_id")},
			groups: []provision.SyncGroup{broken},
		}, provision.SyncOptions{})
		expectSame(t, "problems", []string{"User 2 bad_id", "User cn=cy sync_no_name", "User 9 bad_id", "Group g1 range_cut"}, problems(report))
		expectSame(t, "absent", [2]int{}, [2]int{report.Users.Absent, report.Groups.Absent})
		expectSame(t, "accounts", was, tn.snapshot())
		if n := tn.lastEvent(); n != at {
			t.Errorf("events %v", tn.events(at))
		}
		// Somebody else names them as a member all the same.
		all.groups = append(all.groups, team(t, "g2", "New", "2", "cn=cy"))
		all.users = []provision.SyncUser{all.users[0], problem(person(t, "2", "bob"), "bad_id"), unnamed}
		report = tn.from(all, provision.SyncOptions{})
		expectSame(t, "members", 2, report.MembersAdded)
		for _, p := range report.Problems {
			if p.Reason == "" {
				t.Errorf("problem %+v has no text", p)
			}
		}
	})
}

// Where several people have one id, nobody is renamed to another, and nobody is made;
// the same person twice is one.
func TestSyncIDsNotUnique(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tests := []struct {
			name   string
			users  []provision.SyncUser
			groups []provision.SyncGroup
			want   []string
		}{
			{"the person, then another", []provision.SyncUser{person(t, "1", "ann"), person(t, "1", "eve")}, nil, []string{"User 1 sync_id_not_unique"}},
			{"another, then the person", []provision.SyncUser{person(t, "1", "eve"), person(t, "1", "ann")}, nil, []string{"User 1 sync_id_not_unique", "User 1 sync_id_not_unique"}},
			{"two others", []provision.SyncUser{person(t, "1", "eve"), person(t, "1", "mal")}, nil, []string{"User 1 sync_id_not_unique", "User 1 sync_id_not_unique"}},
			{"two that are new", []provision.SyncUser{person(t, "1", "ann"), person(t, "7", "eve"), person(t, "7", "mal"), person(t, "7", "tom")}, nil,
				[]string{"User 7 sync_id_not_unique", "User 7 sync_id_not_unique", "User 7 sync_id_not_unique"}},
			{"the same twice", []provision.SyncUser{person(t, "1", "ann"), person(t, "1", "ANN")}, nil, []string{"User 1 sync_twice"}},
			{"a new one twice", []provision.SyncUser{person(t, "1", "ann"), person(t, "7", "new"), person(t, "7", "new")}, nil, []string{"User 7 sync_twice"}},
			{"groups", []provision.SyncUser{person(t, "1", "ann")}, []provision.SyncGroup{team(t, "g1", "Other", "1"), team(t, "g1", "Staff", "1")},
				[]string{"Group g1 sync_id_not_unique", "Group g1 sync_id_not_unique"}},
		}
		for i, test := range tests {
			tn := newTenant(t, scoped{st, fmt.Sprint(i)}, `{}`)
			tn.from(chained{users: []provision.SyncUser{person(t, "1", "ann")}, groups: []provision.SyncGroup{team(t, "g1", "Staff")}}, provision.SyncOptions{})
			ann := tn.account("ann")
			report := tn.from(chained{users: test.users, groups: test.groups}, provision.SyncOptions{})
			got := problems(report)
			slices.Sort(got)
			expectSame(t, test.name, test.want, got)
			if a := tn.account("ann"); a.ID != ann.ID || a.Status != policy.StatusActive {
				t.Errorf("%s: ann is %+v", test.name, a)
			}
			for _, name := range []string{"eve", "mal", "tom"} {
				if n := len(tn.accounts(name)); n != 0 {
					t.Errorf("%s: %s has %d accounts", test.name, name, n)
				}
			}
		}
	})
}

// A name that a newcomer has from somebody who left gives them nothing of theirs.
func TestSyncNameOfLeaver(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Ops"}`)
		staff := []provision.SyncUser{person(t, "0", "root"), person(t, "1", "ann")}
		tn.from(chained{users: staff, groups: []provision.SyncGroup{team(t, "g", "Ops", "0", "1")}}, provision.SyncOptions{})
		old := tn.account("ann")
		tn.as("operator").join(tn.as("operator").group("Vault"), old.ResourceID)
		for _, same := range []bool{true, false} { // in the run in which the other one leaves, and later
			if !same {
				tn.from(chained{users: staff[:1], groups: []provision.SyncGroup{team(t, "g", "Ops", "0")}}, provision.SyncOptions{})
			}
			id := map[bool]string{true: "2", false: "3"}[same]
			tn.from(chained{users: []provision.SyncUser{staff[0], person(t, id, "ann")}, groups: []provision.SyncGroup{team(t, "g", "Ops", "0")}}, provision.SyncOptions{})
			for _, a := range tn.accounts("ann") {
				switch {
				case a.ID == old.ID && a.Status != policy.StatusDisabled:
					t.Errorf("the old one is %s", a.Status)
				case a.ID != old.ID && (a.SiteAdmin || len(a.Groups) > 0):
					t.Errorf("the new one has %+v", a)
				}
			}
			if n := len(tn.withStatus(policy.StatusActive)); n != 2 {
				t.Errorf("%d are active", n)
			}
		}
	})
}

const address = `"emails":[{"value":"a@example.com","primary":true}]`

// Two people with one address stay two.
func TestSyncSharedAddress(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"link":"email","emailDomains":"example.com"}`)
		both := folk(person(t, "1", "ann", address), person(t, "2", "bob", address))
		for range 2 {
			report := tn.from(both, provision.SyncOptions{})
			expectSame(t, "problems", []string{}, problems(report))
			if a, b := tn.account("ann"), tn.account("bob"); a.ID == b.ID || a.Email != b.Email {
				t.Errorf("the accounts are %+v and %+v", a, b)
			}
		}
	})
}

// An address that is free by the end of a run goes to who has it then, in whatever order
// they come.
func TestSyncAddressPasses(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const other = `"emails":[{"value":"b@example.com","primary":true}]`
		tn := newTenant(t, st, `{"uniqueEmails":true}`)
		tn.from(folk(person(t, "1", "ann", address)), provision.SyncOptions{})
		ann := tn.account("ann")
		report := tn.from(folk(person(t, "2", "bob", address), person(t, "1", "ann", other)), provision.SyncOptions{})
		expectSame(t, "problems", []string{}, problems(report))
		if tn.account("ann").ID != ann.ID || tn.account("bob").Email != "a@example.com" {
			t.Errorf("ann %+v, bob %+v", tn.account("ann"), tn.account("bob"))
		}
		report = tn.from(folk(person(t, "3", "cy", address), person(t, "1", "ann", other)), provision.SyncOptions{})
		expectSame(t, "problems when the one who had it left", []string{}, problems(report))
		expectSame(t, "active", []string{"ann", "cy"}, tn.withStatus(policy.StatusActive))
	})
}

// A sync sets and lifts its own block, and what it says of active alone is one event; for
// people whom it writes, and for those whom SCIM does.
func TestSyncStateAlone(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for i, owner := range []string{"sync", "scim"} {
			tn := newTenant(t, scoped{st, fmt.Sprint(i)}, `{}`)
			id := tn.as(owner).user(`{"userName":"ann","externalId":"1","active":true}`)
			in := folk(person(t, "1", "ann"), person(t, "2", "bob"))
			out := folk(provision.SyncUser{Content: content(t, "User", `{"userName":"ann","externalId":"1","active":false}`)}, person(t, "2", "bob"))
			unsaid := folk(provision.SyncUser{Content: content(t, "User", `{"userName":"ann","externalId":"1"}`)}, person(t, "2", "bob"))
			gone := folk(person(t, "2", "bob"))
			tn.from(in, provision.SyncOptions{})
			scim := func(active bool) { tn.set(id, fmt.Sprintf(`{"userName":"ann","externalId":"1","active":%t}`, active)) }
			steps := []struct {
				name   string
				do     func()
				want   policy.Status
				events int // of the account
			}{
				{"out", func() { tn.from(out, provision.SyncOptions{}) }, policy.StatusDisabled, 1},
				{"still out", func() { tn.from(out, provision.SyncOptions{}) }, policy.StatusDisabled, 0},
				{"in", func() { tn.from(in, provision.SyncOptions{}) }, policy.StatusActive, 1},
				{"out again", func() { tn.from(out, provision.SyncOptions{}) }, policy.StatusDisabled, 1},
				{"nothing is said of it", func() { tn.from(unsaid, provision.SyncOptions{}) }, policy.StatusActive, 1},
				{"gone", func() { tn.from(gone, provision.SyncOptions{}) }, policy.StatusDisabled, 1},
				{"back, and out", func() { tn.from(out, provision.SyncOptions{}) }, policy.StatusDisabled, 0},
				{"back", func() { tn.from(in, provision.SyncOptions{}) }, policy.StatusActive, 1},
				{"blocked by SCIM", func() { scim(false) }, policy.StatusDisabled, 1},
				{"in, which lifts nothing of SCIM's", func() { tn.from(in, provision.SyncOptions{}) }, policy.StatusDisabled, 0},
				{"out as well", func() { tn.from(out, provision.SyncOptions{}) }, policy.StatusDisabled, 0},
				{"SCIM lifts its own", func() { scim(true) }, policy.StatusDisabled, 0},
				{"and the sync its own", func() { tn.from(in, provision.SyncOptions{}) }, policy.StatusActive, 1},
			}
			for _, s := range steps {
				at := tn.lastEvent()
				s.do()
				tn.expectStatus("ann", s.want)
				n := 0
				for _, typ := range tn.events(at) {
					if typ == store.AccountDisabled || typ == store.AccountActivated || typ == store.AccountUpdated {
						n++
					}
				}
				if n != s.events {
					t.Errorf("%s of %s: events %v, want %d", s.name, owner, tn.events(at), s.events)
				}
			}
		}
	})
}

// People whom SCIM or logins know are the same people: by the immutable id first, also
// where their names differ, and by the name where there is no id.
func TestSyncMeetsKnownPeople(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"externalIdImmutable":true,"provisionOnFirstLogin":true}`)
		tn.user(`{"userName":"scim-id","externalId":"1"}`)
		tn.user(`{"userName":"scim-name"}`)
		tn.user(`{"userName":"scim-bound"}`)
		mustLogin(t, tn, provision.Identity{ID: "3", UserName: "scim-bound"})
		mustLogin(t, tn, provision.Identity{ID: "4", UserName: "jit-id"})
		mustLogin(t, tn, provision.Identity{UserName: "jit-name"})
		before := map[string]string{}
		for _, name := range []string{"scim-id", "scim-name", "scim-bound", "jit-id", "jit-name"} {
			before[name] = tn.account(name).ID
		}
		src := folk(person(t, "1", "one"), person(t, "2", "scim-name"), person(t, "3", "three"), person(t, "4", "four"), person(t, "5", "jit-name"))
		for range 2 {
			report := tn.from(src, provision.SyncOptions{})
			expectSame(t, "problems", []string{}, problems(report))
			expectSame(t, "created", 0, report.Users.Created)
		}
		for name, now := range map[string]string{"scim-id": "scim-id", "scim-name": "scim-name", "scim-bound": "scim-bound", "jit-id": "four", "jit-name": "jit-name"} {
			if a := tn.account(now); a.ID != before[name] {
				t.Errorf("%s is another account", name)
			}
		}
		// By now the sync knows their ids, also where it may not write them.
		src = folk(person(t, "1", "x1"), person(t, "2", "x2"), person(t, "3", "x3"), person(t, "4", "x4"), person(t, "5", "x5"))
		report := tn.from(src, provision.SyncOptions{})
		expectSame(t, "created of renamed ones", 0, report.Users.Created)
		expectSame(t, "active", 5, len(tn.withStatus(policy.StatusActive)))
	})
}

// Changes alone infer no absence: neither of people, nor of groups, nor of members of
// groups that they do not have.
func TestSyncChanges(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff,Ops"}`)
		tn.from(chained{
			users:  []provision.SyncUser{person(t, "1", "ann"), person(t, "2", "bob"), person(t, "3", "cy")},
			groups: []provision.SyncGroup{team(t, "g1", "Staff", "1", "2"), team(t, "g2", "Ops", "3")},
		}, provision.SyncOptions{})
		at := tn.lastEvent()
		report := tn.from(chained{}, provision.SyncOptions{Changes: true})
		expectSame(t, "nothing changed", provision.SyncReport{Changes: true, Problems: []provision.SyncProblem{}}, report)
		if n := tn.lastEvent(); n != at {
			t.Errorf("events %v", tn.events(at))
		}
		bob := tn.account("bob").ID
		report = tn.from(chained{
			users:  []provision.SyncUser{person(t, "2", "robert"), person(t, "4", "dan")},
			groups: []provision.SyncGroup{team(t, "g1", "Staff", "2", "4")},
		}, provision.SyncOptions{Changes: true})
		want := provision.SyncReport{
			Changes: true, Problems: []provision.SyncProblem{},
			Users:        provision.SyncCounts{Seen: 2, Created: 1, Updated: 1},
			Groups:       provision.SyncCounts{Seen: 1, Updated: 1},
			MembersAdded: 1, MembersRemoved: 1,
		}
		expectSame(t, "report", want, report)
		expectSame(t, "active", []string{"cy", "dan", "robert"}, tn.withStatus(policy.StatusActive)) // ann left the group
		if tn.account("robert").ID != bob {
			t.Error("bob was renamed and is another account")
		}
		// A group with the name of one that is not among the changes is another group.
		tn.from(chained{groups: []provision.SyncGroup{team(t, "g9", "Ops", "1")}}, provision.SyncOptions{Changes: true})
		expectSame(t, "groups of cy", []string{"Ops"}, groupNames(tn.account("cy")))
		// And a name that somebody has who is not among them stays theirs.
		report = tn.from(folk(person(t, "8", "cy")), provision.SyncOptions{Changes: true})
		expectSame(t, "problems", []string{"User 8 sync_name_taken"}, problems(report))
	})
}

// What is taken from very large groups is taken in bounded transactions, and at once.
func TestSyncTakesFromLargeGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const inline, crowd = 10, 47
		m := &meddled{Store: st}
		tn := newTenant(t, m, `{}`)
		tn.engine.Limits = provision.Limits{InlineMembers: inline, Inline: 5, Deprovision: -1}
		names := many(crowd)
		src := func(members ...string) listed {
			return listed{users: named(names...), groups: map[string][]string{"All": members, "Other": {"u000"}}}
		}
		tn.sync(src(names...), provision.SyncOptions{})
		tn.runOnce()
		all := tn.account("u005").Groups[0].ID
		tn.as("scim").join(tn.group("SCIM"), tn.account("u000").ResourceID)
		widest := func() (most int) {
			for _, n := range m.rows {
				most = max(most, n)
			}
			m.reset()
			return most
		}
		widest()
		tn.sync(src(names[:3]...), provision.SyncOptions{})
		if n := widest(); n > inline {
			t.Errorf("a transaction wrote %d memberships", n)
		}
		tn.runOnce()
		expectSame(t, "members", []string{"u000", "u001", "u002"}, tn.whoHas("All"))
		tn.sync(src(names...), provision.SyncOptions{})
		tn.runOnce()
		widest()
		tn.sync(listed{users: named(names...), groups: map[string][]string{"Other": {"u000"}}}, provision.SyncOptions{})
		if n := widest(); n > inline {
			t.Errorf("to delete a group, a transaction wrote %d memberships", n)
		}
		tn.runOnce()
		expectSame(t, "members of the deleted group", []string{}, tn.whoHas("All"))
		expectSame(t, "members of SCIM's", []string{"u000"}, tn.whoHas("SCIM"))
		if left := tn.staged(); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		if _, err := tn.dir.Get(t.Context(), "Group", all, 0); err == nil {
			t.Error("the group is there")
		}
	})
}

// whoHas returns the user names of the accounts that carry a group.
func (tn *tenant) whoHas(group string) []string {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	names := []string{}
	for _, a := range list {
		if slices.Contains(groupNames(a), group) {
			names = append(names, a.UserName)
		}
	}
	slices.Sort(names)
	return names
}
