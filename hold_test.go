package provision_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// people creates n users u0, u1, ...
func (tn *tenant) people(n int) []string {
	tn.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = tn.user(fmt.Sprintf(`{"userName":"u%d","active":true}`, i))
	}
	return ids
}

// held returns the ids of the accounts that are held: active ones, and disabled
// ones that were to be deleted.
func (tn *tenant) held() []string {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	var ids []string
	for _, a := range list {
		if !a.Held {
			continue
		}
		ids = append(ids, a.ID)
		if one, err := tn.dir.Account(tn.t.Context(), a.ID); err != nil || !one.Held || one.Status != policy.StatusActive && one.Status != policy.StatusDisabled {
			tn.t.Errorf("account %s is %s, held %t, %v", a.ID, one.Status, one.Held, err)
		}
	}
	return ids
}

func (tn *tenant) countEvents(after int64, typ store.EventType) int {
	tn.t.Helper()
	n := 0
	for _, got := range tn.events(after) {
		if got == typ {
			n++
		}
	}
	return n
}

// One cause that takes too many out takes nobody out: the accounts are held.
func TestMassGuard(t *testing.T) {
	const gate = `{"requiredGroups":"Staff*","roles":[{"groups":"Staff*","role":"editor"}]}`
	causes := []struct {
		name string
		do   func(tn *tenant, group string)
	}{
		{"group renamed", func(tn *tenant, group string) { tn.rename(group, "Others") }},
		{"group deleted", func(tn *tenant, group string) { tn.remove("Group", group) }},
		{"members replaced", func(tn *tenant, group string) {
			tn.change(group, func(d *provision.Draft) { d.ClearMembers() })
		}},
		{"policy edited", func(tn *tenant, _ string) { tn.setPolicy(`{"requiredGroups":"Nobody"}`) }},
	}
	sizes := []struct {
		members, others int
		held            bool
	}{
		{members: 11, others: 0, held: true},
		{members: 10, others: 0, held: false}, // no more than ten
		{members: 11, others: 44, held: false},
		{members: 11, others: 43, held: true}, // more than a fifth of 54
	}
	for _, cause := range causes {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d of %d", cause.name, size.members, size.members+size.others), func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := newTenant(t, st, gate)
					if size.others > 0 && cause.name == "policy edited" {
						return // takes everybody out
					}
					users := tn.people(size.members + size.others)
					group := tn.group("Staff", users[:size.members]...)
					if size.others > 0 {
						tn.group("Staff2", users[size.members:]...)
					}
					at := tn.lastEvent()
					cause.do(tn, group)
					want := 0
					if size.held {
						want = size.members
					}
					if n := len(tn.held()); n != want || tn.countEvents(at, store.AccountHeld) != want {
						t.Errorf("%d accounts are held by %d events, want %d", n, tn.countEvents(at, store.AccountHeld), want)
					}
					if got := tn.account("u0"); size.held && (len(got.Roles) != 1 || len(got.Groups) != 1) {
						t.Errorf("a held account has roles %v and groups %v, want what it had", got.Roles, got.Groups)
					}
					if n := tn.count(policy.StatusDisabled); n != size.members-want {
						t.Errorf("%d accounts are disabled, want %d", n, size.members-want)
					}
				})
			})
		}
	}
}

