package provision_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// looked is a store that notes which accounts updates look at.
type looked struct {
	store.Store
	accounts map[string]int // how often, by user name
}

func (l *looked) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return l.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, lookedTx{tx, l}) })
}

type lookedTx struct {
	store.Tx
	by *looked
}

func (t lookedTx) note(list ...*store.Account) {
	for _, a := range list {
		t.by.accounts[a.UserName]++
	}
}

func (t lookedTx) Account(id string) (*store.Account, error) {
	a, err := t.Tx.Account(id)
	if err == nil {
		t.note(a)
	}
	return a, err
}

func (t lookedTx) AccountOf(resource string) (*store.Account, error) {
	a, err := t.Tx.AccountOf(resource)
	if err == nil {
		t.note(a)
	}
	return a, err
}

func (t lookedTx) Accounts(q store.AccountQuery) ([]*store.Account, error) {
	list, err := t.Tx.Accounts(q)
	t.note(list...)
	return list, err
}

// A change of a group looks at the people below it, and at nobody else: by a rename,
// and by members that come or go, also of groups inside. Only they wait for the job.
func TestJobsOfSomePeople(t *testing.T) {
	const people, inside = 60, 24 // of whom half are in a nested group
	changes := []struct {
		name    string
		inline  int // members that are written at once
		do      func(tn *tenant, group, nested string, ids []string)
		touched func(i int) bool
		active  func(i int) bool
	}{
		{
			"renamed", 0,
			func(tn *tenant, group, _ string, _ []string) { tn.rename(group, "Sales") },
			func(i int) bool { return i < inside },
			func(int) bool { return false },
		},
		{
			"nested group leaves", 0,
			func(tn *tenant, group, nested string, _ []string) { tn.leave(group, nested) },
			func(i int) bool { return i < inside/2 },
			func(i int) bool { return i >= inside/2 && i < inside },
		},
		{
			"others come", 0,
			func(tn *tenant, group, _ string, ids []string) {
				tn.change(group, func(d *provision.Draft) {
					for _, id := range ids[40:] {
						d.AddMember(id)
					}
				})
			},
			func(i int) bool { return i >= 40 },
			func(i int) bool { return i < inside || i >= 40 },
		},
		{
			"replaced, staged", 4,
			func(tn *tenant, group, _ string, ids []string) {
				if err := tn.replaceMembers(group, ids[20:44]); err != nil {
					tn.t.Fatal(err)
				}
			},
			func(i int) bool { return i < 20 || i >= inside && i < 44 }, // those below the nested group too
			func(i int) bool { return i >= 20 && i < 44 },
		},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"requiredGroups":"IT"}`)
				by := &looked{Store: tn.engine.Store}
				var ids []string
				for i := range people {
					ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i)))
				}
				nested := tn.group("Nested", ids[:inside/2]...)
				group := tn.group("IT", append(ids[inside/2:inside:inside], nested)...)
				tn.engine.Limits = provision.Limits{Inline: 5, Batch: 7, Deprovision: -1, InlineMembers: change.inline}
				tn.engine.Logger = slog.New(slog.DiscardHandler)
				tn.engine.Store = by
				by.accounts = map[string]int{}

				change.do(tn, group, nested, ids)
				for i := range ids {
					if got := tn.account(fmt.Sprintf("u%02d", i)).Pending; got != change.touched(i) {
						t.Errorf("u%02d is pending: %t", i, got)
					}
				}
				pending := 0 // again, as they are listed
				for _, a := range tn.everyAccount() {
					if a.Pending {
						pending++
					}
				}
				tn.runUntilSettled()
				for i := range ids {
					name := fmt.Sprintf("u%02d", i)
					if got := by.accounts[name] > 0; got != change.touched(i) {
						t.Errorf("%s was looked at: %t", name, got)
					} else if got {
						pending--
					}
					if got := tn.account(name).Status == policy.StatusActive; got != change.active(i) {
						t.Errorf("%s is active: %t", name, got)
					}
				}
				if pending != 0 {
					t.Errorf("%d more were pending than are touched", pending)
				}
				if left := tn.staged(); left != nil {
					t.Errorf("%v are left", left)
				}
			})
		})
	}
}

// Several such changes, also one that touches everybody, make one job. The accounts
// are derived after the last of them, wherever it stood.
func TestJobsOfSomePeopleJoin(t *testing.T) {
	for batches := range 9 {
		for _, everybody := range []bool{false, true} {
			tn := newTenant(t, memory.New(), `{"requiredGroups":"A,B,C"}`)
			tn.engine.Logger = slog.New(slog.DiscardHandler)
			var ids []string
			for i := range 24 {
				ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i)))
			}
			a, b := tn.group("A", ids[:8]...), tn.group("B", ids[8:16]...)
			tn.group("C", ids[16:]...)
			tn.engine.Limits = provision.Limits{Inline: 2, Batch: 3, Deprovision: -1}
			tn.rename(a, "X")
			tn.workSome(batches)
			tn.rename(b, "Y")
			want := []string{"u16", "u23"}
			if everybody {
				tn.setPolicy(`{"requiredGroups":"Y"}`)
				want = []string{"u08", "u15"}
			}
			tn.workSome(batches)
			tn.rename(a, "Z")
			tn.runUntilSettled()
			var active []string
			for _, a := range tn.everyAccount() {
				if a.Status == policy.StatusActive {
					active = append(active, a.UserName)
				}
			}
			if slices.Sort(active); len(active) != 8 || active[0] != want[0] || active[7] != want[1] {
				t.Errorf("after %d batches, everybody %t: active are %v, want %v", batches, everybody, active, want)
			}
			if left := tn.staged(); left != nil {
				t.Errorf("%v are left", left)
			}
		}
	}
}

// workSome does some batches of a job, or all if there are fewer.
func (tn *tenant) workSome(batches int) {
	tn.t.Helper()
	for range batches {
		if _, err := provision.Work(tn.engine, tn.t.Context(), "acme"); err != nil {
			tn.t.Fatal(err)
		}
	}
}

// A fifth of all active accounts may go, not of those whom a job meets.
func TestJobsOfSomePeopleAreGuarded(t *testing.T) {
	for leaving, held := range map[int]bool{12: false, 13: true} { // of 60
		onEveryStore(t, func(t *testing.T, st store.Store) {
			tn := newTenant(t, st, `{"requiredGroups":"A,B"}`)
			tn.engine.Logger = slog.New(slog.DiscardHandler)
			var ids []string
			for i := range 60 {
				ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i)))
			}
			a := tn.group("A", ids[:leaving]...)
			tn.group("B", ids[leaving:]...)
			tn.engine.Limits = provision.Limits{Inline: 4, Batch: 7, Deprovision: 5}
			tn.rename(a, "Z")
			tn.runUntilSettled()
			if got := len(tn.held()); got != 0 != held || held && got != leaving {
				t.Errorf("%d leave, %d are held, want all: %t", leaving, got, held)
			}
			if got := tn.count(policy.StatusActive); held && got != 60 || !held && got != 60-leaving {
				t.Errorf("%d leave, %d are active", leaving, got)
			}
		})
	}
}
