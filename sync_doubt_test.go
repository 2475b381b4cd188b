package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// several are n users of a source, whose ids have a prefix.
func several(t *testing.T, n int, prefix string) (list []provision.SyncUser, ids []string) {
	t.Helper()
	for i := range n {
		ids = append(ids, fmt.Sprint(prefix, i))
		list = append(list, person(t, ids[i], fmt.Sprintf("u%03d", i)))
	}
	return list, ids
}

// nameless is an entry of which neither id nor name can be read.
func nameless(t *testing.T) provision.SyncUser {
	t.Helper()
	return provision.SyncUser{Content: content(t, "User", `{"title":"T"}`), Key: "cn=x", Problem: "ldap_no_id"}
}

func namelessGroup(t *testing.T) provision.SyncGroup {
	t.Helper()
	return provision.SyncGroup{Content: content(t, "Group", `{}`), Key: "cn=g", Problem: "ldap_no_id"}
}

// Changes remove nobody from a group with members whom nobody knows, and the guard does
// not count anybody for it.
func TestSyncChangesOfUnknownMembers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for i, rules := range []string{`{}`, `{"requiredGroups":"Staff"}`} {
			tn := newTenant(t, scoped{st, fmt.Sprint(i)}, rules)
			users, ids := several(t, 30, "")
			tn.from(chained{users: users, groups: []provision.SyncGroup{team(t, "g", "Staff", ids...), team(t, "h", "Other", ids[:2]...)}}, provision.SyncOptions{})
			all := append(tn.withStatus(policy.StatusActive), "zoe")
			report := tn.from(chained{
				users:  []provision.SyncUser{person(t, "new", "zoe")},
				groups: []provision.SyncGroup{team(t, "g", "Staff", "hidden", "new"), team(t, "h", "Other", ids[0])},
			}, provision.SyncOptions{Changes: true})
			expectSame(t, "members added, removed, unknown", [3]int{1, 1, 1}, [3]int{report.MembersAdded, report.MembersRemoved, report.MembersUnknown})
			expectSame(t, "problems", []string{"Group g sync_members_unknown"}, problems(report))
			expectSame(t, "members", all, tn.whoHas("Staff"))
			expectSame(t, "active", all, tn.withStatus(policy.StatusActive))
			if report.Held {
				t.Error("the guard counts people who stay")
			}
			report = tn.from(chained{groups: []provision.SyncGroup{team(t, "g", "Staff", append(ids, "new", "hidden")...)}}, provision.SyncOptions{Changes: true})
			expectSame(t, "problems where nobody would leave", []string{}, problems(report))
			report = tn.from(chained{groups: []provision.SyncGroup{team(t, "g", "Staff", append(ids[:28], "new")...)}}, provision.SyncOptions{Changes: true})
			expectSame(t, "removed where all are known", 2, report.MembersRemoved)
		}
	})
}

// An entry without id and name may be anybody: nobody is absent, no group is deleted, no
// member is removed. Where there are no others the sync fails.
func TestSyncOfUnidentified(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		staff, rest := team(t, "g", "Staff", "1"), person(t, "1", "ann")
		tests := []struct {
			name   string
			users  []provision.SyncUser
			groups []provision.SyncGroup
			force  bool
			want   [4]int // unidentified; users, groups and members that are gone
			err    error
		}{
			{"none", []provision.SyncUser{rest}, []provision.SyncGroup{staff}, false, [4]int{0, 2, 1, 1}, nil},
			{"a person", []provision.SyncUser{rest, nameless(t)}, []provision.SyncGroup{staff}, false, [4]int{1, 0, 0, 0}, nil},
			{"one without a problem of the source", []provision.SyncUser{rest, problem(nameless(t), "")}, []provision.SyncGroup{staff}, false, [4]int{1, 0, 0, 0}, nil},
			{"a new name, without an id", []provision.SyncUser{rest, problem(person(t, "", "zoe"), "ldap_no_id")}, []provision.SyncGroup{staff}, false, [4]int{1, 0, 0, 0}, nil},
			{"somebody who has a name", []provision.SyncUser{rest, problem(person(t, "", "bob"), "ldap_no_id")}, []provision.SyncGroup{staff}, false, [4]int{0, 1, 1, 1}, nil},
			{"somebody who has an id", []provision.SyncUser{rest, problem(person(t, "9", "zoe"), "ldap_name")}, []provision.SyncGroup{staff}, false, [4]int{0, 2, 1, 1}, nil},
			{"by force", []provision.SyncUser{rest, nameless(t)}, []provision.SyncGroup{staff}, true, [4]int{1, 2, 1, 1}, nil},
			{"a group", []provision.SyncUser{rest}, []provision.SyncGroup{staff, namelessGroup(t)}, false, [4]int{1, 0, 0, 0}, nil},
			{"only people without", []provision.SyncUser{nameless(t), nameless(t)}, nil, false, [4]int{2, 0, 0, 0}, provision.ErrSyncUnidentified},
			{"only such, by force", []provision.SyncUser{nameless(t)}, nil, true, [4]int{1, 0, 0, 0}, provision.ErrSyncUnidentified},
			{"only groups without", []provision.SyncUser{rest}, []provision.SyncGroup{namelessGroup(t)}, false, [4]int{1, 0, 0, 0}, provision.ErrSyncUnidentified},
		}
		for i, test := range tests {
			tn := newTenant(t, scoped{st, fmt.Sprint(i)}, `{}`)
			users, ids := several(t, 3, "")
			users[1], users[2] = person(t, "1", "ann"), person(t, "2", "bob")
			tn.from(chained{users: users, groups: []provision.SyncGroup{team(t, "g", "Staff", ids[:2]...), team(t, "h", "Other", "2")}}, provision.SyncOptions{})
			options := provision.SyncOptions{Force: test.force}
			report, err := tn.dir.Sync(t.Context(), chained{users: test.users, groups: test.groups}, options)
			if !errors.Is(err, test.err) {
				t.Errorf("%s: %v, want %v", test.name, err, test.err)
			}
			got := [4]int{report.Unidentified, report.Users.Absent, report.Groups.Absent, report.MembersRemoved}
			expectSame(t, test.name, test.want, got)
			expectSame(t, test.name+": active", 3-test.want[1], len(tn.withStatus(policy.StatusActive)))
			expectSame(t, test.name+": in the group", 2-test.want[3], len(tn.whoHas("Staff")))
		}
	})
}

