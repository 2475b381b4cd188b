package provision_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// tryJoin adds members to a group, and returns the one that nests groups too deep.
func (tn *tenant) tryJoin(group string, members ...string) (deep string) {
	tn.t.Helper()
	_, err := tn.dir.Update(tn.t.Context(), "Group", group, 0, func(d *provision.Draft) error {
		for _, m := range members {
			d.AddMember(m)
		}
		return nil
	})
	var limit *provision.LimitError
	if errors.As(err, &limit) {
		if limit.Limit != "Limits.Nesting" || limit.Max != tn.engine.Limits.Nesting || limit.Member == "" {
			tn.t.Errorf("LimitError %+v", limit)
		}
		return limit.Member
	}
	if err != nil {
		tn.t.Fatal(err)
	}
	return ""
}

// groups makes empty groups.
func (tn *tenant) groups(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = tn.group(fmt.Sprintf("g%04d", i))
	}
	return ids
}

// Each case nests pairs of groups, a letter each: the first of a pair is put into
// the second. The last pair is refused where it says so.
func TestNestingLimit(t *testing.T) {
	for _, test := range []struct {
		name    string
		pairs   []string // with a limit of 4
		refused bool
	}{
		{"upwards", []string{"ab", "bc", "cd", "de"}, true},
		{"downwards", []string{"de", "cd", "bc", "ab"}, true},
		{"two halves", []string{"ab", "de", "bd"}, false},
		{"two halves and more", []string{"ab", "bc", "de", "cd"}, true},
		{"as deep as it may be", []string{"ab", "bc", "cd"}, false},
		{"beside a short way", []string{"ab", "bc", "cd", "ad", "de"}, true},
		{"a longer way beside a short one", []string{"ae", "ab", "bc", "cd", "de"}, true},
		{"wide, not deep", []string{"ab", "cb", "db", "eb", "fb", "bg", "bh", "bi", "bj"}, false},
		{"in itself", []string{"aa"}, false},
		{"in itself at the top", []string{"ab", "bc", "cd", "dd"}, false},
		{"a ring", []string{"ab", "bc", "cd", "da"}, false},
		{"in each other", []string{"ab", "ba", "bc", "cb", "cd", "dc"}, false},
		{"a ring of five", []string{"ab", "bc", "cd", "de"}, true},
		{"below a ring", []string{"ab", "bc", "cd", "da", "ea"}, true},
		{"above a ring", []string{"ab", "bc", "cd", "da", "ae"}, true},
		{"below a small ring", []string{"ab", "ba", "cb", "dc"}, false},
		{"far below a small ring", []string{"ab", "ba", "cb", "dc", "ed"}, true},
		{"a ring joins two chains", []string{"ab", "cd", "bd", "da"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.engine.Limits.Nesting = 4
				ids := tn.groups(10)
				of := func(letter byte) string { return ids[letter-'a'] }
				for i, pair := range test.pairs {
					want := ""
					if last := i == len(test.pairs)-1; last && test.refused {
						want = of(pair[0])
					}
					at := tn.lastEvent()
					if got := tn.tryJoin(of(pair[1]), of(pair[0])); got != want {
						t.Fatalf("pair %s: refused because of %q, want %q", pair, got, want)
					}
					if stored := tn.lastEvent() > at; stored != (want == "") {
						t.Errorf("pair %s: something was stored: %t", pair, stored)
					}
				}
			})
		})
	}
}

// A request that moves groups is looked at as a whole, and one of several members
// is named.
func TestNestingOfOneRequest(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	tn.engine.Limits.Nesting = 3
	g := tn.groups(6)
	user := tn.user(ada)
	tn.join(g[1], g[0])
	tn.join(g[2], g[1])
	if got := tn.tryJoin(g[3], user, g[4], g[2]); got != g[2] {
		t.Errorf("refused because of %q, want %q", got, g[2])
	}
	if n := len(tn.members(g[3])); n != 0 {
		t.Errorf("%d members of a refused request", n)
	}
	tn.change(g[2], func(d *provision.Draft) { // a longer chain first, then a short one
		d.AddMember(g[5])
		d.RemoveMember(g[1])
	})
	tn.join(g[3], g[2])
	c := content(t, "Group", `{"displayName":"new"}`)
	_, err := tn.dir.Create(t.Context(), "Group", 0, func(d *provision.Draft) error {
		d.Write(c)
		d.AddMember(g[3])
		return nil
	})
	var limit *provision.LimitError
	if !errors.As(err, &limit) || limit.Member != g[3] {
		t.Errorf("a new group above: %v", err)
	}
	if err := tn.dir.Via(store.SourceOperator).Delete(t.Context(), "Group", g[2], nil); err != nil {
		t.Fatal(err)
	}
	if got := tn.tryJoin(g[5], g[3]); got != "" {
		t.Errorf("refused because of %q after the chain was cut", got)
	}
}

