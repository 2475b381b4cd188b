package provision_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// work does batches of the job, each of which leaves something.
func (tn *tenant) work(batches int) {
	tn.t.Helper()
	for i := range batches {
		if more, err := provision.Work(tn.engine, tn.t.Context(), "acme"); err != nil || !more {
			tn.t.Fatalf("batch %d: more %t, error %v", i, more, err)
		}
	}
}

// Once all accounts were looked at, only those wait that are to gain something.
func TestOnlyThoseLeftWait(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		users := tn.people(9)
		tn.group("A", users[2], users[6])
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 5}
		tn.setPolicy(`{"roles":[{"groups":"A","role":"one"}]}`)
		at := tn.lastEvent()
		tn.work(2)
		if n := tn.countPending(); n != 2 || !tn.account("u2").Pending || !tn.account("u6").Pending {
			t.Errorf("%d accounts are pending, want u2 and u6", n)
		}
		tn.runUntilSettled()
		if n := tn.countEvents(at, store.AccountUpdated); n != 2 || tn.countPending() != 0 {
			t.Errorf("%d accounts changed, %d are pending; want 2, 0", n, tn.countPending())
		}
	})
}

// More accounts than a job lists are derived in the same order: who loses, then
// who gains.
func TestJobOfMany(t *testing.T) {
	tests := []struct {
		name  string
		limit int
		held  bool
	}{
		{name: "held", held: true},
		{name: "not held", limit: 10_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const many = 2100
			tn := newTenant(t, memory.New(), `{"requiredGroups":"Old"}`)
			tn.engine.Limits = provision.Limits{Inline: 3 * many, Deprovision: test.limit}
			users := tn.people(2*many + 1)
			tn.group("Old", users[:many]...)
			tn.group("New", users[many:2*many]...)
			tn.engine.Limits.Inline = 1
			tn.setPolicy(`{"requiredGroups":"New"}`)
			at := tn.lastEvent()
			tn.work(2*many/500 + 1)
			if n := tn.countPending(); n != 2*many+1 {
				t.Errorf("%d accounts are pending before anybody was derived, want all %d", n, 2*many+1)
			}
			tn.runUntilSettled()
			lost := store.AccountDisabled
			if test.held {
				lost = store.AccountHeld
			}
			want := []store.EventType{lost, store.AccountUpdated, store.AccountActivated, store.JobFinished}
			if !test.held {
				want = []store.EventType{lost, store.AccountActivated, store.JobFinished}
			}
			if n, active := tn.countEvents(at, lost), tn.count(policy.StatusActive); n != many || !test.held && active != many || test.held && active != 2*many {
				t.Errorf("%d events %s, %d accounts are active", n, lost, active)
			}
			seen := map[store.EventType]int{} // where each type begins
			for _, typ := range tn.events(at) {
				if _, ok := seen[typ]; !ok {
					seen[typ] = len(seen)
				}
			}
			for i, typ := range want {
				if n, ok := seen[typ]; !ok || n != i {
					t.Errorf("the events are %v, want %v", seen, want)
					break
				}
			}
			if n := tn.countPending(); n != 0 {
				t.Errorf("%d accounts are pending in the end", n)
			}
		})
	}
}

// A batch that writes ends early, so that other changes need not wait long.
func TestWritingBatchesAreSmall(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.people(250)
		tn.engine.Limits.Inline = 1
		tn.setPolicy(`{"company":"Acme"}`)
		at := tn.lastEvent()
		for _, want := range []int{100, 200} {
			tn.work(1)
			if n := tn.countEvents(at, store.AccountUpdated); n != want {
				t.Errorf("%d accounts have changed, want %d", n, want)
			}
		}
	})
}

// What a job writes itself counts for what it reads next.
func TestJobReadsWhatItWrote(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"defaultGroups":["Club"]}`)
		tn.people(4)
		tn.engine.Limits = provision.Limits{Inline: 1}
		club := tn.group("Club")
		tn.runUntilSettled()
		for i := range 4 {
			if got := tn.account(fmt.Sprintf("u%d", i)).Groups; len(got) != 1 || got[0].ID != club {
				t.Errorf("account u%d has the groups %v, want Club", i, got)
			}
		}
	})
}

// A pattern that names a group's external id holds for all its members.
func TestJobKnowsExternalIDs(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		users := tn.people(4)
		inner := tn.group("Inner", users[:3]...)
		outer := tn.group("Outer", inner)
		tn.change(outer, func(d *provision.Draft) {
			d.Write(content(t, "Group", `{"displayName":"Outer","externalId":"x-1"}`))
		})
		tn.engine.Limits.Inline = 1
		tn.setPolicy(`{"roles":[{"groups":["id:x-1"],"role":"one"}]}`)
		tn.runUntilSettled()
		for i := range 4 {
			want := 1
			if i == 3 {
				want = 0
			}
			if got := tn.account(fmt.Sprintf("u%d", i)).Roles; len(got) != want {
				t.Errorf("account u%d has the roles %v, want %d", i, got, want)
			}
		}
	})
}
