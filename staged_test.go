package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// meddled is a store whose updates are counted, and where something may happen around
// each of them.
type meddled struct {
	store.Store

	mu     sync.Mutex
	n      int               // updates that began
	rows   []int             // memberships that each wrote
	before func(n int) error // instead of the update, if it fails
	inside func(n int) error // after what it did, which is undone if it fails
	after  func(n int) error // of one that was committed
}

func (m *meddled) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	m.mu.Lock()
	m.n++
	n, before, inside, after := m.n, m.before, m.inside, m.after
	m.mu.Unlock()
	if before != nil {
		if err := before(n); err != nil {
			return err
		}
	}
	rows := 0
	err := m.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		rows = 0
		if err := fn(ctx, &memberRows{tx, &rows}); err != nil {
			return err
		}
		if inside != nil {
			return inside(n)
		}
		return nil
	})
	m.mu.Lock()
	m.rows = append(m.rows, rows)
	m.mu.Unlock()
	if err == nil && after != nil {
		err = after(n)
	}
	return err
}

// reset forgets what was counted and ends what happens.
func (m *meddled) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n, m.rows, m.before, m.inside, m.after = 0, nil, nil, nil, nil
}

// memberRows counts the memberships that a transaction writes.
type memberRows struct {
	store.Tx
	rows *int
}

func (m *memberRows) PutMembership(row store.Membership) (bool, error) {
	*m.rows++
	return m.Tx.PutMembership(row)
}

func (m *memberRows) DeleteMembership(group, member string, source store.Source) (bool, error) {
	*m.rows++
	return m.Tx.DeleteMembership(group, member, source)
}

func (m *memberRows) DeleteResource(typ, id string) error {
	rows, err := m.Memberships(id, "", 0)
	*m.rows += len(rows)
	return errors.Join(err, m.Tx.DeleteResource(typ, id))
}

func (m *memberRows) StageMembers(stage int64, joining, leaving []store.Membership) (int, error) {
	*m.rows += len(joining) + len(leaving)
	return m.Tx.StageMembers(stage, joining, leaving)
}

func (m *memberRows) SettleStage(stage int64, limit int) (bool, error) {
	more, err := m.Tx.SettleStage(stage, limit)
	if more {
		*m.rows += limit
	}
	return more, err
}

// staged returns the records of stages and lists of people that are left.
func (tn *tenant) staged() (left []string) {
	tn.t.Helper()
	err := tn.engine.Store.View(tn.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		left = nil
		for _, kind := range []string{"staging", "jobPeople"} {
			list, err := r.Records(kind, "", 0)
			if err != nil {
				return err
			}
			for _, rec := range list {
				left = append(left, kind+" "+rec.Key)
			}
		}
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	return left
}

// stagedCrowd makes users and a group with the first of them. A change of more than three
// members is staged.
func stagedCrowd(t *testing.T, st store.Store, people, members int) (tn *tenant, m *meddled, group string, ids []string) {
	t.Helper()
	m = &meddled{Store: st}
	tn = newTenant(t, m, `{"requiredGroups":"IT"}`)
	tn.engine.Limits = provision.Limits{InlineMembers: 3, Deprovision: -1}
	tn.engine.Logger = slog.New(slog.DiscardHandler)
	for i := range people {
		ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%02d"}`, i)))
	}
	group = tn.group("IT", ids[:members]...)
	m.reset()
	return tn, m, group, ids
}

// set makes some users the members of a group.
func setMembers(ids []string) func(*provision.Draft) error {
	return func(d *provision.Draft) error {
		d.SetMembers(ids)
		return nil
	}
}

func (tn *tenant) replaceMembers(group string, ids []string) error {
	_, err := tn.dir.Update(tn.t.Context(), "Group", group, 0, setMembers(ids))
	return err
}

func (tn *tenant) expectMembers(group string, want []string) {
	tn.t.Helper()
	got := slices.Sorted(maps.Keys(tn.members(group)))
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
		tn.t.Errorf("members (-want +got):\n%s", diff)
	}
	var active, wanted []string
	for _, a := range tn.everyAccount() {
		if a.Status == "active" {
			active = append(active, a.ResourceID)
		}
	}
	wanted = slices.Sorted(slices.Values(want))
	if slices.Sort(active); !slices.Equal(active, wanted) {
		tn.t.Errorf("active are %v, want %v", active, wanted)
	}
}