// An operator lets held accounts go, or keeps them until the facts change.
func TestReleaseAndCancel(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(12)
		group := tn.group("Staff", users...)
		tn.rename(group, "Others")
		held := tn.held()
		if len(held) != 12 {
			t.Fatalf("%d accounts are held, want 12", len(held))
		}
		at := tn.lastEvent()
		tn.set(users[0], `{"userName":"u0","active":true,"title":"T"}`)
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("a change of a held person made events %v", got)
		}
		op := tn.operator()
		if err := op.Release(t.Context(), held[0], "nobody"); !errors.Is(err, provision.ErrNotFound) || len(tn.held()) != 12 {
			t.Errorf("releasing an unknown account: %v, %d are held; want ErrNotFound, 12", err, len(tn.held()))
		}
		if err := op.Release(t.Context(), held[:5]...); err != nil {
			t.Fatal(err)
		}
		if err := op.Keep(t.Context(), held[5:10]...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(held[10:], tn.held()); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		if n := tn.count(policy.StatusDisabled); n != 5 {
			t.Errorf("%d accounts are disabled, want the 5 that were released", n)
		}
		last, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil || len(last) != 10 || last[0].Type != store.AccountDisabled || last[0].Actor != tester || last[9].Type != store.AccountUpdated {
			t.Errorf("events %v, %v; want five account.disabled, five account.updated by %v", tn.events(at), err, tester)
		}
		tn.setPolicy(`{"requiredGroups":"Staff","company":"Acme"}`) // changes nothing of the matter
		if n := tn.count(policy.StatusActive); n != 7 {
			t.Errorf("%d accounts are active, want 7", n)
		}
		tn.rename(group, "Staff")
		if n := tn.count(policy.StatusActive); n != 12 || len(tn.held()) != 0 {
			t.Errorf("%d accounts are active, %d held; want 12, none", n, len(tn.held()))
		}
		tn.engine.Limits.Deprovision = -1
		tn.rename(group, "Others")
		if n := tn.count(policy.StatusDisabled); n != 12 {
			t.Errorf("%d accounts are disabled, want 12: what was canceled was another time", n)
		}
	})
}

// A canceled hold can still be released, and one that is not held stays.
func TestReleaseCanceled(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(11)
		group := tn.group("Staff", users...)
		tn.rename(group, "Others")
		held := tn.held()
		op := tn.operator()
		for _, end := range []func() error{
			func() error { return op.Keep(t.Context(), held...) },
			func() error { return op.Release(t.Context(), held...) },
			func() error { return op.Keep(t.Context(), held...) },
		} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
		}
		if n := tn.count(policy.StatusDisabled); n != 11 {
			t.Errorf("%d accounts are disabled, want 11", n)
		}
	})
}

// What causes other than a request on the person take one by one counts together
// for an hour.
func TestMassGuardSum(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(14)
		group := tn.group("Staff", users...)
		for _, id := range users[:12] {
			tn.leave(group, id)
		}
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 10 || held != 2 {
			t.Errorf("%d accounts are disabled, %d held; want 10, 2", n, held)
		}
		// An operator's block is nobody's mistake, and beats a hold.
		tn.disable("u10")
		tn.disable("u13")
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 12 || held != 1 {
			t.Errorf("%d accounts are disabled, %d held; want 12, 1", n, held)
		}
		tn.clock.add(time.Hour)
		tn.leave(group, users[12])
		tn.expectStatus("u12", policy.StatusDisabled)
		if held := len(tn.held()); held != 1 {
			t.Errorf("%d accounts are held an hour later, want 1", held)
		}
	})
}

// A request on the person is never held, however many there are, and ends a hold.
func TestRequestsOnPeopleAreNotHeld(t *testing.T) {
	takeOut := []struct {
		name string
		do   func(tn *tenant, id, userName string)
	}{
		{"active=false", func(tn *tenant, id, userName string) { tn.set(id, `{"userName":"`+userName+`","active":false}`) }},
		{"DELETE", func(tn *tenant, id, _ string) { tn.remove("User", id) }},
	}
	for _, take := range takeOut {
		t.Run(take.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
				users := tn.people(30)
				group := tn.group("Staff", users...)
				for i, id := range users[:15] {
					take.do(tn, id, fmt.Sprintf("u%d", i))
				}
				if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 15 || held != 0 {
					t.Errorf("%d accounts are disabled, %d held; want 15, 0", n, held)
				}
				tn.rename(group, "Others") // the other 15 at once
				if held := len(tn.held()); held != 15 {
					t.Fatalf("%d accounts are held, want 15", held)
				}
				take.do(tn, users[20], "u20")
				tn.expectStatus("u20", policy.StatusDisabled)
				if held := len(tn.held()); held != 14 {
					t.Errorf("%d accounts are held, want 14", held)
				}
			})
		})
	}
}

// A change in the middle of a job counts anew.
func TestMassGuardInRunningJob(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(30)
		group := tn.group("Staff", users...)
		tn.engine.Limits = provision.Limits{Inline: 5, Batch: 20}
		tn.setPolicy(`{"requiredGroups":"Staff","company":"Acme"}`)
		if more, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || !more {
			t.Fatal(more, err)
		}
		tn.rename(group, "Others")
		tn.runUntilSettled()
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 0 || held != 30 {
			t.Errorf("%d accounts are disabled, %d held; want 0, 30", n, held)
		}
	})
}

