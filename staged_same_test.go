package provision_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// Staged or not, the same changes make the same members, accounts and events.
func TestStagedIsSame(t *testing.T) {
	for seed := range uint64(30) {
		for _, inline := range []int{0, 4} {
			if seed > 1 {
				sameStory(t, memory.New(), seed, inline)
				continue
			}
			onOwnStores(t, func(t *testing.T, st store.Store) {
				sameStory(t, st, seed, inline)
			})
		}
	}
}

func sameStory(t *testing.T, st store.Store, seed uint64, inline int) {
	t.Helper()
	want := story(t, scoped{st, fmt.Sprint("written", seed, inline)}, seed, provision.Limits{Inline: inline})
	got := story(t, scoped{st, fmt.Sprint("staged", seed, inline)}, seed, provision.Limits{Inline: inline, InlineMembers: 1 + int(seed%3)})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("seed %d, inline %d (-written +staged):\n%s", seed, inline, diff)
	}
}

// story makes random changes of groups in groups and returns what came of them, with
// names for ids.
func story(t *testing.T, st store.Store, seed uint64, limits provision.Limits) (told []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // tests must be repeatable
	tn := newTenant(t, st, `{"requiredGroups":"G0,G1","groupAdminGroups":"G2"}`)
	tn.engine.Limits = limits
	tn.engine.Limits.Deprovision = -1
	tn.engine.Logger = slog.New(slog.DiscardHandler)
	tn.engine.Rand = rand.NewChaCha8([32]byte{byte(seed)}) // all ids are made before anything is staged
	var ids []string
	names := map[string]string{}
	for i := range 12 {
		ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i)))
		names[ids[i]] = fmt.Sprintf("u%02d", i)
	}
	for i := range 4 {
		ids = append(ids, tn.group(fmt.Sprintf("G%d", i)))
		names[ids[12+i]] = fmt.Sprintf("G%d", i)
	}
	some := func() []string {
		list := make([]string, 1+rng.IntN(9))
		for i := range list {
			list[i] = ids[rng.IntN(len(ids))]
		}
		return list
	}
	for range 25 {
		group, members, more := ids[12+rng.IntN(4)], some(), some()
		via := tn.dir
		if rng.IntN(3) == 0 {
			via = tn.dir.Via(store.SourceOperator)
		}
		kind := rng.IntN(5)
		_, err := via.Update(t.Context(), "Group", group, 0, func(d *provision.Draft) error {
			switch kind {
			case 0:
				d.SetMembers(members)
			case 1:
				for _, id := range members {
					d.AddMember(id)
				}
			case 2:
				for _, id := range members {
					d.RemoveMember(id)
				}
			case 3:
				d.ClearMembers()
				for _, id := range members {
					d.AddMember(id)
				}
				for _, id := range more {
					d.RemoveMember(id)
				}
			case 4:
				d.SetMembers(members)
				is, err := d.Members()
				if err == nil && len(is) > 2 {
					d.RemoveMember(is[0].Member)
				}
				return err
			}
			return nil
		})
		told = append(told, fmt.Sprint("error ", err))
		if rng.IntN(4) == 0 {
			tn.runOnce()
		}
	}
	gone := map[string]bool{}
	for _, i := range rng.Perm(4)[:2] {
		gone[ids[12+i]] = true
		if err := tn.dir.Delete(t.Context(), "Group", ids[12+i], nil); err != nil {
			t.Fatal(err)
		}
	}
	tn.runOnce()
	if left := tn.staged(); left != nil {
		t.Errorf("%v are left", left)
	}
	events, err := tn.dir.Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	accounts := map[string]string{}
	for _, a := range tn.everyAccount() {
		accounts[a.ID] = a.UserName
		told = append(told, fmt.Sprint(a.UserName, " ", a.Status, " ", groupNames(a), " pending ", a.Pending))
	}
	for _, id := range ids[12:] {
		if gone[id] {
			continue
		}
		var list []string
		for id := range tn.members(id) {
			list = append(list, names[id])
		}
		slices.Sort(list)
		told = append(told, names[id]+": "+strings.Join(list, " "))
	}
	var sets []string
	for _, ev := range events {
		text := fmt.Sprint(ev.Type, " ", accounts[ev.AccountID])
		for _, c := range ev.Changes {
			text += fmt.Sprintf(" %s %s %s", c.Attribute, c.Before, c.After)
		}
		sets = append(sets, text)
	}
	return append(told, sets...)
}
