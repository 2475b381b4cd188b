package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// listed is a directory in memory as a source.
type listed struct {
	t      *testing.T
	users  []string            // bodies
	groups map[string][]string // members by display name; nil: nothing known
	fail   error               // after the users
	late   error               // after the groups
}

func (l listed) Users(context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		for _, body := range l.users {
			if !yield(provision.SyncUser{Content: content(l.t, "User", body)}, nil) {
				return
			}
		}
		if l.fail != nil {
			yield(provision.SyncUser{}, l.fail)
		}
	}
}

func (l listed) Groups(context.Context) iter.Seq2[provision.SyncGroup, error] {
	if l.groups == nil && l.late == nil {
		return nil
	}
	return func(yield func(provision.SyncGroup, error) bool) {
		for name, members := range l.groups {
			c := content(l.t, "Group", fmt.Sprintf(`{"displayName":%q}`, name))
			if !yield(provision.SyncGroup{Content: c, Members: members}, nil) {
				return
			}
		}
		if l.late != nil {
			yield(provision.SyncGroup{}, l.late)
		}
	}
}

// named returns the bodies of active users.
func named(names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf(`{"userName":%q,"active":true}`, n))
	}
	return out
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("u%03d", i))
	}
	return out
}

func (tn *tenant) sync(src listed, o provision.SyncOptions) provision.SyncReport {
	tn.t.Helper()
	src.t = tn.t
	report, err := tn.dir.Sync(tn.t.Context(), src, o)
	if err != nil {
		tn.t.Fatal(err)
	}
	return report
}

func (tn *tenant) withStatus(s policy.Status) []string {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{Statuses: []string{string(s)}})
	if err != nil {
		tn.t.Fatal(err)
	}
	names := []string{}
	for _, a := range list {
		names = append(names, a.UserName)
	}
	slices.Sort(names)
	return names
}

func expectSame[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A sync creates, changes, blocks and lets back in; the second of two equal ones
// writes nothing.
func TestSyncLifecycle(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Ops"}`)
		tn.user(`{"userName":"own","active":true}`) // SCIM's alone
		all := map[string][]string{"Ops": {"root", "Nested"}, "Nested": {"ADA"}, "Staff": {"ada", "bob", "nobody"}}
		steps := []struct {
			name     string
			src      listed
			want     provision.SyncReport
			active   []string
			disabled []string
		}{
			{"first", listed{users: named("root", "ada", "bob"), groups: all}, provision.SyncReport{
				Users:  provision.SyncCounts{Seen: 3, Created: 3, LeftAlone: 1},
				Groups: provision.SyncCounts{Seen: 3, Created: 3}, MembersAdded: 5, MembersUnknown: 1,
			}, []string{"ada", "bob", "own", "root"}, nil},
			{"unchanged", listed{users: named("root", "ada", "bob"), groups: all}, provision.SyncReport{
				Users:  provision.SyncCounts{Seen: 3, Unchanged: 3, LeftAlone: 1},
				Groups: provision.SyncCounts{Seen: 3, Unchanged: 3}, MembersUnknown: 1,
			}, []string{"ada", "bob", "own", "root"}, nil},
			{"bob is absent, a group gone", listed{users: named("root", "ada"), groups: map[string][]string{"Ops": {"root"}, "Staff": {"ada"}}}, provision.SyncReport{
				Users:  provision.SyncCounts{Seen: 2, Unchanged: 2, Absent: 1, LeftAlone: 1},
				Groups: provision.SyncCounts{Seen: 2, Updated: 2, Absent: 1}, MembersRemoved: 2,
			}, []string{"ada", "own", "root"}, []string{"bob"}},
			{"still absent, nothing said of groups", listed{users: named("root", "ada")}, provision.SyncReport{
				Users: provision.SyncCounts{Seen: 2, Unchanged: 2, LeftAlone: 1},
			}, []string{"ada", "own", "root"}, []string{"bob"}},
			{"bob is back, ada says inactive", listed{users: append(named("root", "bob"), `{"userName":"ada","active":false}`)}, provision.SyncReport{
				Users: provision.SyncCounts{Seen: 3, Unchanged: 1, Returned: 1, Updated: 1, LeftAlone: 1},
			}, []string{"bob", "own", "root"}, []string{"ada"}},
		}
		for _, s := range steps {
			at := tn.lastEvent()
			dry := tn.sync(s.src, provision.SyncOptions{DryRun: true})
			if n := tn.lastEvent(); n != at {
				t.Errorf("%s: a dry run made %d events", s.name, n-at)
			}
			s.want.Problems = []provision.SyncProblem{}
			got := tn.sync(s.src, provision.SyncOptions{})
			expectSame(t, s.name, s.want, got)
			dry.DryRun = false
			expectSame(t, s.name+": dry run", s.want, dry)
			if s.name == "unchanged" && tn.lastEvent() != at {
				t.Errorf("an unchanged sync made events %v", tn.events(at))
			}
			expectSame(t, s.name+": active", s.active, tn.withStatus(policy.StatusActive))
			expectSame(t, s.name+": disabled", s.disabled, tn.withStatus(policy.StatusDisabled))
		}
	})
}

