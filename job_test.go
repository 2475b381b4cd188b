package provision_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// runUntilSettled runs the background work, after which no account is pending.
func (tn *tenant) runUntilSettled() {
	tn.t.Helper()
	after := tn.lastEvent()
	tn.runOnce()
	if types := tn.events(after); !slices.Contains(types, store.JobFinished) || tn.countPending() > 0 {
		tn.t.Errorf("the background work made the events %v and left %d accounts pending", types, tn.countPending())
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
				tn.engine.Limits = provision.Limits{Inline: 10, Batch: 5, Deprovision: -1}
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
				tn.expectStatus("u7", policy.StatusActive)
				if !tn.account("u7").Pending {
					t.Error("the account does not say that it is pending")
				}
				tn.runUntilSettled()
				for i := range users {
					tn.expectStatus(fmt.Sprintf("u%d", i), policy.StatusDisabled)
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
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 2, Deprovision: -1}
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
		tn.runOnce()
		list, err := tn.dir.Events(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Sequence != old+1 {
			t.Errorf("retained %d events from %v on, want 1 from %d on", len(list), list, old+1)
		}
	})
}

// A job takes away before it gives: while the accounts that gain still wait,
// those that lose have lost.
func TestRevocationsFirst(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const people = 12
		tn := newTenant(t, st, `{"requiredGroups":"Old"}`)
		tn.engine.Limits = provision.Limits{Inline: 100, Batch: 2}
		var before, after []string
		for i := range people {
			id := tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
			if i%2 == 0 {
				before = append(before, id)
			} else {
				after = append(after, id)
			}
		}
		tn.group("Old", before...)
		tn.group("New", after...)
		tn.engine.Limits.Inline = 1
		tn.setPolicy(`{"requiredGroups":"New"}`)
		at := tn.lastEvent()
		for i := 0; tn.count(policy.StatusDisabled) < len(before); i++ {
			if more, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || !more {
				t.Fatalf("batch %d: more %t, error %v", i, more, err)
			}
		}
		if n := tn.count(policy.StatusActive); n != 0 {
			t.Errorf("%d accounts were let in before everyone else was out", n)
		}
		// A change in the second walk begins with revocations again.
		for tn.count(policy.StatusActive) < 2 {
			if more, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || !more {
				t.Fatal(more, err)
			}
		}
		tn.setPolicy(`{"requiredGroups":"Old"}`)
		tn.runUntilSettled()
		for i := range people {
			want := policy.StatusActive
			if i%2 == 1 {
				want = policy.StatusStaged
			}
			a := tn.account(fmt.Sprintf("u%d", i))
			if a.Status != want && (want == policy.StatusActive || a.Status != policy.StatusDisabled) || a.Pending {
				t.Errorf("account u%d is %s, pending %t; want %s", i, a.Status, a.Pending, want)
			}
		}
		var order []string
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range list {
			if kind := string(ev.Type); len(order) == 0 || order[len(order)-1] != kind {
				order = append(order, kind)
			}
		}
		want := []string{"account.disabled", "account.activated", "connection.updated", "account.disabled", "account.activated", "job.finished"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("events in runs (-want +got):\n%s", diff)
		}
	})
}

