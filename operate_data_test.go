package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// heldPages reads all held accounts, so many at a time.
func (tn *tenant) heldPages(size int) (all []provision.HeldAccount) {
	tn.t.Helper()
	for after := ""; ; {
		page, err := tn.dir.Held(tn.t.Context(), after, size)
		if err != nil {
			tn.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all, after = append(all, page...), page[len(page)-1].Account.ID
	}
}

// Held accounts say what they would lose, and since when and why; the list is as long as
// accounts are held.
func TestHeld(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff","roles":[{"groups":"Staff","role":"editor"}]}`)
		people := tn.people(13)
		staff := tn.group("Staff", people...)
		since := tn.clock.Now()
		tn.rename(staff, "Others")
		tn.clock.add(time.Minute)
		all := tn.heldPages(5)
		if len(all) != 13 {
			t.Fatalf("%d are held, want 13", len(all))
		}
		for _, h := range all {
			lost := []string{}
			for _, c := range h.Changes {
				lost = append(lost, c.Attribute)
			}
			expectSame(t, "would change", []string{"status", "held", "roles", "groups"}, lost)
			if !h.Account.Held || h.Status != policy.StatusDisabled || !h.Since.Equal(since) || h.Actor.Kind != "scim" || h.Resource == nil || h.Resource.ID != staff || len(h.Reasons) == 0 {
				t.Errorf("held %+v", h)
			}
		}
		if err := tn.operator().Release(t.Context(), all[0].Account.ID); err != nil {
			t.Fatal(err)
		}
		if err := tn.operator().Keep(t.Context(), all[1].Account.ID); err != nil {
			t.Fatal(err)
		}
		if err := tn.operator().DeleteAccount(t.Context(), all[2].Account.ID); err != nil {
			t.Fatal(err)
		}
		if got := tn.heldPages(4); len(got) != 10 || got[0].Account.ID != all[3].Account.ID {
			t.Errorf("%d are held, want 10", len(got))
		}
		tn.engine.Limits.Deprovision = 0
		tn.rename(staff, "Staff")
		if got := tn.heldPages(0); len(got) != 0 {
			t.Errorf("%d are held after the cause is gone", len(got))
		}
		if _, err := tn.engine.Directory("nobody").Held(t.Context(), "", 1); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of an unknown connection: %v", err)
		}
	})
}

// admins is a guard whose host has so many site admins, as it says now.
type admins struct{ n int }

func (a *admins) OtherAdmins(context.Context, string) (int, error) { return a.n, nil }