// Whom only SCIM wrote is left alone; whom a sync has reported once is not. What
// SCIM blocked or added, a sync neither lifts nor takes.
func TestSyncProvenance(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		ada := tn.user(`{"userName":"ada","active":true}`)
		bob := tn.user(`{"userName":"bob","active":true}`)
		tn.user(`{"userName":"eve","active":false}`)
		staff := tn.group("Staff", ada)
		report := tn.sync(listed{users: named("ada", "eve"), groups: map[string][]string{"Staff": {"ada"}, "New": {"ada"}}}, provision.SyncOptions{})
		expectSame(t, "memberships of source sync, in groups that SCIM does not write", 1, report.MembersAdded)
		expectSame(t, "left alone", [2]int{1, 0}, [2]int{report.Users.LeftAlone, report.Groups.LeftAlone}) // bob
		expectSame(t, "blocked by SCIM", []string{"eve"}, tn.withStatus(policy.StatusDisabled))
		tn.sync(listed{users: named("ada"), groups: map[string][]string{"Staff": nil}}, provision.SyncOptions{})
		expectSame(t, "SCIM knows the member too", []string{"Staff"}, groupNames(tn.account("ada")))
		tn.as("sync").join(staff, bob)
		tn.sync(listed{users: named("ada"), groups: map[string][]string{"Staff": nil}}, provision.SyncOptions{})
		expectSame(t, "only the sync knew the member", []string{}, groupNames(tn.account("bob")))
		tn.sync(listed{users: named("ada"), groups: map[string][]string{}}, provision.SyncOptions{})
		expectSame(t, "groups: SCIM's stays, with its member", []string{"Staff"}, groupNames(tn.account("ada")))
		tn.sync(listed{users: named("eve")}, provision.SyncOptions{})
		expectSame(t, "bob was never the sync's", []string{"bob"}, tn.withStatus(policy.StatusActive))
	})
}

// Nothing is taken away when the source ends with an error, and the sync that
// follows does it all.
func TestSyncInterrupted(t *testing.T) {
	broken := errors.New("the directory is away")
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		tn.sync(listed{users: named("ada", "bob", "cy"), groups: map[string][]string{"Staff": {"ada", "bob", "cy"}}}, provision.SyncOptions{})
		next := append(named("ada", "dan"), `{"userName":"bob","active":false}`)
		for _, src := range []listed{
			{t: t, users: next, fail: broken},
			{t: t, users: next, groups: map[string][]string{"Staff": {"ada"}}, late: broken},
		} {
			if _, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{}); !errors.Is(err, broken) {
				t.Errorf("error %v, want %v", err, broken)
			}
			expectSame(t, "active after an error", []string{"ada", "bob", "cy"}, tn.withStatus(policy.StatusActive))
		}
		tn.sync(listed{users: next, groups: map[string][]string{"Staff": {"ada", "dan"}}}, provision.SyncOptions{})
		expectSame(t, "active", []string{"ada", "dan"}, tn.withStatus(policy.StatusActive))
	})
}

// An interruption at any point is made good by the next sync.
func TestSyncResumes(t *testing.T) {
	before := listed{users: named(many(9)...), groups: map[string][]string{"A": many(6), "B": many(3)}}
	after := listed{users: named(many(12)[3:]...), groups: map[string][]string{"B": many(12)[5:9], "C": many(12)[8:]}}
	var want []provision.Account
	for stop := -1; stop < 12; stop++ {
		tn := newTenant(t, memory.New(), `{}`)
		tn.sync(before, provision.SyncOptions{})
		if stop >= 0 {
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			src := after
			src.t = t
			_, err := tn.dir.Sync(ctx, src, provision.SyncOptions{Progress: func(provision.SyncReport) {
				if n++; n > stop {
					cancel()
				}
			}})
			cancel()
			if stop < 3 && !errors.Is(err, context.Canceled) {
				t.Fatalf("stop %d: %v", stop, err)
			}
		}
		tn.sync(after, provision.SyncOptions{})
		got := tn.snapshot()
		if stop < 0 {
			want = got
			continue
		}
		expectSame(t, fmt.Sprintf("accounts after a stop at %d", stop), want, got)
	}
}