// A fifth of those who were active in the beginning may go, where that is more.
func TestMassGuardShare(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(55)
		group := tn.group("Staff", users...)
		for _, id := range users[:13] {
			tn.leave(group, id)
		}
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 11 || held != 2 {
			t.Errorf("%d accounts are disabled, %d held; want 11, 2", n, held)
		}
	})
}

// Release is for accounts that are held: it does not do the work of a job.
func TestReleaseOfOthers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.people(2)
		tn.engine.Limits.Inline = 1
		tn.setPolicy(`{"requiredGroups":"Staff"}`)
		if err := tn.operator().Release(t.Context(), tn.account("u0").ID); err != nil {
			t.Fatal(err)
		}
		tn.expectStatus("u0", policy.StatusActive)
		deleted := tn.account("u1").ID
		tn.deleteAccount("u1")
		if err := tn.operator().Release(t.Context(), deleted); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("releasing a deleted account: %v, want ErrNotFound", err)
		}
	})
}

// A person who is let in again is not held any more.
func TestHeldPersonComesBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(11)
		group := tn.group("Staff", users...)
		for _, id := range users {
			tn.leave(group, id)
		}
		if !tn.account("u10").Held {
			t.Fatal("the eleventh account is not held")
		}
		tn.join(group, users[10])
		if a := tn.account("u10"); a.Held || a.Status != policy.StatusActive {
			t.Errorf("the account is %s, held %t; want active, not held", a.Status, a.Held)
		}
	})
}

// A change that a job carries out is held as a whole, too.
func TestMassGuardInJob(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		users := tn.people(30)
		group := tn.group("Staff", users...)
		tn.engine.Limits = provision.Limits{Inline: 5, Batch: 4}
		tn.rename(group, "Others")
		tn.runUntilSettled()
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 0 || held != 30 {
			t.Errorf("%d accounts are disabled, %d held; want 0, 30", n, held)
		}
	})
}

// A policy edit that is forced holds nobody: at once, by a job, and after an
// edit that did. It releases who is held, but nobody whom an operator keeps.
func TestForced(t *testing.T) {
	const gate, closed = `{"requiredGroups":"Staff"}`, `{"requiredGroups":"Nobody"}`
	tests := []struct {
		name   string
		limits provision.Limits
		first  bool // the edit is saved without force before
	}{
		{name: "at once"},
		{name: "at once, after it was held", first: true},
		{name: "by a job", limits: provision.Limits{Inline: 5, Batch: 4}},
		{name: "by a job, after it was held", limits: provision.Limits{Inline: 5, Batch: 4}, first: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, gate)
				group := tn.group("Staff", tn.people(30)...)
				tn.rename(group, "Others") // holds all
				kept := tn.account("u3").ID
				if err := tn.operator().Keep(t.Context(), kept); err != nil {
					t.Fatal(err)
				}
				tn.engine.Limits = test.limits
				settle := func() {
					if test.limits.Inline > 0 {
						tn.runUntilSettled()
					}
				}
				if test.first {
					tn.setPolicy(closed)
					settle()
					if n, held := tn.count(policy.StatusActive), len(tn.held()); n != 30 || held != 29 {
						t.Errorf("saving leaves %d active, %d of them held; want 30, 29", n, held)
					}
				}
				at := tn.lastEvent()
				if changed := tn.force(closed); changed == test.first {
					t.Errorf("forcing reports %t, want %t", changed, !test.first)
				}
				settle()
				if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 29 || held != 0 {
					t.Errorf("%d accounts are disabled, %d held; want 29, none", n, held)
				}
				tn.expectStatus("u3", policy.StatusActive)
				if n := tn.countEvents(at, store.AccountHeld); n != 0 {
					t.Errorf("%d accounts were held meanwhile", n)
				}
				// It was one time: the next edit is guarded again, with the whole
				// of what an hour allows.
				tn.engine.Limits = provision.Limits{}
				tn.setPolicy(`{}`)
				tn.setPolicy(closed)
				if n, held := tn.count(policy.StatusActive), len(tn.held()); n != 30 || held != 29+1 {
					t.Errorf("the next edit leaves %d active, %d held; want 30 and all", n, held)
				}
			})
		})
	}
}