// No transaction writes more members than it may; what changes nothing writes nothing.
func TestStagedMembersAreWrittenInSets(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, m, group, ids := stagedCrowd(t, st, 30, 20)
		changes := []struct {
			name    string
			want    []string
			updates int // with a first one that finds it large
		}{
			{"all others", ids[20:], 1 + 1 + 10 + 1 + 11},  // the look for a stage, sets, the last one, settling
			{"as they are", ids[20:], 2},                   // which writes nothing
			{"one more", append(ids[20:30:30], ids[0]), 2}, // written at once
			{"nobody", nil, 1 + 1 + 4 + 1 + 4},
		}
		for _, change := range changes {
			before := tn.lastEvent()
			m.reset()
			if err := tn.replaceMembers(group, change.want); err != nil {
				t.Fatalf("%s: %v", change.name, err)
			}
			if m.n != change.updates && m.n != change.updates-1 || slices.Max(m.rows) > 3 { // one may find that nothing is left
				t.Errorf("%s: %d updates wrote %v members, want %d of at most 3", change.name, m.n, m.rows, change.updates)
			}
			if change.name == "as they are" && (slices.Max(m.rows) != 0 || tn.lastEvent() != before) {
				t.Errorf("%s: %v members were written, and %d events", change.name, m.rows, tn.lastEvent()-before)
			}
			tn.expectMembers(group, change.want)
			if left := tn.staged(); left != nil {
				t.Errorf("%s: %v are left", change.name, left)
			}
		}
	})
}

var errMeddled = errors.New("the store failed")

// stagedFailure has a change fail at one of its updates.
type stagedFailure struct {
	name string
	set  func(m *meddled, at int, cancel func())
}

// try makes a change that fails so, and reports whether it came as far as that.
func (f stagedFailure) try(t *testing.T, m *meddled, at int, change func(ctx context.Context) error) (met bool, err error) {
	m.reset()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.set(m, at, cancel)
	defer func() {
		met = m.n >= at
		m.reset()
		if r := recover(); r != nil {
			err = errMeddled
		}
	}()
	return met, change(ctx)
}

func stagedFailures() []stagedFailure {
	return []stagedFailure{
		{"store away", func(m *meddled, at int, _ func()) {
			m.before = func(n int) error { return failAt(n, at) }
		}},
		{"store away for good", func(m *meddled, at int, _ func()) {
			m.before = func(n int) error { return failAt(min(n, at), at) }
		}},
		{"rolled back", func(m *meddled, at int, _ func()) {
			m.inside = func(n int) error { return failAt(n, at) }
		}},
		{"answer lost", func(m *meddled, at int, _ func()) {
			m.after = func(n int) error { return failAt(n, at) }
		}},
		{"client gone", func(m *meddled, at int, cancel func()) {
			m.inside = func(n int) error {
				if n == at {
					cancel()
				}
				return nil
			}
		}},
		{"panic", func(m *meddled, at int, _ func()) {
			m.after = func(n int) error {
				if n == at {
					panic(errMeddled)
				}
				return nil
			}
		}},
	}
}

// A process that ends at any step, or a store that fails there, leaves the members of
// before or those that were to be, and in the end nothing else.
func TestStagedMembersAreOldOrNew(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		for _, failure := range stagedFailures() {
			t.Run(failure.name, func(t *testing.T) {
				tn, m, group, ids := stagedCrowd(t, scoped{st, failure.name}, 14, 7)
				was, next := ids[:7], ids[4:11]
				for at, failed := 1, true; failed; at++ {
					var err error
					failed, err = failure.try(t, m, at, func(ctx context.Context) error {
						_, err := tn.dir.Update(ctx, "Group", group, 0, setMembers(next))
						return err
					})
					if got := slices.Sorted(maps.Keys(tn.members(group))); slices.Equal(got, slices.Sorted(slices.Values(next))) {
						was, next = next, was
					} else if err == nil {
						t.Errorf("step %d failed, the change did not, and did nothing", at)
					}
					tn.expectMembers(group, was)
					tn.clock.add(2 * time.Minute)
					tn.runOnce()
					tn.expectMembers(group, was)
					if left := tn.staged(); left != nil {
						t.Errorf("after step %d failed, %v are left", at, left)
					}
					if at > 40 {
						t.Fatal("it does not end")
					}
				}
				if err := tn.replaceMembers(group, ids); err != nil {
					t.Fatal(err)
				}
				tn.expectMembers(group, ids)
			})
		}
	})
}

func failAt(n, at int) error {
	if n == at {
		return errMeddled
	}
	return nil
}

// scoped keeps what several tests do in one store apart.
type scoped struct {
	store.Store
	name string
}

func (s scoped) in(scope string) string {
	if scope == store.Global {
		return scope
	}
	return s.name + " " + scope
}

func (s scoped) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return s.Store.View(ctx, s.in(scope), fn)
}

func (s scoped) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, s.in(scope), fn)
}

