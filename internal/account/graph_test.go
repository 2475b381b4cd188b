package account_test

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/store"
)

// TestGraph fills a graph as a caller does who reads a level at a time.
func TestGraph(t *testing.T) {
	g := &account.Graph{}
	if g.Reports("ann", "IT") {
		t.Error("an empty graph knows something")
	}
	m := func(member, group string, source store.Source) store.Membership {
		return store.Membership{Member: member, Group: group, Source: source, Display: group}
	}
	expect := func(got []string, want ...string) {
		t.Helper()
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("groups to put next (-want +got):\n%s", diff)
		}
	}
	expect(g.Put([]store.Membership{
		m("ann", "A", "default"), m("ann", "A", "scim"), m("ann", "B", "scim"), m("ann", "Z", "scim"), m("bob", "Z", "jit"), m("eve", "M", "operator"),
	}), "A", "B", "Z", "M")
	expect(g.Put([]store.Membership{m("A", "B", "scim"), m("B", "C", "operator"), m("Z", "D", "sync"), m("Z", "E", "scim")}), "C", "D", "E")
	expect(g.Put([]store.Membership{m("D", "Z", "scim"), m("E", "F", "scim")}), "F")
	expect(g.Put(nil))
	for _, test := range []struct {
		user, groups string
	}{
		{"ann", "ABDEFZ"}, // and in C by an operator
		{"bob", "DEFZ"},
		{"eve", ""},
		{"aaa", ""},
		{"zoe", ""},
		{"A", ""}, // a group is no user
	} {
		for _, group := range "ABCDEFMZ" {
			if got := g.Reports(test.user, string(group)); got != strings.ContainsRune(test.groups, group) {
				t.Errorf("%s is reported in %c: %t", test.user, group, got)
			}
		}
	}
}

// TestGraphOfMany names each group once, however many they are.
func TestGraphOfMany(t *testing.T) {
	var rows []store.Membership
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("g", i))
	}
	for user := range 10 {
		for i := range 4 * (user + 1) { // each is in the groups of the one before, too
			rows = append(rows, store.Membership{Member: fmt.Sprint("u", user), Group: want[i], Source: store.SourceSCIM})
		}
	}
	g := &account.Graph{}
	if diff := gocmp.Diff(want, g.Put(rows)); diff != "" {
		t.Errorf("groups to put next (-want +got):\n%s", diff)
	}
	above := []store.Membership{{Member: "g3", Group: "g5", Source: store.SourceSCIM}, {Member: "g7", Group: "top", Source: store.SourceSCIM}}
	if diff := gocmp.Diff([]string{"top"}, g.Put(above)); diff != "" {
		t.Errorf("groups to put next (-want +got):\n%s", diff)
	}
	if g.Reports("u0", "top") || !g.Reports("u1", "top") {
		t.Error("who is in g7 is in the group above it, and nobody else")
	}
}