// snapshot is what can be compared of the accounts of different tenants.
func (tn *tenant) snapshot() []provision.Account {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	var out []provision.Account
	for _, a := range list {
		if a.Status == policy.StatusDeleted {
			continue
		}
		groups := groupNames(a)
		slices.Sort(groups)
		b := provision.Account{UserName: a.UserName, Status: a.Status, SiteAdmin: a.SiteAdmin, DisplayName: a.DisplayName}
		for _, g := range groups {
			b.Groups = append(b.Groups, store.AccountGroup{Name: g})
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b provision.Account) int {
		if a.UserName < b.UserName {
			return -1
		}
		return 1
	})
	return out
}

func TestSyncEmpty(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.sync(listed{users: named("ada")}, provision.SyncOptions{})
		_, err := tn.dir.Sync(t.Context(), listed{t: t, groups: map[string][]string{"A": nil}}, provision.SyncOptions{Force: true})
		if !errors.Is(err, provision.ErrEmptySync) {
			t.Errorf("error %v, want %v", err, provision.ErrEmptySync)
		}
		tn.expectStatus("ada", policy.StatusActive)
		_, err = tn.engine.Directory("other").Sync(t.Context(), listed{t: t, users: named("ada")}, provision.SyncOptions{})
		if !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("unknown connection: error %v, want %v", err, provision.ErrNotFound)
		}
	})
}

// Too many absent ones are held as a whole, also by a sync that is run again;
// Force lets them go.
func TestSyncMassGuard(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		all := many(30)
		tn.sync(listed{users: named(all...)}, provision.SyncOptions{})
		rest := listed{users: append(named(all[11:]...), `{"userName":"u010","active":false}`)}
		if dry := tn.sync(rest, provision.SyncOptions{DryRun: true}); !dry.Held {
			t.Error("the dry run does not say that the guard will hold")
		}
		if got := tn.sync(rest, provision.SyncOptions{}); !got.Held || got.Users.Absent != 10 || got.Users.Updated != 1 {
			t.Errorf("report %+v, want 10 absent, 1 updated, held", got)
		}
		expectSame(t, "all are held", all, tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named(all[12:]...)}, provision.SyncOptions{})
		expectSame(t, "one more is held with them", all, tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named(all[12:]...)}, provision.SyncOptions{Force: true})
		expectSame(t, "forced", all[12:], tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named(all...)}, provision.SyncOptions{})
		expectSame(t, "all are back", all, tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named(all[10:]...)}, provision.SyncOptions{})
		expectSame(t, "ten may go", all[10:], tn.withStatus(policy.StatusActive))
	})
}

// Names move between people; a new person with the name of an absent one does
// not inherit.
func TestSyncNames(t *testing.T) {
	person := func(id, name string) string {
		return fmt.Sprintf(`{"externalId":%q,"userName":%q,"active":true}`, id, name)
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.sync(listed{users: []string{person("1", "x"), person("2", "z")}}, provision.SyncOptions{})
		x, z := tn.account("x").ID, tn.account("z").ID
		report := tn.sync(listed{users: []string{person("3", "x"), person("1", "z"), person("2", "w")}}, provision.SyncOptions{})
		expectSame(t, "problems", []provision.SyncProblem{}, report.Problems)
		if tn.account("z").ID != x || tn.account("w").ID != z {
			t.Error("renamed people lost their accounts")
		}
		report = tn.sync(listed{users: []string{person("3", "x"), person("1", "z"), person("4", "w")}}, provision.SyncOptions{})
		expectSame(t, "problems", []provision.SyncProblem{}, report.Problems)
		if list := tn.accounts("w"); len(list) != 2 {
			t.Errorf("%d accounts of the recycled name, want the old and the new", len(list))
		}
		expectSame(t, "the old one is out", []string{"w"}, tn.withStatus(policy.StatusDisabled))
		tn.user(person("9", "own"))
		report = tn.sync(listed{users: []string{person("3", "x"), person("1", "z"), person("4", "w"), person("5", "own"), person("4", "w")}}, provision.SyncOptions{})
		var problems []string
		for _, p := range report.Problems {
			problems = append(problems, p.Code+" "+p.Type+" "+p.Key+" "+p.Value)
			if p.Reason == "" {
				t.Errorf("problem %+v has no text", p)
			}
		}
		expectSame(t, "the user that is there twice, and the name that SCIM's person has",
			[]string{"sync_twice User 4 w", "sync_name_taken User 5 own"}, problems)
	})
}