// What a forced edit has not taken out yet is guarded when another change needs
// the job.
func TestForceEndsWithNextCause(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		group := tn.group("Staff", tn.people(40)...)
		tn.engine.Limits = provision.Limits{Inline: 5, Batch: 5}
		tn.force(`{"requiredGroups":"Nobody"}`)
		if more, err := provision.Work(tn.engine, t.Context(), "acme"); err != nil || !more {
			t.Fatal(more, err)
		}
		tn.rename(group, "Others")
		tn.runUntilSettled()
		if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != 5 || held != 35 {
			t.Errorf("%d accounts are disabled, %d held; want 5, 35", n, held)
		}
	})
}

// force saves a policy past the mass guard.
func (tn *tenant) force(config string) (changed bool) {
	tn.t.Helper()
	p, err := policy.Parse([]byte(config))
	if err != nil {
		tn.t.Fatal(err)
	}
	conn, err := tn.engine.Directory("acme").Connection(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	conn.Policy = p
	saved, err := tn.engine.Directory(conn.ID).As(tester).Forced().UpdateConnection(tn.t.Context(), with(conn))
	if err != nil {
		tn.t.Fatal(err)
	}
	return saved.Version != conn.Version
}

// The last admin leaves only when somebody else has become one, also in the same
// change. The guard counts them then.
func TestMassGuardCountsFormerLastAdmin(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // the new admin is derived before the old one
	}{{"before", true}, {"after", false}} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"requiredGroups":["Old","New"],"siteAdminGroups":"Old"}`)
				tn.engine.Limits.Deprovision = 1
				users := tn.people(3)
				last, next := 0, 1
				if (tn.account("u0").ID > tn.account("u1").ID) != test.before {
					last, next = 1, 0
				}
				tn.group("Old", users[last])
				group := tn.group("New", users[next], users[2])
				tn.leave(group, users[2]) // the one who may go this hour
				tn.setPolicy(`{"requiredGroups":"New","siteAdminGroups":"New"}`)
				if !tn.account(fmt.Sprint("u", last)).Held {
					t.Error("the last admin went without being counted")
				}
			})
		})
	}
}

// An edit that deletes people who are out already is counted as one that takes
// people out.
func TestMassGuardBeforeDeletion(t *testing.T) {
	const deletes = `{"deprovisionMethod":"delete"}`
	tests := []struct {
		name   string
		out    int // of 30
		limits provision.Limits
		edit   func(*tenant)
		held   int
	}{
		{name: "many", out: 20, held: 20, edit: func(tn *tenant) { tn.setPolicy(deletes) }},
		{name: "many, by a job", out: 20, held: 20, limits: provision.Limits{Inline: 5, Batch: 4}, edit: func(tn *tenant) { tn.setPolicy(deletes); tn.runUntilSettled() }},
		{name: "few", out: 10, held: 0, edit: func(tn *tenant) { tn.setPolicy(deletes) }},
		{name: "forced", out: 20, held: 0, edit: func(tn *tenant) { tn.force(deletes) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				ids := tn.people(30)
				for i := range test.out {
					tn.set(ids[i], fmt.Sprintf(`{"userName":"u%d","active":false}`, i))
				}
				tn.engine.Limits = test.limits
				test.edit(tn)
				if n, held := tn.count(policy.StatusDisabled), len(tn.held()); n != test.held || held != test.held {
					t.Fatalf("%d are disabled, %d held, want %d", n, held, test.held)
				}
				if test.held == 0 {
					return
				}
				// One comes back, one is kept, the rest is released.
				tn.set(ids[0], `{"userName":"u0","active":true}`)
				tn.expectStatus("u0", policy.StatusActive)
				if err := tn.operator().Keep(t.Context(), tn.account("u1").ID); err != nil {
					t.Fatal(err)
				}
				for _, id := range tn.held() {
					if id == tn.account("u1").ID {
						continue
					}
					if err := tn.operator().Release(t.Context(), id); err != nil {
						t.Fatal(err)
					}
				}
				if n := tn.count(policy.StatusDisabled); n != 1 {
					t.Errorf("%d are left, want the one that was kept", n)
				}
			})
		})
	}
}
