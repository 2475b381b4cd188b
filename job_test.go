package provision_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// runUntilSettled runs the background work until no account is pending.
func (tn *tenant) runUntilSettled() {
	tn.t.Helper()
	after := tn.lastEvent()
	ctx, cancel := context.WithCancel(tn.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = tn.engine.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	finished := make(chan struct{})
	wg.Go(func() {
		for ctx.Err() == nil {
			list, err := tn.dir.Events(ctx, after, 0)
			if err != nil {
				return
			}
			for _, ev := range list {
				if ev.Type == store.JobFinished {
					close(finished)
					return
				}
				after = ev.Sequence
			}
		}
	})
	select {
	case <-finished:
	case <-time.After(30 * time.Second):
		tn.t.Fatal("the job does not finish")
	}
}

func (tn *tenant) countPending() int {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	n := 0
	for _, a := range list {
		if a.Pending {
			n++
		}
	}
	return n
}

// A change that touches more accounts than one transaction may is finished by
// the background work, and says so until then.
func TestLargeChangesBecomeJobs(t *testing.T) {
	changes := []struct {
		name string
		do   func(tn *tenant, group string)
	}{
		{"group renamed", func(tn *tenant, group string) { tn.rename(group, "Sales") }},
		{"group deleted", func(tn *tenant, group string) { tn.remove("Group", group) }},
		{"members replaced", func(tn *tenant, group string) {
			tn.change(group, func(d *provision.Draft) { d.ClearMembers() })
		}},
		{"policy edited", func(tn *tenant, _ string) { tn.setPolicy(`{"requiredGroups":"Board"}`) }},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				const people = 23
				tn := newTenant(t, st, `{"requiredGroups":"IT"}`)
				tn.engine.Limits = provision.Limits{Inline: 10, Batch: 5}
				users := make([]string, people)
				for i := range users {
					users[i] = tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
				}
				group := tn.group("IT", users...)
				if n := tn.countPending(); n != people {
					t.Errorf("%d accounts are pending, want %d", n, people)
				}
				tn.runUntilSettled()
				change.do(tn, group)
				tn.expectStatus("u7", policy.Active)
				if !tn.account("u7").Pending {
					t.Error("the account does not say that it is pending")
				}
				tn.runUntilSettled()
				for i := range users {
					tn.expectStatus(fmt.Sprintf("u%d", i), policy.Disabled)
				}
				if n := tn.countPending(); n != 0 {
					t.Errorf("%d accounts are pending after the job", n)
				}
			})
		})
	}
}

// A change in the middle of a job reaches the accounts that the job has passed.
func TestChangeDuringJob(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const people = 12
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 2}
		for i := range people {
			tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
		}
		tn.setPolicy(`{"company":"One"}`)
		for i := range 3 {
			if more, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || !more {
				t.Fatalf("batch %d: more %t, error %v", i, more, err)
			}
		}
		if n := tn.countPending(); n != people-6 {
			t.Errorf("%d accounts are pending after three batches of two, want %d", n, people-6)
		}
		tn.setPolicy(`{"company":"Two"}`)
		if n := tn.countPending(); n != people {
			t.Errorf("%d accounts are pending after a second edit, want %d", n, people)
		}
		tn.runUntilSettled()
		for i := range people {
			if got := tn.account(fmt.Sprintf("u%d", i)).Company; got != "Two" {
				t.Errorf("account u%d has company %q, want Two", i, got)
			}
		}
	})
}

func TestRetention(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Retention = 24 * time.Hour
		tn.user(ada)
		old := tn.lastEvent()
		tn.clock.add(48 * time.Hour)
		tn.user(`{"userName":"grace"}`)
		if err := provision.Prune(tn.engine, t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		list, err := tn.dir.Events(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Sequence != old+1 {
			t.Errorf("retained %d events from %v on, want 1 from %d on", len(list), list, old+1)
		}
	})
}
