package provision_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// history is what an identity provider does to one user or group, in order.
type history struct {
	name  string
	steps []step
}

// step is one request; needs names the objects that must exist before.
type step struct {
	needs []string
	do    func(tn *tenant, ids map[string]string)
}

// randomHistories makes users that come, change and are blocked and unblocked,
// and groups, nested too, that gain, lose and are renamed.
func randomHistories(r *rand.Rand) []history {
	const users, groups = 6, 5
	names := []string{"IT", "Sales", "Support", "Admins", "Board"}
	var out []history
	for i := range users {
		name := fmt.Sprintf("u%d", i)
		h := history{name: name, steps: []step{{do: func(tn *tenant, ids map[string]string) {
			ids[name] = tn.user(fmt.Sprintf(`{"userName":%q,"active":true}`, name))
		}}}}
		for range r.IntN(4) {
			body := fmt.Sprintf(`{"userName":%q,"active":%t,"title":"t%d"}`, name, r.IntN(2) == 0, r.IntN(3))
			h.steps = append(h.steps, step{do: func(tn *tenant, ids map[string]string) { tn.set(ids[name], body) }})
		}
		out = append(out, h)
	}
	for i := range groups {
		name := fmt.Sprintf("g%d", i)
		title := fmt.Sprintf("%s-%d", names[i], i)
		h := history{name: name, steps: []step{{do: func(tn *tenant, ids map[string]string) { ids[name] = tn.group(title) }}}}
		for range 3 + r.IntN(5) {
			h.steps = append(h.steps, randomGroupStep(r, name, i, users, names))
		}
		if r.IntN(5) == 0 {
			h.steps = append(h.steps, step{do: func(tn *tenant, ids map[string]string) { tn.remove("Group", ids[name]) }})
		}
		out = append(out, h)
	}
	return out
}

func randomGroupStep(r *rand.Rand, name string, number, users int, names []string) step {
	member := fmt.Sprintf("u%d", r.IntN(users))
	switch r.IntN(5) {
	case 0:
		// Each group has its own number, so names never collide.
		title := fmt.Sprintf("%s-%d", names[r.IntN(len(names))], number)
		return step{do: func(tn *tenant, ids map[string]string) { tn.rename(ids[name], title) }}
	case 1:
		return step{needs: []string{member}, do: func(tn *tenant, ids map[string]string) { tn.leave(ids[name], ids[member]) }}
	case 2:
		if number > 0 {
			member = fmt.Sprintf("g%d", r.IntN(number))
		}
	}
	return step{needs: []string{member}, do: func(tn *tenant, ids map[string]string) {
		_, err := tn.dir.Update(tn.t.Context(), "Group", ids[name], 0, func(d *provision.Draft) error {
			d.AddMember(ids[member])
			return nil
		})
		if err != nil && member[0] == 'u' {
			tn.t.Error(err)
		}
	}}
}

// play carries the histories out in a random order that keeps each one's own
// order, and returns what the accounts are in the end.
func play(t *testing.T, st store.Store, r *rand.Rand, policyJSON string, histories []history) map[string]string {
	t.Helper()
	tn := newTenant(t, st, policyJSON)
	tn.engine.Limits.Deprovision = -1      // who is one too many is a matter of order, too
	root := tn.user(`{"userName":"root"}`) // which admin is the last is a matter of order
	tn.group("IT-root", root)
	tn.group("Admins-root", root)
	ids := map[string]string{}
	next := make([]int, len(histories))
	for {
		var ready []int
		for i, h := range histories {
			if next[i] < len(h.steps) && !slices.ContainsFunc(h.steps[next[i]].needs, func(n string) bool { return ids[n] == "" }) {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			break
		}
		i := ready[r.IntN(len(ready))]
		histories[i].steps[next[i]].do(tn, ids)
		next[i]++
	}
	list, err := tn.dir.Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range list {
		status := a.Status
		if status == policy.StatusStaged {
			// Whether somebody who is out was in before is a matter of history.
			status = policy.StatusDisabled
		}
		groups := groupNames(a)
		slices.Sort(groups)
		out[a.UserName] = fmt.Sprint(status, a.SiteAdmin, a.ReadOnlySiteAdmin, a.Roles, groups, a.Authentication)
	}
	return out
}

// Whatever the order in which the requests for different objects arrive, the
// accounts end the same, on every store. A group that is deleted before another
// takes it in is the one order that a reference forbids, so nesting happens
// only into groups with a greater number and deletions are kept.
func TestConvergence(t *testing.T) {
	const policyJSON = `{"requiredGroups":"IT*,Support*","excludedGroups":"Board*","siteAdminGroups":"Admins*",
		"readOnlySiteAdminGroups":"Sales*","passwordGroups":"Support*","roles":[{"groups":"Sales*","role":"seller"}]}`
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		histories := randomHistories(r)
		want := play(t, memory.New(), r, policyJSON, histories)
		for i := range 6 {
			var st store.Store = memory.New()
			if i == 0 {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					if diff := cmp.Diff(want, play(t, st, r, policyJSON, histories)); diff != "" {
						t.Errorf("seed %d: accounts differ (-first order +this order):\n%s", seed, diff)
					}
				})
				continue
			}
			if diff := cmp.Diff(want, play(t, st, r, policyJSON, histories)); diff != "" {
				t.Fatalf("seed %d: accounts differ (-first order +this order):\n%s", seed, diff)
			}
		}
	}
}