// Whatever is gained waits for the second walk, and the account says so.
func TestGainsWait(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"status", `{"requiredGroups":"X"}`, `{}`},
		{"site admin", `{}`, `{"siteAdminGroups":"A"}`},
		{"read-only site admin", `{}`, `{"readOnlySiteAdminGroups":"A"}`},
		{"role", `{}`, `{"roles":[{"groups":"A","role":"one"}]}`},
		{"group", `{"excludedGroups":"A"}`, `{}`},
		{"group admin", `{}`, `{"groupAdminGroups":"A"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, test.before)
				tn.group("A", tn.user(`{"userName":"a"}`), tn.user(`{"userName":"b"}`))
				tn.engine.Limits = provision.Limits{Inline: 1, Deprovision: -1}
				version := tn.account("a").Version
				tn.setPolicy(test.after)
				for _, more := range []bool{true, false} {
					if got := tn.account("a"); got.Version != version || !got.Pending {
						t.Errorf("the account has version %d, pending %t; want %d, true", got.Version, got.Pending, version)
					}
					if got, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || got != more {
						t.Fatalf("more %t, %v; want %t", got, err, more)
					}
				}
				if got := tn.account("a"); got.Version != version+1 || got.Pending {
					t.Errorf("in the end it has version %d, pending %t; want %d, false", got.Version, got.Pending, version+1)
				}
			})
		})
	}
}

// Who loses one thing and gains another is no reason to wait.
func TestExchangesAreRevocations(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"roles":[{"groups":"A","role":"one"}]}`)
		tn.group("A", tn.user(`{"userName":"a"}`))
		tn.group("B", tn.user(`{"userName":"b"}`))
		tn.engine.Limits = provision.Limits{Inline: 1, Deprovision: -1}
		tn.setPolicy(`{"roles":[{"groups":"A","role":"two"},{"groups":"B","role":"three"}]}`)
		for _, want := range []string{"[two] []", "[two] [three]"} {
			if _, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(tn.account("a").Roles, tn.account("b").Roles); got != want {
				t.Errorf("the roles are %s, want %s", got, want)
			}
		}
	})
}

// count returns how many accounts have a status.
func (tn *tenant) count(status policy.Status) int {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{Statuses: []string{string(status)}})
	if err != nil {
		tn.t.Fatal(err)
	}
	return len(list)
}

// work does batches of the job, each of which leaves something.
func (tn *tenant) work(batches int) {
	tn.t.Helper()
	for i := range batches {
		if more, err := provision.Work(tn.engine, tn.t.Context(), "acme"); err != nil || !more {
			tn.t.Fatalf("batch %d: more %t, error %v", i, more, err)
		}
	}
}

// awaited is a store in which updates wait for each other.
type awaited struct {
	store.Store
	always bool // somebody waits
	rows   int  // memberships that were listed inside updates
}

func (s *awaited) Awaited() bool { return s.always }

func (s *awaited) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, awaitedTx{tx, s}) })
}

type awaitedTx struct {
	store.Tx
	store *awaited
}

func (tx awaitedTx) Memberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := tx.Tx.Memberships(group, after, limit)
	tx.store.rows += len(list)
	return list, err
}

func (tx awaitedTx) UnnamedMemberships(group, after string, limit int) ([]store.Membership, error) {
	list, err := tx.Tx.UnnamedMemberships(group, after, limit)
	tx.store.rows += len(list)
	return list, err
}

// A batch ends early where others wait for it, and goes on where nobody does.
func TestBatchLetsOthersIn(t *testing.T) {
	for _, test := range []struct {
		others  bool
		batches int
	}{{false, 1}, {true, 4}} {
		tn := newTenant(t, memory.New(), `{}`)
		st := &awaited{Store: tn.engine.Store}
		tn.engine.Store = st
		tn.people(110)
		tn.engine.Limits.Inline = 1
		tn.setPolicy(`{"requiredGroups":"None"}`)
		tn.engine.Limits.Deprovision = -1
		st.always = test.others
		tn.work(test.batches)
		if n := tn.countPending(); n != 10 { // as 100 events end a batch in any case
			t.Errorf("others wait: %t; %d accounts are pending after %d batches, want 10", test.others, n, test.batches)
		}
		tn.runUntilSettled()
	}
}

// Of a group whose accounts are left to a job, no more members are read than tell so.
func TestManyTouchedAreNotRead(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	st := &awaited{Store: tn.engine.Store}
	tn.engine.Store = st
	users := tn.people(200)
	tn.engine.Limits.Inline = 50
	group := tn.group("Many", users...)
	st.rows = 0
	tn.rename(group, "More")
	if st.rows != 51 {
		t.Errorf("%d members were read, want 51", st.rows)
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