// Names that move along a chain, of users and of groups, find their way.
func TestSyncNameChains(t *testing.T) {
	const before, after = "abc", "bcd"
	chain := func(names string) chained {
		var c chained
		for i, name := range names {
			c.users = append(c.users, provision.SyncUser{Content: content(t, "User", fmt.Sprintf(`{"externalId":"%d","userName":"%c","active":true}`, i, name))})
			c.groups = append(c.groups, provision.SyncGroup{Content: content(t, "Group", fmt.Sprintf(`{"externalId":"%d","displayName":"%c"}`, i, name))})
		}
		return c
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		for _, names := range []string{before, after} {
			src := chain(names)
			slices.Reverse(src.groups) // a chain of groups needs no second attempt so
			report, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{})
			if err != nil || report.ProblemCount != 0 {
				t.Errorf("%s: %+v, %v", names, report, err)
			}
		}
		expectSame(t, "active", []string{"b", "c", "d"}, tn.withStatus(policy.StatusActive))
		src := chain("bcd")
		src.groups[0], src.groups[1] = chained{}.group(t, "0", "x"), chained{}.group(t, "9", "b")
		src.groups[0], src.groups[1] = src.groups[1], src.groups[0]
		report, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{})
		if err != nil || report.ProblemCount != 0 || report.Groups.Created != 1 || report.Groups.Updated != 1 {
			t.Errorf("a new group with the old name of another: %+v, %v", report, err)
		}
	})
}

// chained is a source of what it holds.
type chained struct {
	users  []provision.SyncUser
	groups []provision.SyncGroup
}

func (chained) group(t *testing.T, id, name string) provision.SyncGroup {
	return provision.SyncGroup{Content: content(t, "Group", fmt.Sprintf(`{"externalId":%q,"displayName":%q}`, id, name))}
}

func (c chained) Users(context.Context) iter.Seq2[provision.SyncUser, error] { return each(c.users) }

func (c chained) Groups(context.Context) iter.Seq2[provision.SyncGroup, error] { return each(c.groups) }

func each[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// What a sync remembers is not written again, not by a dry run, and not kept for
// what is no more.
func TestSyncMarks(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		records := func() []string {
			out := []string{}
			err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
				for _, kind := range []string{"synced", "massCount", "lastAdmin"} {
					list, err := r.Records(kind, "", 0)
					if err != nil {
						return err
					}
					for _, rec := range list {
						out = append(out, fmt.Sprint(rec.Kind, rec.Key, rec.Version))
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		all := many(30)
		tn.sync(listed{users: named(all...)}, provision.SyncOptions{})
		was := records()
		tn.sync(listed{users: named(all...)}, provision.SyncOptions{})
		tn.sync(listed{users: named(all[20:]...)}, provision.SyncOptions{DryRun: true})
		expectSame(t, "records", was, records())
		tn.remove("User", tn.account("u000").ResourceID)
		tn.sync(listed{users: named(all[1:]...)}, provision.SyncOptions{})
		if n := len(records()); n != len(was)-1 {
			t.Errorf("%d records, want one less than %d", n, len(was))
		}
	})
}

// The method delete gives who comes back a fresh account.
func TestSyncDeletes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		tn.sync(listed{users: named("ada", "bob")}, provision.SyncOptions{})
		old := tn.account("bob").ID
		tn.sync(listed{users: named("ada")}, provision.SyncOptions{})
		expectSame(t, "active", []string{"ada"}, tn.withStatus(policy.StatusActive))
		tn.sync(listed{users: named("ada", "bob")}, provision.SyncOptions{})
		if a := tn.account("bob"); a.Status != policy.StatusActive || a.ID == old {
			t.Errorf("bob is %s, the same account: %t; want a fresh active one", a.Status, a.ID == old)
		}
	})
}