// What only the host has changed counts when accounts are derived again: one, those of a
// group, or all, also by a job.
func TestDeriveAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		inline int
		whose  func(account, group string) provision.Whose
		code   string
		again  bool // the last admin is derived
	}{
		{"the account", 500, func(account, _ string) provision.Whose { return provision.Whose{Account: account} }, "", true},
		{"the group", 500, func(_, group string) provision.Whose { return provision.Whose{Group: group} }, "", true},
		{"the group, by a job", 1, func(_, group string) provision.Whose { return provision.Whose{Group: group} }, "", true},
		{"all", 500, func(string, string) provision.Whose { return provision.Whose{} }, "", true},
		{"all, by a job", 1, func(string, string) provision.Whose { return provision.Whose{} }, "", true},
		{"both", 500, func(account, group string) provision.Whose { return provision.Whose{Account: account, Group: group} }, "argument_whose", false},
		{"nobody", 500, func(string, string) provision.Whose { return provision.Whose{Account: "nobody"} }, "not found", false},
		{"no group", 500, func(account, _ string) provision.Whose { return provision.Whose{Group: account} }, "not found", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"siteAdminGroups":"Boss"}`)
				guard := &admins{}
				tn.engine.Guard = guard
				id := tn.user(ada)
				outer := tn.group("Outer", tn.group("Inner", id, tn.user(`{"userName":"b"}`)))
				boss := tn.group("Boss", id)
				tn.leave(boss, id)
				if !tn.account("ada@example.com").SiteAdmin {
					t.Fatal("the last admin was not kept")
				}
				guard.n = 1
				tn.engine.Limits.Inline = test.inline
				err := tn.operator().DeriveAgain(t.Context(), test.whose(tn.account("ada@example.com").ID, outer))
				if got := codeOfRefusal(err); got != test.code {
					t.Errorf("error %q, want %q", got, test.code)
				}
				tn.runOnce()
				if got := tn.account("ada@example.com").SiteAdmin; got == test.again {
					t.Errorf("admin %t", got)
				}
				at := tn.lastEvent()
				_ = tn.operator().DeriveAgain(t.Context(), provision.Whose{Account: tn.account("ada@example.com").ID})
				if got := tn.events(at); len(got) != 0 && test.again {
					t.Errorf("where nothing follows there are events %v", got)
				}
			})
		})
	}
}

// Work that takes more than one transaction is listed while it goes on.
func TestJobs(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		jobs := func() (out []string) {
			list, err := tn.dir.Jobs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range list {
				if j.Started.IsZero() && j.Kind != provision.JobIndex || j.ID == "" {
					t.Errorf("job %+v", j)
				}
				out = append(out, fmt.Sprintf("%s %s %d/%d by %s", j.Kind, j.State, j.Done, j.Total, j.Actor.Kind))
			}
			return out
		}
		tn.people(7)
		expectSame(t, "at first", nil, jobs())
		tn.engine.Limits = provision.Limits{Inline: 2, Batch: 3}
		tn.setPolicy(`{"company":"Acme"}`)
		expectSame(t, "a job waits", []string{"derive waiting 0/7 by operator"}, jobs())
		tn.work(1)
		expectSame(t, "a job is under way", []string{"derive running 3/7 by operator"}, jobs())
		tn.runUntilSettled()
		expectSame(t, "it has ended", nil, jobs())
		src := stuck{listed: listed{t: t, users: named("ann")}, began: make(chan struct{}), goOn: make(chan struct{})}
		done := make(chan error, 1)
		d := tn.operator()
		go func() {
			_, err := d.Sync(context.WithoutCancel(t.Context()), src, provision.SyncOptions{})
			done <- err
		}()
		<-src.began
		expectSame(t, "a sync", []string{"sync running 0/0 by sync"}, jobs())
		close(src.goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		stop, cancel := context.WithCancel(t.Context())
		err := d.DeleteConnection(stop, func(provision.Progress) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		expectSame(t, "a deletion", []string{"offboard running 3/8 by operator"}, jobs())
		tn.clock.add(time.Hour)
		expectSame(t, "one that has stopped", []string{"offboard waiting 3/8 by operator"}, jobs())
		if err := d.DeleteConnection(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := tn.dir.Jobs(t.Context()); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of a connection that was deleted: %v", err)
		}
	})
}

// The totals of a preview are what saving does, with the guards.
func TestPreviewTotals(t *testing.T) {
	const before = `{"requiredGroups":"Staff","siteAdminGroups":"Boss"}`
	for _, test := range []struct {
		name, policy string
		others       int
		want         provision.PreviewTotals // but for Before and After
		few          bool
	}{
		{"nothing", before, 0, provision.PreviewTotals{}, false},
		{"one goes", `{"requiredGroups":["Most","Boss"],"siteAdminGroups":"Boss"}`, 0, provision.PreviewTotals{Changed: 1, Leaving: 1}, false},
		{"too many", `{"requiredGroups":"Few","siteAdminGroups":"Boss"}`, 0, provision.PreviewTotals{Changed: 16, Leaving: 16, Held: true}, false},
		{"no admin", `{"requiredGroups":"Staff"}`, 0, provision.PreviewTotals{Changed: 2, LastAdminKept: true}, true},
		{"no admin but those of the host", `{"requiredGroups":"Staff"}`, 2, provision.PreviewTotals{Changed: 2, OtherAdmins: 2}, false},
		{"no admin but one of the host", `{"requiredGroups":"Staff"}`, 1, provision.PreviewTotals{Changed: 2, OtherAdmins: 1}, true},
		{"admins leave", `{"requiredGroups":"Rest","siteAdminGroups":"Boss"}`, 0, provision.PreviewTotals{Changed: 2, Leaving: 2, LastAdminKept: true}, true},
		{"one admin", `{"requiredGroups":"Staff","siteAdminGroups":"First"}`, 0, provision.PreviewTotals{Changed: 1}, true},
		{"deleted", `{"requiredGroups":"Rest","siteAdminGroups":"Boss","deprovisionMethod":"delete"}`, 2, provision.PreviewTotals{Changed: 2, Leaving: 2, OtherAdmins: 2}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, before)
				tn.engine.Guard = &admins{test.others}
				people := tn.people(17)
				tn.group("Staff", people...)
				tn.group("Boss", people[:2]...)
				tn.group("First", people[0])
				tn.group("Few", people[16])
				tn.group("Rest", people[2:]...)
				tn.group("Most", people[:16]...)
				config, err := policy.Parse([]byte(test.policy))
				if err != nil {
					t.Fatal(err)
				}
				got, err := tn.dir.PreviewTotals(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				want := test.want
				want.Before = tn.counted()
				tn.setPolicy(test.policy)
				want.After = tn.counted()
				if diff := cmp.Diff(want, got); diff != "" || got.FewAdmins() != test.few {
					t.Errorf("few %t, totals (-want +got):\n%s", got.FewAdmins(), diff)
				}
			})
		})
	}
}
