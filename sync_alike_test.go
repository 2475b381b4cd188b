package provision_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// in lists the user names of who is in a group.
func (tn *tenant) in(group string) (names []string) {
	tn.t.Helper()
	for _, a := range tn.accounts("") {
		for _, g := range a.Groups {
			if g.Name == group {
				names = append(names, a.UserName)
			}
		}
	}
	slices.Sort(names)
	return names
}

// called is a user whom groups call by a key.
func called(t *testing.T, id, key string) provision.SyncUser {
	t.Helper()
	u := person(t, id, id)
	u.Key = key
	return u
}

// Of two whom a source calls alike nobody gets what is meant for the other: neither joins
// nor leaves, and all others do.
func TestSyncOfNamesThatAreAlike(t *testing.T) {
	for _, test := range []struct {
		name     string
		before   []string // keys of the members, when all keys were different
		after    []string
		want     string
		problems int
	}{
		{"neither joins", []string{"cat"}, []string{"k", "cat"}, "cat", 1},
		{"neither leaves", []string{"ann", "cat"}, []string{"k", "dan"}, "ann dan", 1},
		{"both stay", []string{"ann", "bob"}, []string{"k"}, "ann bob", 1},
		{"whoever is not named leaves", []string{"ann", "cat"}, []string{"cat"}, "cat", 0},
	} {
		tn := newTenant(t, memory.New(), `{}`)
		run := func(ann, bob string, members []string) provision.SyncReport {
			users := []provision.SyncUser{called(t, "ann", ann), called(t, "bob", bob), called(t, "cat", "cat"), called(t, "dan", "dan")}
			return tn.from(chained{users: users, groups: []provision.SyncGroup{team(t, "g", "team", members...)}}, provision.SyncOptions{})
		}
		run("ann", "bob", test.before)
		report := run("k", "k", test.after)
		if got := strings.Join(tn.in("team"), " "); got != test.want || report.ProblemCount != test.problems {
			t.Errorf("%s: in the group are %s, want %s; %+v", test.name, got, test.want, report.Problems)
		}
	}
}

// Among changes, whoever may be a member that nobody knows stays in the group, and the
// others leave it.
func TestSyncChangesKeepWhoMayBeUnknown(t *testing.T) {
	for _, test := range []struct {
		name     string
		members  []string
		mayBe    map[string]bool // nil: it is not said
		want     string
		problems int
	}{
		{"all are known", []string{"ann"}, map[string]bool{}, "ann", 0},
		{"one may be", []string{"dan", "?"}, map[string]bool{"bob": true}, "bob dan", 1},
		{"nobody may be", []string{"dan", "?"}, map[string]bool{}, "dan", 0},
		{"it is not said", []string{"dan", "?"}, nil, "ann bob cat dan", 1},
	} {
		tn := newTenant(t, memory.New(), `{}`)
		var users []provision.SyncUser
		for _, id := range []string{"ann", "bob", "cat", "dan"} {
			users = append(users, person(t, id, id))
		}
		tn.from(chained{users: users, groups: []provision.SyncGroup{team(t, "g", "team", "ann", "bob", "cat")}}, provision.SyncOptions{})
		g := team(t, "g", "team", test.members...)
		if test.mayBe != nil {
			g.MayBe = func(_ context.Context, id string) (bool, error) { return test.mayBe[id], nil }
		}
		report := tn.from(chained{groups: []provision.SyncGroup{g}}, provision.SyncOptions{Changes: true})
		if got := strings.Join(tn.in("team"), " "); got != test.want || report.ProblemCount != test.problems {
			t.Errorf("%s: in the group are %s, want %s; %+v", test.name, got, test.want, report.Problems)
		}
	}
}