// Random changes of a directory end in the accounts that SCIM would have given,
// and each second sync writes nothing.
func TestSyncConverges(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		r := rand.New(rand.NewPCG(1, 2))
		const config = `{"requiredGroups":"G*","siteAdminGroups":"G1"}`
		synced := newTenant(t, st, config)
		for range 12 {
			src := randomDirectory(r)
			synced.sync(src, provision.SyncOptions{})
			at := synced.lastEvent()
			synced.sync(src, provision.SyncOptions{})
			if n := synced.lastEvent(); n != at {
				t.Fatalf("a second sync made %v", synced.events(at))
			}
			want := viaSCIM(t, src, config)
			got := slices.DeleteFunc(synced.snapshot(), func(a provision.Account) bool {
				return !slices.ContainsFunc(want, func(w provision.Account) bool { return w.UserName == a.UserName })
			})
			for i := range want { // who was in before is disabled instead of staged
				if want[i].Status == policy.StatusStaged && got[i].Status == policy.StatusDisabled {
					want[i].Status = policy.StatusDisabled
				}
			}
			expectSame(t, "accounts", want, got)
			for _, a := range synced.snapshot() {
				known := slices.ContainsFunc(want, func(w provision.Account) bool { return w.UserName == a.UserName })
				if !known && a.Status == policy.StatusActive {
					t.Errorf("%s is absent and active", a.UserName)
				}
			}
		}
	})
}

// randomDirectory has always an admin, who is no matter of the test.
func randomDirectory(r *rand.Rand) listed {
	src := listed{users: named("root"), groups: map[string][]string{"G1": {"root"}}}
	var users []string
	for i := range 8 {
		if r.IntN(3) == 0 {
			continue
		}
		name := fmt.Sprintf("u%d", i)
		users = append(users, name)
		src.users = append(src.users, fmt.Sprintf(`{"userName":%q,"active":%t,"displayName":"d%d"}`, name, r.IntN(4) != 0, r.IntN(2)))
	}
	for _, name := range []string{"G1", "G2", "Other"} {
		if name != "G1" && r.IntN(4) == 0 {
			continue
		}
		members := src.groups[name]
		for _, u := range users {
			if r.IntN(3) == 0 {
				members = append(members, u)
			}
		}
		if name == "G2" && src.groups["Other"] != nil {
			members = append(members, "Other")
		}
		src.groups[name] = members
	}
	return src
}

// viaSCIM is what a new tenant has after SCIM wrote the directory.
func viaSCIM(t *testing.T, src listed, config string) []provision.Account {
	t.Helper()
	tn := newTenant(t, memory.New(), config)
	ids := map[string]string{}
	for _, body := range src.users {
		c := content(t, "User", body)
		ids[c.Keys[slices.IndexFunc(c.Keys, func(k store.Key) bool { return k.Attribute == "userName" })].Value] = tn.user(body)
	}
	for name, members := range src.groups {
		list := []string{}
		for _, m := range members {
			list = append(list, ids[policy.Fold(m)])
		}
		tn.group(name, list...)
	}
	return tn.snapshot()
}

func BenchmarkSync(b *testing.B) {
	for _, n := range []int{10_000} {
		b.Run(fmt.Sprintf("users=%d/unchanged", n), func(b *testing.B) {
			engine := &provision.Engine{Store: memory.New()}
			if _, err := engine.Directory("acme").As(tester).UpdateConnection(b.Context(), with(provision.Connection{ID: "acme", SCIM: true})); err != nil {
				b.Fatal(err)
			}
			src := make(contents, n)
			for i := range src {
				src[i] = benchContent(b, i)
			}
			dir := engine.Directory("acme")
			if _, err := dir.Sync(b.Context(), src, provision.SyncOptions{}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				report, err := dir.Sync(b.Context(), src, provision.SyncOptions{})
				if err != nil || report.Users.Unchanged != n {
					b.Fatal(report, err)
				}
			}
		})
	}
}

// contents are users alone as a source.
type contents []provision.Content

func (c contents) Users(context.Context) iter.Seq2[provision.SyncUser, error] {
	return func(yield func(provision.SyncUser, error) bool) {
		for i := range c {
			if !yield(provision.SyncUser{Content: c[i]}, nil) {
				return
			}
		}
	}
}

func (contents) Groups(context.Context) iter.Seq2[provision.SyncGroup, error] { return nil }

func benchContent(b *testing.B, i int) provision.Content {
	b.Helper()
	t := standard.Type("User")
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%d@example.com","externalId":"%032d","active":true,
		"name":{"givenName":"Ada","familyName":"Lovelace"},"displayName":"Ada Lovelace","title":"Engineer",
		"emails":[{"value":"user%d@example.com","primary":true}]}`, i, i, i)
	var d schema.Decoder
	o, err := d.Resource(t, []byte(body))
	if err != nil {
		b.Fatal(err)
	}
	return provision.Content{Document: o.AppendJSON(nil), Keys: t.Keys(o), Display: t.Display(o)}
}