// A directory that shows no members of groups any more may not show them.
func TestSyncLostMembers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		var d served
		d.users = []provision.SyncUser{person(t, "1", "ann"), person(t, "2", "bob")}
		empty := []provision.SyncGroup{team(t, "g", "Staff"), team(t, "h", "Other")}
		tn.serve(&d)
		now := func(o provision.SyncOptions, want error) {
			t.Helper()
			if report, err := tn.engine.Directory("acme").As(tester).SyncNow(t.Context(), o); !errors.Is(err, want) {
				t.Errorf("%+v, %v, want %v", report, err, want)
			}
		}
		d.groups = empty
		now(provision.SyncOptions{}, nil) // there were none before
		d.groups = []provision.SyncGroup{team(t, "g", "Staff", "1"), team(t, "h", "Other", "1")}
		now(provision.SyncOptions{}, nil)
		d.groups = []provision.SyncGroup{team(t, "g", "Staff", "2"), team(t, "h", "Other")}
		now(provision.SyncOptions{}, nil)
		expectSame(t, "active", []string{"bob"}, tn.withStatus(policy.StatusActive))
		d.groups = empty
		now(provision.SyncOptions{}, provision.ErrSyncMembers)
		if last := tn.syncStatus().Last; last.Code != "sync_no_members" {
			t.Errorf("the last sync is %+v", last)
		}
		expectSame(t, "active after it failed", []string{"bob"}, tn.withStatus(policy.StatusActive))
		// Some groups may have members that are read in another way.
		some := []provision.SyncGroup{team(t, "g", "Staff", "2"), team(t, "h", "Other", "2"), team(t, "i", "Third", "2"), team(t, "j", "Fourth", "2"), team(t, "k", "Fifth", "2")}
		d.groups = some
		now(provision.SyncOptions{}, nil)
		for i := range 3 {
			d.groups = slices.Clone(some)
			for k := range d.groups[:i+1] {
				d.groups[k].Members = nil
			}
			want := error(nil)
			if i == 2 {
				want = provision.ErrSyncMembers
			}
			now(provision.SyncOptions{}, want)
			d.groups = some
			now(provision.SyncOptions{}, nil)
		}
		d.groups = empty
		now(provision.SyncOptions{}, provision.ErrSyncMembers)
		now(provision.SyncOptions{Force: true}, nil)
		expectSame(t, "active by force", []string{}, tn.withStatus(policy.StatusActive))
	})
}

// Where most people have other ids and nobody the same, the id is another attribute.
func TestSyncOfOtherIDs(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for i, test := range []struct {
			name               string
			before, other, old int // people; of them, those with other ids, and with the same
			fails              bool
		}{
			{"all", 5, 5, 0, true},
			{"more than half", 5, 3, 0, true},
			{"half", 6, 3, 0, false},
			{"few", 2, 2, 0, false},
			{"one has the same", 5, 4, 1, false},
		} {
			tn := newTenant(t, scoped{st, fmt.Sprint(i)}, `{}`)
			before, _ := several(t, test.before, "old")
			tn.from(folk(before...), provision.SyncOptions{})
			was := tn.snapshot()
			list, _ := several(t, test.other, "new")
			list = append(list, before[test.before-test.old:]...)
			list = append(list, person(t, "extra", "zoe"))
			for _, o := range []provision.SyncOptions{{DryRun: true}, {}} {
				if _, err := tn.dir.Sync(t.Context(), folk(list...), o); errors.Is(err, provision.ErrSyncIDs) != test.fails || !test.fails && err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
			}
			if !test.fails {
				continue
			}
			now := slices.DeleteFunc(tn.snapshot(), func(a provision.Account) bool { return a.UserName == "zoe" })
			expectSame(t, test.name, was, now)
			report := tn.from(folk(list...), provision.SyncOptions{Force: true})
			expectSame(t, test.name+": absent by force", test.before, report.Users.Absent)
			expectSame(t, test.name+": active by force", test.other+1, len(tn.withStatus(policy.StatusActive)))
		}
	})
}