// On random groups that are not in each other, a request is refused where the
// longest chain would be too long, and only there.
func TestNestingOfRandomGroups(t *testing.T) {
	for seed := range uint64(20) {
		const groups, most = 12, 4
		random := rand.New(rand.NewPCG(seed, 1))
		tn := newTenant(t, memory.New(), `{}`)
		tn.engine.Limits.Nesting = most
		ids := tn.groups(groups)
		in := map[int][]int{} // by member
		var height func(int) int
		height = func(i int) (n int) {
			for _, group := range in[i] {
				n = max(n, height(group))
			}
			return n + 1
		}
		for range 60 {
			member := random.IntN(groups - 1)
			group := member + 1 + random.IntN(groups-member-1)
			if slices.Contains(in[member], group) {
				continue
			}
			in[member] = append(in[member], group)
			longest := 0
			for i := range groups {
				longest = max(longest, height(i))
			}
			refused := tn.tryJoin(ids[group], ids[member]) != ""
			if refused != (longest > most) {
				t.Fatalf("seed %d: %d into %d of %v: refused %t, the longest chain would have %d", seed, member, group, in, refused, longest)
			}
			if refused {
				in[member] = in[member][:len(in[member])-1]
			}
		}
	}
}

// A sync leaves a group out that would be nested too deep, says so, and goes on.
// What only moves is not too deep.
func TestNestingOfSync(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Nesting = 3
		groups := map[string][]string{"a": {"ada"}, "b": {"a"}, "c": {"b"}, "d": {"c"}, "e": {"ada"}}
		report := tn.sync(listed{users: named("ada"), groups: groups}, provision.SyncOptions{})
		if len(report.Problems) != 1 || report.Problems[0].Code != "sync_too_deep" || report.MembersAdded != 4 {
			t.Errorf("report %+v, want one problem and four members", report)
		}
		groups = map[string][]string{"d": {"ada"}, "c": {"d"}, "b": {"c"}, "a": {}, "e": {"ada"}} // upside down
		report = tn.sync(listed{users: named("ada"), groups: groups}, provision.SyncOptions{})
		if report.ProblemCount != 0 {
			t.Errorf("problems of a move: %+v", report.Problems)
		}
		expectSame(t, "groups", []string{"b", "c", "d", "e"}, slices.Sorted(slices.Values(groupNames(tn.account("ada")))))
	})
}

// An import that nests groups too deep names the group and the member.
func TestNestingOfImport(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	tn.engine.Limits.Nesting = 2
	var limit *provision.LimitError
	src := scimsync.JSONLines(strings.NewReader(`{"id":"a","displayName":"a"}
{"id":"b","displayName":"b","members":[{"value":"a"}]}
{"id":"c","displayName":"c","members":[{"value":"b"}]}
`))
	if err := tn.dir.Import(t.Context(), src, nil); !errors.As(err, &limit) || limit.Member != "b" {
		t.Errorf("Import returned %v", err)
	}
}

// nestingCost counts what a store is asked about groups.
type nestingCost struct {
	store.Store
	reads int // calls
	asked int // groups and users that were asked about
}

func (c *nestingCost) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return c.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, nestingTx{tx, c}) })
}

type nestingTx struct {
	store.Tx
	cost *nestingCost
}

func (tx nestingTx) MembershipsOf(members ...string) ([]store.Membership, error) {
	tx.cost.reads, tx.cost.asked = tx.cost.reads+1, tx.cost.asked+len(members)
	return tx.Tx.MembershipsOf(members...)
}

