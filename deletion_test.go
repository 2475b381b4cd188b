package provision_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

const day = 24 * time.Hour

// With deleteAfterDays an account is disabled first and deleted when its days
// are over, unless the person comes back before.
func TestDeleteAfterDays(t *testing.T) {
	const weekly = `{"deprovisionMethod":"delete","deleteAfterDays":7}`
	tests := []struct {
		name string
		do   func(tn *tenant, id string)
		want policy.Status // after seven days
	}{
		{"active=false", func(tn *tenant, id string) { tn.set(id, adaInactive) }, policy.StatusDeleted},
		{"DELETE", func(tn *tenant, id string) { tn.remove("User", id) }, policy.StatusDeleted},
		{"active=false, then DELETE", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.clock.add(3 * day)
			tn.remove("User", id)
			tn.clock.add(-3 * day)
		}, policy.StatusDeleted},
		{"back by active=true", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.set(id, ada)
		}, policy.StatusActive},
		{"back by POST", func(tn *tenant, id string) {
			tn.remove("User", id)
			tn.user(ada)
		}, policy.StatusActive},
		{"back and out again later", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.set(id, ada)
			tn.clock.add(day)
			tn.set(id, adaInactive)
			tn.clock.add(-day)
		}, policy.StatusDisabled},
		{"disabled by an operator", func(tn *tenant, _ string) { tn.disable("ada@example.com") }, policy.StatusDisabled},
		{"disabled by an operator, then active=false", func(tn *tenant, id string) {
			tn.disable("ada@example.com")
			tn.set(id, adaInactive)
		}, policy.StatusDeleted},
		{"fewer days", func(tn *tenant, id string) {
			tn.setPolicy(`{"deprovisionMethod":"delete","deleteAfterDays":9}`)
			tn.set(id, adaInactive)
			tn.setPolicy(weekly)
		}, policy.StatusDeleted},
		{"more days", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.setPolicy(`{"deprovisionMethod":"delete","deleteAfterDays":8}`)
		}, policy.StatusDisabled},
		{"the method changed", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.setPolicy(`{"deprovisionMethod":"disable","deleteAfterDays":7}`)
		}, policy.StatusDisabled},
		{"the connection was disabled", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			conn, err := tn.engine.Directory("acme").Connection(tn.t.Context())
			if err != nil {
				tn.t.Fatal(err)
			}
			conn.Disabled = true
			if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(tn.t.Context(), with(conn)); err != nil {
				tn.t.Fatal(err)
			}
		}, policy.StatusDisabled},
		{"suppressed afterwards", func(tn *tenant, id string) {
			tn.set(id, adaInactive)
			tn.setPolicy(`{"deprovisionUsers":false,"deprovisionMethod":"delete","deleteAfterDays":7}`)
		}, policy.StatusDisabled},
		{"suppressed, then not", func(tn *tenant, id string) {
			tn.setPolicy(`{"deprovisionUsers":false,"deprovisionMethod":"delete","deleteAfterDays":7}`)
			tn.set(id, adaInactive)
			tn.setPolicy(weekly)
		}, policy.StatusDeleted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, weekly)
				id := tn.user(ada)
				account := tn.account("ada@example.com").ID
				test.do(tn, id)
				tn.clock.add(7*day - time.Millisecond)
				tn.runOnce()
				a, err := tn.dir.Account(t.Context(), account)
				if err != nil || a.Status == policy.StatusDeleted {
					t.Fatalf("before its time the account is %s, %v", a.Status, err)
				}
				tn.clock.add(time.Millisecond)
				tn.runOnce()
				if a, err = tn.dir.Account(t.Context(), account); err != nil || a.Status != test.want {
					t.Errorf("after seven days the account is %s, %v; want %s", a.Status, err, test.want)
				}
			})
		})
	}
}

// Somebody who came with active=false was never in, so nothing is deleted.
func TestDeleteAfterDaysNeverIn(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		id := tn.user(adaInactive)
		account := tn.account("ada@example.com").ID
		tn.clock.add(2 * day)
		tn.runOnce()
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.remove("User", id)
		tn.clock.add(day)
		tn.runOnce()
		if a, err := tn.dir.Account(t.Context(), account); err != nil || a.Status != policy.StatusDeleted {
			t.Errorf("a day after the DELETE the account is %s, %v; want deleted", a.Status, err)
		}
	})
}