// Somebody else changes the group at each step: neither change loses a member.
func TestStagedMembersBesideOthers(t *testing.T) {
	large := map[string]struct {
		fn   func(d *provision.Draft, ids []string)
		want func(ids []string) []string // with one that another request adds
	}{
		"replaced": {
			func(d *provision.Draft, ids []string) { d.SetMembers(ids[4:12]) },
			nil,
		},
		"added": {
			func(d *provision.Draft, ids []string) {
				for _, id := range ids[4:12] {
					d.AddMember(id)
				}
			},
			func(ids []string) []string { return append(ids[:12:12], ids[13]) },
		},
		"removed": {
			func(d *provision.Draft, ids []string) {
				for _, id := range ids[1:7] {
					d.RemoveMember(id)
				}
			},
			func(ids []string) []string { return []string{ids[0], ids[13]} },
		},
	}
	onOwnStores(t, func(t *testing.T, st store.Store) {
		for name, change := range large {
			t.Run(name, func(t *testing.T) {
				for at, met := 1, true; met; at++ {
					tn, m, group, ids := stagedCrowd(t, scoped{st, fmt.Sprint(name, at)}, 14, 7)
					shown := false
					m.before = func(n int) error {
						if n == at {
							m.mu.Lock()
							m.before = nil
							m.mu.Unlock()
							shown = len(tn.members(group)) != 7
							tn.join(group, ids[13])
						}
						return nil
					}
					tn.change(group, func(d *provision.Draft) { change.fn(d, ids) })
					m.mu.Lock()
					met = m.before == nil
					m.mu.Unlock()
					if !met {
						break
					}
					want := ids[4:12]
					switch {
					case change.want != nil:
						want = change.want(ids)
					case shown:
						want = slices.Concat(want, ids[13:14])
					}
					tn.expectMembers(group, want)
					if left := tn.staged(); left != nil {
						t.Errorf("step %d: %v are left", at, left)
					}
				}
			})
		}
	})
}

// A group that changes all the time is not written, and says so.
func TestStagedMembersGiveUp(t *testing.T) {
	tn, m, group, ids := stagedCrowd(t, memory.New(), 14, 7)
	nested := false
	joined := 0
	m.after = func(int) error {
		if nested {
			return nil
		}
		nested = true
		defer func() { nested = false }()
		joined++
		if joined%2 == 0 {
			tn.join(group, ids[13])
		} else {
			tn.leave(group, ids[13])
		}
		return nil
	}
	err := tn.replaceMembers(group, ids[4:11])
	var away *provision.UnavailableError
	if !errors.As(err, &away) || away.RetryAfter < time.Second {
		t.Errorf("the error is %v, want that it is to be tried again", err)
	}
	m.reset()
	if got := tn.members(group); got[ids[10]] || !got[ids[0]] {
		t.Errorf("the members are %v", got)
	}
	if left := tn.staged(); left != nil {
		t.Errorf("%v are left", left)
	}
}

// What is refused is refused before anything is seen.
func TestStagedMembersRefused(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, _, group, ids := stagedCrowd(t, st, 14, 7)
		tn.engine.Limits.Members = 10
		for name, test := range map[string]struct {
			ids  []string
			want func(error) bool
		}{
			"unknown": {append(ids[5:9:9], "nobody", "other"), func(err error) bool {
				var unknown *provision.MemberError
				return errors.As(err, &unknown) && unknown.ID == "nobody"
			}},
			"too many": {ids, func(err error) bool {
				var limit *provision.LimitError
				return errors.As(err, &limit) && limit.Limit == "Limits.Members"
			}},
		} {
			if err := tn.replaceMembers(group, test.ids); !test.want(err) {
				t.Errorf("%s: %v", name, err)
			}
			c := content(t, "Group", `{"displayName":"New"}`)
			_, err := tn.dir.Create(t.Context(), "Group", 0, func(d *provision.Draft) error {
				d.Write(c)
				d.SetMembers(test.ids)
				return nil
			})
			if !test.want(err) {
				t.Errorf("%s of a new group: %v", name, err)
			}
			tn.expectMembers(group, ids[:7])
			if left := tn.staged(); left != nil {
				t.Errorf("%s: %v are left", name, left)
			}
		}
	})
}

// Another process that stages members of the group is waited for by the client, and
// what it left is settled.
func TestStagedMembersOfAnotherProcess(t *testing.T) {
	st := memory.New()
	tn, m, group, ids := stagedCrowd(t, st, 14, 7)
	m.after = func(n int) error {
		if n == 4 {
			panic(errMeddled)
		}
		return nil
	}
	func() {
		defer func() { _ = recover() }()
		_ = tn.replaceMembers(group, ids[4:11])
	}()
	m.reset()
	if tn.staged() == nil {
		t.Fatal("nothing is staged")
	}
	other := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now, Limits: tn.engine.Limits}
	dir := other.Directory("acme").Via(store.SourceSCIM)
	tn.clock.add(time.Second)
	_, err := dir.Update(t.Context(), "Group", group, 0, setMembers(ids[2:9]))
	var away *provision.UnavailableError
	if !errors.As(err, &away) || away.RetryAfter != 59*time.Second {
		t.Errorf("the error is %v, want that it is to be tried after 59 seconds", err)
	}
	tn.clock.add(time.Minute)
	if _, err := dir.Update(t.Context(), "Group", group, 0, setMembers(ids[2:9])); err != nil {
		t.Fatal(err)
	}
	tn.expectMembers(group, ids[2:9])
	if left := tn.staged(); left != nil {
		t.Errorf("%v are left", left)
	}
}
