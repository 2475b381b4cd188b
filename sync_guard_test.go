package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// The mass guard takes a whole sync for one cause: when all that it takes out
// together are too many, it takes nobody out.
func TestSyncIsOneCause(t *testing.T) {
	all := many(24)
	// A, B and C have eight of the 24 people each; all groups admit.
	whole := map[string][]string{"A": all[:8], "B": all[8:16], "C": all[16:]}
	with := func(changed map[string][]string) map[string][]string {
		groups := map[string][]string{}
		for name, members := range whole {
			groups[name] = members
		}
		for name, members := range changed {
			if groups[name] = members; members == nil {
				delete(groups, name)
			}
		}
		return groups
	}
	none := []string{}
	tests := []struct {
		name   string
		users  []string
		groups map[string][]string
		held   int
		gone   int
		before map[string][]string // whole where it is nil
	}{
		{
			name: "two groups, where some stay", users: all, held: 16,
			before: map[string][]string{"A": all[:12], "B": all[12:], "C": all[8:16]},
			groups: map[string][]string{"A": none, "B": none, "C": all[8:16]},
		},
		{"one group", all, with(map[string][]string{"A": none}), 0, 8, nil},
		{"one group deleted", all, with(map[string][]string{"A": nil}), 0, 8, nil},
		{"two groups", all, with(map[string][]string{"A": none, "B": none}), 16, 0, nil},
		{"two groups deleted", all, with(map[string][]string{"A": nil, "B": nil}), 16, 0, nil},
		{"members and a deletion", all, with(map[string][]string{"A": all[:2], "B": nil}), 14, 0, nil},
		{"a group and absent users", all[:18], with(map[string][]string{"A": none}), 14, 0, nil},
		{"a few of each", all[:21], with(map[string][]string{"A": all[3:8], "B": all[11:16]}), 0, 9, nil},
		{"the same people twice", all[8:], with(map[string][]string{"A": none}), 0, 8, nil},
		{"moved to another group", all, with(map[string][]string{"A": none, "B": none, "C": all}), 0, 0, nil},
		{"moved to a new group", all, with(map[string][]string{"A": nil, "B": nil, "New": all[:16]}), 0, 0, nil},
		{"moved into a group of groups", all, with(map[string][]string{"A": none, "B": none, "C": append([]string{"Inner"}, all[16:]...), "Inner": all[:16]}), 0, 0, nil},
		{"a group of groups is emptied", all, with(map[string][]string{"A": none, "B": none, "Inner": all[:16]}), 16, 0, nil},
		{"moved to a group that does not admit", all, with(map[string][]string{"A": nil, "B": nil, "Inner": all[:16]}), 16, 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"requiredGroups":"A,B,C,New"}`)
				before := whole
				if test.before != nil {
					before = test.before
				}
				tn.sync(listed{users: named(all...), groups: before}, provision.SyncOptions{})
				src := listed{users: named(test.users...), groups: test.groups}
				if dry := tn.sync(src, provision.SyncOptions{DryRun: true}); dry.Held != (test.held > 0) {
					t.Errorf("a dry run says held %t", dry.Held)
				}
				report := tn.sync(src, provision.SyncOptions{})
				held, gone := len(tn.held()), tn.count(policy.StatusDisabled)
				if report.Held != (test.held > 0) || held != test.held || gone != test.gone {
					t.Errorf("held %t, %d accounts, %d disabled; want %d and %d", report.Held, held, gone, test.held, test.gone)
				}
				tn.sync(src, provision.SyncOptions{})
				if held, gone := len(tn.held()), tn.count(policy.StatusDisabled); held != test.held || gone != test.gone {
					t.Errorf("the same sync again leaves %d held, %d disabled; want %d and %d", held, gone, test.held, test.gone)
				}
			})
		})
	}
}

// A group that is renamed counts with the rest, and Force overrides all of it.
func TestSyncRenamedGroup(t *testing.T) {
	all := many(24)
	sync := func(t *testing.T, tn *tenant, name string, o provision.SyncOptions) provision.SyncReport {
		t.Helper()
		report, err := tn.dir.Sync(t.Context(), keyed{listed{t: t, users: named(all...)}, []string{"A", name}, [][]string{all[:12], all[12:]}}, o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"A,B"}`)
		sync(t, tn, "B", provision.SyncOptions{})
		if r := sync(t, tn, "Others", provision.SyncOptions{}); !r.Held || len(tn.held()) != 12 {
			t.Errorf("held %t, %d accounts; want 12", r.Held, len(tn.held()))
		}
		sync(t, tn, "B", provision.SyncOptions{})
		if n := len(tn.held()); n != 0 || tn.count(policy.StatusActive) != 24 {
			t.Errorf("%d accounts are held, %d active; want none, 24", n, tn.count(policy.StatusActive))
		}
		if r := sync(t, tn, "Others", provision.SyncOptions{Force: true}); r.Held || tn.count(policy.StatusDisabled) != 12 {
			t.Errorf("with Force: held %t, %d are disabled; want 12", r.Held, tn.count(policy.StatusDisabled))
		}
	})
}

// keyed is a source whose groups keep their externalId when they are renamed.
type keyed struct {
	listed
	names   []string
	members [][]string
}

func (k keyed) Groups(context.Context) iter.Seq2[provision.SyncGroup, error] {
	return func(yield func(provision.SyncGroup, error) bool) {
		for i, name := range k.names {
			c := content(k.t, "Group", fmt.Sprintf(`{"displayName":%q,"externalId":"g%d"}`, name, i))
			if !yield(provision.SyncGroup{Content: c, Members: k.members[i]}, nil) {
				return
			}
		}
	}
}

