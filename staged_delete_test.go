package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// expectDeleted expects that nothing is left of a group that had the people as members.
func (tn *tenant) expectDeleted(group string, people []string) {
	tn.t.Helper()
	err := tn.engine.Store.View(tn.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		if _, err := r.Resource("Group", group, 0); !errors.Is(err, store.ErrNotFound) {
			tn.t.Errorf("the deleted group: %v", err)
		}
		rows, err := r.MembershipsOf(people...)
		for _, m := range rows {
			if m.Group == group {
				tn.t.Errorf("left is %+v", m)
			}
		}
		return err
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, a := range tn.everyAccount() {
		if a.Status == "active" || len(a.Groups) > 0 {
			tn.t.Errorf("%s is %s, in groups %v", a.UserName, a.Status, a.Groups)
		}
	}
	if left := tn.staged(); left != nil {
		tn.t.Errorf("%v are left", left)
	}
}

// A group of many members is deleted in sets of as many as one transaction writes, with
// one event.
func TestStagedDeletion(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, m, group, ids := stagedCrowd(t, st, 30, 20)
		parent := tn.group("Parent", group)
		before := tn.lastEvent()
		m.reset()
		if err := tn.dir.Delete(t.Context(), "Group", group, nil); err != nil {
			t.Fatal(err)
		}
		const updates = 1 + 1 + 1 + 7 + 1 + 7 // one that finds it large, a look for a stage, one that says so, sets, the last one, settling
		if m.n != updates || slices.Max(m.rows) > 3 {
			t.Errorf("%d updates wrote %v members, want %d of at most 3", m.n, m.rows, updates)
		}
		tn.runOnce()
		tn.expectDeleted(group, ids)
		deleted := 0
		for _, ev := range tn.events(before) {
			if ev == store.GroupDeleted {
				deleted++
			}
		}
		if deleted != 1 || len(tn.members(parent)) != 0 {
			t.Errorf("%d events say that it was deleted, its parent has the members %v", deleted, tn.members(parent))
		}
	})
}

// A deletion that ends at any step leaves the group with all its members, or nothing.
func TestStagedDeletionIsAllOrNothing(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		for _, failure := range stagedFailures() {
			t.Run(failure.name, func(t *testing.T) {
				tn, m, group, ids := stagedCrowd(t, scoped{st, failure.name}, 7, 7)
				for at, failed := 1, true; failed; at++ {
					var err error
					failed, err = failure.try(t, m, at, func(ctx context.Context) error {
						return tn.dir.Delete(ctx, "Group", group, nil)
					})
					_, missing := tn.dir.Get(t.Context(), "Group", group, 0)
					if missing == nil && err == nil {
						t.Errorf("step %d failed, the deletion did not, and did nothing", at)
					}
					if missing == nil {
						tn.expectMembers(group, ids)
					}
					tn.clock.add(2 * time.Minute)
					tn.runOnce()
					if missing != nil {
						tn.expectDeleted(group, ids)
						group = tn.group("IT", ids...)
						tn.runOnce()
					}
					tn.expectMembers(group, ids)
					if left := tn.staged(); left != nil {
						t.Errorf("after step %d failed, %v are left", at, left)
					}
					if at > 40 {
						t.Fatal("it does not end")
					}
				}
			})
		}
	})
}

// Somebody joins the group at each step of its deletion: it goes with all of them, or is
// refused as the version is another one.
func TestStagedDeletionBesideOthers(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		for _, conditional := range []bool{false, true} {
			for at, met := 1, true; met; at++ {
				tn, m, group, ids := stagedCrowd(t, scoped{st, fmt.Sprint(conditional, at)}, 8, 7)
				met = false
				m.before = func(n int) error {
					if n != at {
						return nil
					}
					met = true
					m.mu.Lock()
					m.before = nil
					m.mu.Unlock()
					_, err := tn.dir.Update(t.Context(), "Group", group, 0, func(d *provision.Draft) error {
						d.AddMember(ids[7])
						return nil
					})
					if errors.Is(err, provision.ErrNotFound) {
						err = nil
					}
					return err
				}
				err := tn.dir.Delete(t.Context(), "Group", group, func(r *provision.Resource) error {
					if conditional && r.Version != 1 {
						return provision.ErrVersion
					}
					return nil
				})
				tn.runOnce()
				switch {
				case err == nil:
					tn.expectDeleted(group, ids)
				case conditional && errors.Is(err, provision.ErrVersion):
					tn.expectMembers(group, ids)
				default:
					t.Errorf("step %d: %v", at, err)
				}
				if left := tn.staged(); left != nil {
					t.Errorf("step %d: %v are left", at, left)
				}
			}
		}
	})
}

// Somebody who gets the group by default at any step of its deletion has nothing of it
// left. Who joins by default makes no version of a group.
func TestStagedDeletionOfDefaultGroup(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		for at, met := 1, true; met; at++ {
			m := &meddled{Store: scoped{st, fmt.Sprint("default", at)}}
			tn := newTenant(t, m, `{"defaultGroups":["Everybody"]}`)
			tn.engine.Limits = provision.Limits{InlineMembers: 3, Deprovision: -1}
			tn.engine.Logger = slog.New(slog.DiscardHandler)
			group := tn.group("Everybody")
			for i := range 8 {
				tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i))
			}
			late := ""
			m.reset()
			met = false
			m.before = func(n int) error {
				if n == at && !met {
					met = true
					m.mu.Lock()
					m.before = nil
					m.mu.Unlock()
					late = tn.user(`{"userName":"late"}`)
				}
				return nil
			}
			if err := tn.dir.Delete(t.Context(), "Group", group, nil); err != nil {
				t.Fatalf("step %d: %v", at, err)
			}
			tn.runOnce()
			if late == "" {
				break
			}
			err := tn.engine.Store.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
				rows, err := r.MembershipsOf(late)
				if len(rows) > 0 {
					t.Errorf("step %d: left is %+v", at, rows)
				}
				return err
			})
			if err == nil {
				err = tn.dir.Delete(t.Context(), "User", late, nil)
			}
			if err != nil {
				t.Errorf("step %d: %v", at, err)
			}
		}
	})
}