// The background work deletes by itself, and what it leaves is as after a
// deletion at once.
func TestRunDeletesDue(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		tn.engine.Limits.Batch = 2
		const people = 5
		ids := make([]string, people)
		for i := range ids {
			ids[i] = tn.user(`{"userName":"Person-` + string(rune('a'+i)) + `","active":true}`)
		}
		for i, id := range ids {
			tn.set(id, `{"userName":"Person-`+string(rune('a'+i))+`","active":false}`)
		}
		at := tn.lastEvent()
		tn.clock.add(day)
		tn.runOnce()
		want := slices.Repeat([]store.EventType{store.AccountDeleted}, people)
		if diff := cmp.Diff(want, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range list {
			data, err := json.Marshal(ev)
			if err != nil || strings.Contains(string(data), "Person") || ev.Actor.Kind != "system" {
				t.Errorf("the event of the deletion is %s, %v", data, err)
			}
		}
		if _, err := tn.dir.Get(t.Context(), "User", ids[0], 0); err != nil {
			t.Errorf("the resource is not readable any more: %v", err)
		}
		at = tn.lastEvent()
		tn.set(ids[0], `{"userName":"Person-a","active":false,"title":"T"}`)
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("a change of a deleted person made events %v", got)
		}
		tn.set(ids[0], `{"userName":"Person-a","active":true}`)
		tn.expectStatus("Person-a", policy.StatusActive)
	})
}

// An operator's deletion is not repeated when the days are over.
func TestOperatorDeletesBeforeDue(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":1}`)
		id := tn.user(ada)
		account := tn.account("ada@example.com").ID
		tn.set(id, adaInactive)
		tn.deleteAccount("ada@example.com")
		want, err := tn.dir.Account(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		tn.clock.add(day)
		tn.runOnce()
		got, err := tn.dir.Account(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tombstone (-before +after):\n%s", diff)
		}
	})
}

// A deletion at once takes the place of one that waited.
func TestDeletionWaitsNoMore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete","deleteAfterDays":7}`)
		id := tn.user(ada)
		tn.set(id, adaInactive)
		tn.setPolicy(`{"deprovisionMethod":"delete"}`)
		if got := tn.accounts("ada@example.com"); len(got) != 0 {
			t.Errorf("%d accounts are left", len(got))
		}
		tn.setPolicy(`{"deprovisionMethod":"delete","deleteAfterDays":7}`)
		at := tn.lastEvent()
		tn.clock.add(8 * day)
		tn.runOnce()
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("events %v, want none", got)
		}
	})
}

// TestDeletionOfThoseWhoAreOut edits the policy to delete: those who are out
// already go, too, at once or after the days.
func TestDeletionOfThoseWhoAreOut(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		tn.set(id, `{"userName":"ada@example.com","externalId":"1","active":false}`)
		tn.user(`{"userName":"never","active":false}`)
		tn.setPolicy(`{"deprovisionMethod":"delete","deleteAfterDays":10}`)
		due := func(days int, want int) {
			t.Helper()
			tn.clock.add(time.Duration(days) * 24 * time.Hour)
			tn.runOnce()
			if got := len(tn.accounts("ada@example.com")); got != want {
				t.Errorf("%d accounts, want %d", got, want)
			}
		}
		due(9, 1)
		due(1, 0)
		if len(tn.accounts("never")) != 1 {
			t.Error("somebody who was never in was deleted")
		}
	})
}

// TestDeletionByFewerDays edits the days of many who wait: those who would be deleted
// by the edit alone count for the guard against too many at once.
func TestDeletionByFewerDays(t *testing.T) {
	const monthly, daily = `{"deprovisionMethod":"delete","deleteAfterDays":30}`, `{"deprovisionMethod":"delete","deleteAfterDays":1}`
	tests := []struct {
		name  string
		out   int // of 30
		edits []string
		force bool
		left  int // a minute after the edits
		later int // a day after them
	}{
		{"too many", 20, []string{daily}, false, 30, 10},
		{"few", 10, []string{daily}, false, 20, 20},
		{"too many, forced", 20, []string{daily}, true, 10, 10},
		{"too many by two edits", 20, []string{`{"deprovisionMethod":"delete","deleteAfterDays":9}`, daily}, false, 30, 10},
		{"no longer and again", 5, []string{`{}`, daily}, false, 30, 25},
		{"more days", 20, []string{`{"deprovisionMethod":"delete","deleteAfterDays":40}`}, false, 30, 30},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, monthly)
				for i, name := range many(30) {
					if id := tn.user(`{"userName":"` + name + `"}`); i < test.out {
						tn.set(id, `{"userName":"`+name+`","active":false}`)
					}
				}
				tn.clock.add(5 * day)
				expectLeft := func(want int) {
					t.Helper()
					tn.runOnce()
					list, err := tn.dir.Accounts(t.Context(), store.AccountQuery{Statuses: []string{"active", "disabled"}})
					if err != nil || len(list) != want {
						t.Errorf("%d accounts are left, %v; want %d", len(list), err, want)
					}
				}
				for _, edit := range test.edits {
					operator := tn.engine.Directory("acme").As(tester)
					if test.force {
						operator = operator.Forced()
					}
					config, err := policy.Parse([]byte(edit))
					if err != nil {
						t.Fatal(err)
					}
					if _, err := operator.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Policy = config; return nil }); err != nil {
						t.Fatal(err)
					}
				}
				tn.clock.add(time.Minute)
				expectLeft(test.left)
				tn.clock.add(day)
				expectLeft(test.later)
			})
		})
	}
}