// during is a source that does something while its users are read.
type during struct {
	listed
	do func()
}

func (d during) Users(ctx context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		for u, err := range d.listed.Users(ctx) {
			d.do()
			if !yield(u, err) {
				return
			}
		}
	}
}

// A connection has one sync at a time, on all replicas; other connections, and
// dry runs, go along.
func TestSyncOneAtATime(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		if _, err := there.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		one := listed{t: t, users: named("ada")}
		attempt := func(connection string, o provision.SyncOptions, want error) func() {
			return func() {
				if _, err := there.Directory(connection).Sync(t.Context(), one, o); !errors.Is(err, want) {
					t.Errorf("sync of %s beside another, %+v: %v, want %v", connection, o, err, want)
				}
			}
		}
		second := attempt("acme", provision.SyncOptions{}, provision.ErrSyncRunning)
		tests := map[string]func(){
			"another":            second,
			"with Force":         attempt("acme", provision.SyncOptions{Force: true}, provision.ErrSyncRunning),
			"a dry run":          attempt("acme", provision.SyncOptions{DryRun: true}, nil),
			"another connection": attempt("other", provision.SyncOptions{}, nil),
			"a slow source":      func() { tn.clock.add(100 * time.Second); second() },
		}
		for name, do := range tests {
			src := during{listed{t: t, users: named("ada", "bob", "cyd"), groups: map[string][]string{"G": {"ada"}}}, do}
			if _, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{}); err != nil {
				t.Errorf("%s: the first sync ended with %v", name, err)
			}
		}
		attempt("acme", provision.SyncOptions{}, nil)() // when it has ended
	})
}

// A sync that fails gives its place back; that of one that is silent for too long
// can be taken, and then the silent one writes nothing any more.
func TestSyncTakenOver(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		broken := errors.New("the source broke")
		if _, err := tn.dir.Sync(t.Context(), listed{t: t, users: named("ada"), fail: broken}, provision.SyncOptions{}); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
		taken := false
		src := during{listed{t: t, users: named("ada", "bob")}, func() {
			if taken {
				return
			}
			taken = true
			tn.clock.add(2 * time.Minute)
			if _, err := there.Directory("acme").Sync(t.Context(), listed{t: t, users: named("cyd")}, provision.SyncOptions{}); err != nil {
				t.Errorf("a sync after two minutes: %v", err)
			}
		}}
		if _, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{}); !errors.Is(err, provision.ErrSyncRunning) {
			t.Errorf("the silent sync: %v, want ErrSyncRunning", err)
		}
		expectSame(t, "active", []string{"cyd"}, tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named("ada")}, provision.SyncOptions{Force: true})
		expectSame(t, "active after the next", []string{"ada"}, tn.withStatus(policy.StatusActive))
	})
}

// Of two syncs that run at once because the first was silent, only the second
// writes.
func TestSyncTakenOverStillRunning(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		there := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		began, ended, second := make(chan bool), make(chan bool), make(chan error, 1)
		wait := func() {
			began <- true
			<-ended
		}
		silent := func() {
			tn.clock.add(2 * time.Minute)
			go func() {
				_, err := there.Directory("acme").Sync(t.Context(), during{listed{t: t, users: named("cyd")}, wait}, provision.SyncOptions{})
				second <- err
			}()
			<-began
		}
		_, err := tn.dir.Sync(t.Context(), during{listed{t: t, users: named("ada")}, silent}, provision.SyncOptions{})
		if !errors.Is(err, provision.ErrSyncRunning) {
			t.Errorf("the silent sync: %v, want ErrSyncRunning", err)
		}
		close(ended)
		if err := <-second; err != nil {
			t.Errorf("the second sync: %v", err)
		}
		expectSame(t, "active", []string{"cyd"}, tn.withStatus(policy.StatusActive))
	})
}

// Force lets go whom the guard holds, and leaves whom an operator kept.
func TestSyncForceAfterCancel(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"A"}`)
		all := many(12)
		tn.sync(listed{users: named(all...), groups: map[string][]string{"A": all}}, provision.SyncOptions{})
		rest := listed{users: named(all[6:]...), groups: map[string][]string{"A": {}}}
		tn.sync(rest, provision.SyncOptions{})
		held := tn.held()
		if len(held) != 12 {
			t.Fatalf("%d accounts are held, want 12", len(held))
		}
		kept := []string{tn.account(all[0]).ID, tn.account(all[11]).ID} // one absent, one without a group
		if err := tn.operator().Keep(t.Context(), kept...); err != nil {
			t.Fatal(err)
		}
		tn.sync(rest, provision.SyncOptions{Force: true})
		tn.setPolicy(`{"requiredGroups":"A,B"}`)
		expectSame(t, "active", []string{all[0], all[11]}, tn.withStatus(policy.StatusActive))
	})
}

// TestHeldSyncHoldsRetries holds a sync of users who take each other's names: they
// are written in later attempts, and held there, too.
func TestHeldSyncHoldsRetries(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Deprovision = 2
		var before, after []string
		for i := range 6 {
			before = append(before, fmt.Sprintf(`{"userName":"n%d","externalId":"e%d","active":true}`, i, i))
			after = append(after, fmt.Sprintf(`{"userName":"n%d","externalId":"e%d","active":false}`, i+1, i))
		}
		syncAll(tn, listed{t: t, users: before})
		if report := syncAll(tn, listed{t: t, users: after}); !report.Held {
			t.Errorf("the sync was not held: %+v", report)
		}
		for i := range 6 {
			if a := tn.account(fmt.Sprint("n", i+1)); !a.Held || a.Status != policy.StatusActive {
				t.Errorf("%s is %s, held %t", a.UserName, a.Status, a.Held)
			}
		}
	})
}