func (tx nestingTx) Ancestors(members ...string) ([]store.Membership, error) {
	return store.Ancestors(tx.MembershipsOf, members...)
}

func (tx nestingTx) GroupsIn(groups ...string) ([]store.Membership, error) {
	tx.cost.reads, tx.cost.asked = tx.cost.reads+1, tx.cost.asked+len(groups)
	return tx.Tx.GroupsIn(groups...)
}

// To derive a member costs what its different groups cost, however many ways lead to
// them: each is asked about once, and a level of them at a time.
func TestCostOfNesting(t *testing.T) {
	for _, test := range []struct {
		name          string
		nest          func(tn *tenant, g []string) (levels int)
		reads, beyond int // at most: calls for each level; asked about beyond the groups
	}{
		{"a chain", func(tn *tenant, g []string) int {
			for i := range len(g) - 1 {
				tn.join(g[i+1], g[i])
			}
			return len(g)
		}, 1, 1},
		{"diamonds", func(tn *tenant, g []string) int { // 2^(n/3) ways
			for i := 0; i+3 < len(g); i += 3 {
				tn.join(g[i+1], g[i])
				tn.join(g[i+2], g[i])
				tn.join(g[i+3], g[i+1])
				tn.join(g[i+3], g[i+2])
			}
			return 2*(len(g)/3) + 1
		}, 1, 1},
		{"all in all above", func(tn *tenant, g []string) int {
			for i := range g {
				for j := range i {
					tn.join(g[i], g[j])
				}
			}
			return 2
		}, 1, 1},
		{"a ring", func(tn *tenant, g []string) int {
			for i := range g {
				tn.join(g[(i+1)%len(g)], g[i])
			}
			return len(g)
		}, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			cost := &nestingCost{Store: memory.New()}
			tn := newTenant(t, cost, `{"siteAdminGroups":["nobody"]}`)
			tn.engine.Limits.Nesting = 1000
			const groups = 61
			g := tn.groups(groups)
			levels := test.nest(tn, g)
			user := tn.user(ada)
			cost.reads, cost.asked = 0, 0
			tn.join(g[0], user)
			if most := levels + 2; cost.reads > most {
				t.Errorf("%d reads for %d levels", cost.reads, levels)
			}
			if cost.asked > groups+test.beyond {
				t.Errorf("%d were asked about, of %d groups and a user", cost.asked, groups)
			}
			if n := len(tn.account("ada@example.com").Groups); n != groups {
				t.Errorf("the account carries %d groups, want %d", n, groups)
			}
		})
	}
}

// To look how deep a group is nested reads no further than the limit, and each group
// once; a user who becomes a member costs nothing.
func TestCostOfNestingLimit(t *testing.T) {
	cost := &nestingCost{Store: memory.New()}
	tn := newTenant(t, cost, `{}`)
	tn.engine.Limits.Nesting = 10_000
	g := tn.groups(302)
	for i := range 299 { // the last two are empty
		tn.join(g[i+1], g[i])
	}
	tn.engine.Limits.Nesting = 100 // stored before there was a limit
	for _, test := range []struct {
		name          string
		group, member string
		refused       bool
		reads         int
	}{
		{"below", g[0], g[300], true, 100},
		{"above", g[300], g[299], true, 100},
		{"in the middle", g[250], g[300], false, 51},
		{"a short way beside the long one", g[250], g[0], false, 100},
		{"a way that is not short", g[250], g[60], true, 100},
		{"a ring of too many", g[0], g[299], true, 100},
	} {
		cost.reads, cost.asked = 0, 0
		if got := tn.tryJoin(test.group, test.member) != ""; got != test.refused {
			t.Errorf("%s: refused %t, want %t", test.name, got, test.refused)
		}
		if cost.reads > test.reads {
			t.Errorf("%s: %d reads, want at most %d", test.name, cost.reads, test.reads)
		}
	}
	user := tn.user(ada)
	cost.reads = 0
	tn.join(g[301], user)
	if cost.reads > 3 {
		t.Errorf("%d reads for a user", cost.reads)
	}
	tn.join(g[0], user)
	if n := len(tn.account("ada@example.com").Groups); n != 301 {
		t.Errorf("an account in the chain of before carries %d groups, want 301", n)
	}
}
