package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// everyPolicy is what the random walks edit their policy to.
var everyPolicy = []string{
	`{"provisionOnFirstLogin":true}`,
	`{"provisionOnFirstLogin":true,"requiredGroups":"IT*","siteAdminGroups":"IT*","deprovisionMethod":"delete"}`,
	`{"provisionOnFirstLogin":true,"requiredGroups":"IT*","deprovisionGroups":false,"defaultGroups":["Host A","IT"],"roles":[{"groups":"IT*","role":"r"}],"roleEvidenceMaxAgeDays":2}`,
	`{"provisionOnFirstLogin":true,"deprovisionUsers":false,"siteAdminGroups":"Sales","onMissingGroups":"empty"}`,
	`{"provisionOnFirstLogin":true,"deprovisionMethod":"delete","deleteAfterDays":3,"link":"email","emailDomains":["example.com"],"passwordGroups":"Sales","defaultGroupsAt":"login","defaultGroups":["Host A","Sales"]}`,
	`{"provisionOnFirstLogin":true,"externalIdImmutable":true,"siteAdminGroups":"Sales","uniqueEmails":true}`,
	`{"provisionOnFirstLogin":true,"externalIdImmutable":true,"deprovisionUsers":false,"requiredGroups":"IT*"}`,
	`{"provisionOnFirstLogin":true,"externalIdImmutable":true,"deprovisionMethod":"delete","link":"email","emailDomains":["example.com"]}`,
}

// TestInvariants lets SCIM, logins, syncs, operators, the host, edits of the
// policy, jobs and time act in any order, and checks what must always hold.
func TestInvariants(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			on := onEveryStore
			if seed%10 != 0 { // as PostgreSQL takes longer
				on = onOwnStores
			}
			on(t, func(t *testing.T, st store.Store) {
				w := newRandomWalk(t, st, seed)
				w.engine.Limits = provision.Limits{Inline: 1 + int(seed%4), Batch: 2, Deprovision: []int{-1, 1, 3}[seed%3]}
				w.walk(60)
			})
		})
	}
}

// TestInvariantsOfStagedMembers is the same walk where groups also get all their members
// at once, and two are so many that they are staged.
func TestInvariantsOfStagedMembers(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			on := onEveryStore
			if seed > 1 { // as PostgreSQL takes longer
				on = onOwnStores
			}
			on(t, func(t *testing.T, st store.Store) {
				w := newRandomWalk(t, st, seed)
				w.engine.Limits = provision.Limits{Inline: 1 + int(seed%4), InlineMembers: 1, Batch: 2, Deprovision: -1}
				for range 12 {
					w.createUser()
				}
				w.more = slices.Repeat([]func(){w.createGroup, w.gather, w.gather}, 2)
				w.walk(60)
				if w.gathered == 0 {
					t.Error("no members were staged")
				}
			})
		})
	}
}

func newRandomWalk(t *testing.T, st store.Store, seed uint64) *randomWalk {
	return &randomWalk{tenant: newTenant(t, st, everyPolicy[0]), rng: rand.New(rand.NewPCG(seed, 11))}
}

// walk lets anything happen, so many times, and checks what must hold.
func (w *randomWalk) walk(steps int) {
	w.t.Helper()
	for range steps {
		w.step()
		w.check()
	}
	w.finishJob()
	w.check()
	w.fixedPoint()
	w.lastEvents()
	if w.met == 0 {
		w.t.Error("nobody came to their own account")
	}
}

// gather makes some users the members of a group, and nobody else.
func (w *randomWalk) gather() {
	var members []string
	for _, s := range w.said() {
		if w.rng.IntN(4) > 0 {
			members = append(members, s.resource)
		}
	}
	group := w.one(w.groups...)
	before, err := w.dir.MemberCount(w.t.Context(), group)
	w.must(err)
	_, err = w.dir.Update(w.t.Context(), "Group", group, 0, func(d *provision.Draft) error {
		d.SetMembers(members)
		return nil
	})
	w.must(err)
	if after, _ := w.dir.MemberCount(w.t.Context(), group); err == nil && after > before+1 {
		w.gathered++
	}
}

// randomWalk is a connection in which anything may happen.
type randomWalk struct {
	*tenant
	rng           *rand.Rand
	users, groups []string
	log           []int           // the steps so far
	shared        map[string]bool // externalIds that two users had, after the step before
	met           int             // how often somebody came to their own account
	told          func(error)     // is told what came of a step; nil for nobody
	more          []func()        // further steps
	paused        bool            // the connection is, or is in shadow
	gathered      int             // how often a group got more members at once than are written inline
}

func (w *randomWalk) one(list ...string) string {
	if len(list) == 0 {
		return "nobody"
	}
	return list[w.rng.IntN(len(list))]
}

func (w *randomWalk) group() string { return w.one("IT", "Sales", "ITx", "Host A") }

func (w *randomWalk) groupBody() string { return fmt.Sprintf(`{"displayName":%q}`, w.group()) }

// must fails for an error that no step may have.
func (w *randomWalk) must(err error) {
	w.t.Helper()
	if w.told != nil {
		w.told(err)
	}
	var (
		conflict *store.ConflictError
		refused  *provision.DeniedError
		guard    *provision.GuardError
		member   *provision.MemberError
		argument *provision.ArgumentError
	)
	switch {
	case err == nil, errors.Is(err, provision.ErrNotFound), errors.Is(err, provision.ErrReported), errors.Is(err, provision.ErrEmptySync), errors.Is(err, provision.ErrSyncIDs):
	case errors.As(err, &conflict), errors.As(err, &refused), errors.As(err, &guard), errors.As(err, &member), errors.As(err, &argument):
	default:
		w.t.Fatalf("steps %v: %v", w.log, err)
	}
}

func (w *randomWalk) step() {
	w.t.Helper()
	steps := []func(){
		w.createUser, w.createUser, w.createGroup, w.login, w.login, w.login, w.join, w.join, w.operate, w.work, w.work, w.wait, w.sync,
		func() { w.write("User", w.one(w.users...), w.userBody()) },
		func() { w.write("Group", w.one(w.groups...), w.groupBody()) },
		func() { w.must(w.dir.Delete(w.t.Context(), "User", w.one(w.users...), nil)) },
		func() { w.must(w.dir.Delete(w.t.Context(), "Group", w.one(w.groups...), nil)) },
		func() { w.setPolicy(w.one(everyPolicy...)) },
		func() {
			w.must(w.operator().RegisterGroups(w.t.Context(), provision.HostGroup{ID: "h0", Name: w.one("Host A", "B")}, provision.HostGroup{ID: "h1", Name: w.one("Sales", "C")}))
		},
	}
	steps = append(steps, w.more...)
	n := w.rng.IntN(len(steps))
	w.log = append(w.log, n)
	steps[n]()
}

func (w *randomWalk) create(typ, body string, members ...string) string {
	c := content(w.t, typ, body)
	r, err := w.dir.Create(w.t.Context(), typ, 0, func(d *provision.Draft) error {
		d.Write(c)
		if typ == "Group" {
			d.ClearMembers() // as a POST does
		}
		for _, m := range members {
			d.AddMember(m)
		}
		return nil
	})
	w.must(err)
	if err != nil {
		return "nobody"
	}
	return r.ID
}

func (w *randomWalk) createUser() { w.users = append(w.users, w.create("User", w.userBody())) }

func (w *randomWalk) createGroup() {
	w.groups = append(w.groups, w.create("Group", w.groupBody(), w.one(w.users...)))
}

func (w *randomWalk) write(typ, id, body string) {
	c := content(w.t, typ, body)
	_, err := w.dir.Update(w.t.Context(), typ, id, 0, func(d *provision.Draft) error {
		d.Write(c)
		return nil
	})
	w.must(err)
}

// join adds or removes a user, or nests a group.
func (w *randomWalk) join() {
	member, add := w.one(w.users...), w.rng.IntN(3) > 0
	if w.rng.IntN(4) == 0 {
		member = w.one(w.groups...)
	}
	_, err := w.dir.Update(w.t.Context(), "Group", w.one(w.groups...), 0, func(d *provision.Draft) error {
		if add {
			d.AddMember(member)
		} else {
			d.RemoveMember(member)
		}
		return nil
	})
	w.must(err)
}

func (w *randomWalk) operate() {
	list := w.all()
	if len(list) == 0 {
		return
	}
	a, d, ctx := list[w.rng.IntN(len(list))], w.operator(), w.t.Context()
	switch w.rng.IntN(10) {
	case 0:
		w.must(d.Disable(ctx, a.ID))
	case 1:
		w.must(d.Enable(ctx, a.ID))
	case 2:
		w.must(d.DeleteAccount(ctx, a.ID))
	case 3:
		if len(a.Groups) > 0 {
			w.must(d.RemoveGroup(ctx, a.ID, a.Groups[0].ID))
		}
	case 4:
		w.must(d.Edit(ctx, a.ID, provision.AccountEdit{Authentication: policy.AuthenticationPassword}))
	case 5:
		w.must(d.MarkLoggedIn(ctx, a.ID))
	case 6:
		w.must(d.Release(ctx, a.ID))
	case 7:
		w.must(d.Keep(ctx, a.ID))
	case 8:
		w.must(d.Unbind(ctx, a.ID))
	case 9:
		w.must(d.AddGroup(ctx, a.ID, w.one(append(w.groups, "h0", "h1")...)))
	}
}

func (w *randomWalk) work() {
	_, err := provision.Work(w.engine, w.t.Context(), "acme")
	w.must(err)
}

func (w *randomWalk) wait() {
	w.clock.add(time.Duration(w.rng.IntN(40)) * time.Hour)
	w.must(provision.Lapse(w.engine, w.t.Context(), "acme"))
	w.must(provision.DeleteDue(w.engine, w.t.Context(), "acme"))
}

func (w *randomWalk) sync() {
	src := listed{t: w.t}
	for i := range w.rng.IntN(5) {
		src.users = append(src.users, fmt.Sprintf(`{"userName":"kim%d@example.com","externalId":%q}`, i, w.one(w.id(), fmt.Sprint("e", i))))
	}
	if w.rng.IntN(2) == 0 {
		src.groups = map[string][]string{w.group(): {"e0", "e1", w.name()}}
	}
	_, err := w.dir.As(provision.Actor{Kind: "sync"}).Sync(w.t.Context(), src, provision.SyncOptions{Force: w.rng.IntN(3) == 0})
	w.must(err)
}

func (w *randomWalk) all() []*provision.Account {
	w.t.Helper()
	list, err := w.dir.Accounts(w.t.Context(), store.AccountQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// check looks for what no account may be.
func (w *randomWalk) check() {
	w.t.Helper()
	w.checkPeople()
	w.checkSelves()
	w.checkCounts()
	for _, a := range w.all() {
		groups := map[string]bool{}
		for _, g := range a.Groups {
			if groups[g.ID] || g.Admin && a.Status != policy.StatusActive {
				w.t.Fatalf("steps %v: %s has the groups %+v", w.log, a.Status, a.Groups)
			}
			groups[g.ID] = true
		}
		switch rights := a.SiteAdmin || a.ReadOnlySiteAdmin || len(a.Roles) > 0; {
		case rights && a.Status != policy.StatusActive, a.Held && a.Status != policy.StatusActive && a.Status != policy.StatusDisabled:
			w.t.Fatalf("steps %v: %s has rights, or is held: %+v", w.log, a.Status, a)
		case a.SiteAdmin && a.ReadOnlySiteAdmin:
			w.t.Fatalf("steps %v: both kinds of admin: %+v", w.log, a)
		case a.Status == policy.StatusDeleted && (a.UserName != "" || a.Email != "" || len(a.Groups) > 0 || a.ResourceID != "" || a.HostID != "" && w.engine.Linker == nil || a.Facts.Login != nil):
			w.t.Fatalf("steps %v: a tombstone has data: %+v", w.log, a)
		}
	}
}

func (w *randomWalk) finishJob() {
	w.t.Helper()
	for n := 0; ; n++ {
		more, err := provision.Work(w.engine, w.t.Context(), "acme")
		if err != nil || n > 2000 {
			w.t.Fatalf("steps %v: the job does not end: %v", w.log, err)
		}
		if !more {
			return
		}
	}
}

// fixedPoint checks that deriving again changes nobody but those that a guard
// keeps.
func (w *randomWalk) fixedPoint() {
	w.t.Helper()
	conn, err := w.engine.Directory("acme").Connection(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for c, err := range w.dir.Preview(w.t.Context(), conn.Policy) {
		if err != nil {
			w.t.Fatal(err)
		}
		a, err := w.dir.Account(w.t.Context(), c.AccountID)
		if err != nil {
			w.t.Fatal(err)
		}
		kept := slices.ContainsFunc(a.Reasons, func(r policy.Reason) bool {
			return r.Effect == policy.EffectKeptAsLastAdmin || r.Effect == policy.EffectKeptByOperator
		})
		if !a.Held && !kept {
			w.t.Errorf("steps %v: deriving again changes %s: %v", w.log, c.UserName, c.Changes)
		}
	}
}

// lastEvents checks that the events of an account, all together, tell what it is.
func (w *randomWalk) lastEvents() {
	w.t.Helper()
	list, err := w.dir.Events(w.t.Context(), 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	last := map[string]*store.EventAccount{}
	told := map[string]map[string]json.RawMessage{}
	for _, ev := range list {
		if ev.Account == nil {
			continue
		}
		last[ev.AccountID] = ev.Account
		if told[ev.AccountID] == nil || ev.Type == store.AccountDeleted { // which removes what it does not list
			told[ev.AccountID] = map[string]json.RawMessage{}
		}
		for _, c := range ev.Changes {
			told[ev.AccountID][c.Attribute] = c.After
		}
	}
	for _, a := range w.all() {
		if diff := cmp.Diff(a.EventAccount(), last[a.ID]); diff != "" {
			w.t.Errorf("steps %v: the last event of %s (-account +event):\n%s", w.log, a.ID, diff)
		}
		if a.Status != policy.StatusDeleted {
			w.toldAll(a, told[a.ID])
		}
	}
}

// toldAll checks that the changes of an account make up what a host sees of it.
func (w *randomWalk) toldAll(a *provision.Account, told map[string]json.RawMessage) {
	w.t.Helper()
	text, err := json.Marshal(a)
	var seen map[string]json.RawMessage
	if err := errors.Join(err, json.Unmarshal(text, &seen)); err != nil {
		w.t.Fatal(err)
	}
	for _, other := range []string{"id", "connection", "version", "reasons", "pending"} {
		delete(seen, other)
	}
	for name, want := range seen {
		switch got := string(told[name]); {
		case got == string(want):
		case got == "" && slices.Contains([]string{`""`, "false", "[]", `{"ftp":null,"sftp":null,"webdav":null}`, "{}"}, string(want)):
		default:
			w.t.Errorf("steps %v: %s of %s is %s, the events tell %s", w.log, name, a.ID, want, got)
		}
	}
}

// history is what an identity provider does to one user or group, in order.
type history struct {
	name  string
	steps []step
}

// step is one request; needs names the objects that must exist before.
type step struct {
	needs []string
	do    func(tn *tenant, ids map[string]string)
}

// randomHistories makes users that come, change and are blocked and unblocked,
// and groups, nested too, that gain, lose and are renamed.
func randomHistories(r *rand.Rand) []history {
	const users, groups = 6, 5
	names := []string{"IT", "Sales", "Support", "Admins", "Board"}
	var out []history
	for i := range users {
		name := fmt.Sprintf("u%d", i)
		h := history{name: name, steps: []step{{do: func(tn *tenant, ids map[string]string) {
			ids[name] = tn.user(fmt.Sprintf(`{"userName":%q,"active":true}`, name))
		}}}}
		for range r.IntN(4) {
			body := fmt.Sprintf(`{"userName":%q,"active":%t,"title":"t%d"}`, name, r.IntN(2) == 0, r.IntN(3))
			h.steps = append(h.steps, step{do: func(tn *tenant, ids map[string]string) { tn.set(ids[name], body) }})
		}
		out = append(out, h)
	}
	for i := range groups {
		name := fmt.Sprintf("g%d", i)
		title := fmt.Sprintf("%s-%d", names[i], i)
		h := history{name: name, steps: []step{{do: func(tn *tenant, ids map[string]string) { ids[name] = tn.group(title) }}}}
		for range 3 + r.IntN(5) {
			h.steps = append(h.steps, randomGroupStep(r, name, i, users, names))
		}
		if r.IntN(5) == 0 {
			h.steps = append(h.steps, step{do: func(tn *tenant, ids map[string]string) { tn.remove("Group", ids[name]) }})
		}
		out = append(out, h)
	}
	return out
}

func randomGroupStep(r *rand.Rand, name string, number, users int, names []string) step {
	member := fmt.Sprintf("u%d", r.IntN(users))
	switch r.IntN(5) {
	case 0:
		// Each group has its own number, so names never collide.
		title := fmt.Sprintf("%s-%d", names[r.IntN(len(names))], number)
		return step{do: func(tn *tenant, ids map[string]string) { tn.rename(ids[name], title) }}
	case 1:
		return step{needs: []string{member}, do: func(tn *tenant, ids map[string]string) { tn.leave(ids[name], ids[member]) }}
	case 2:
		if number > 0 {
			member = fmt.Sprintf("g%d", r.IntN(number))
		}
	}
	return step{needs: []string{member}, do: func(tn *tenant, ids map[string]string) {
		_, err := tn.dir.Update(tn.t.Context(), "Group", ids[name], 0, func(d *provision.Draft) error {
			d.AddMember(ids[member])
			return nil
		})
		if err != nil && member[0] == 'u' {
			tn.t.Error(err)
		}
	}}
}

// play carries the histories out in a random order that keeps each one's own
// order, and returns what the accounts are in the end.
func play(t *testing.T, st store.Store, r *rand.Rand, policyJSON string, histories []history) map[string]string {
	t.Helper()
	tn := newTenant(t, st, policyJSON)
	tn.engine.Limits.Deprovision = -1      // who is one too many is a matter of order, too
	root := tn.user(`{"userName":"root"}`) // which admin is the last is a matter of order
	tn.group("IT-root", root)
	tn.group("Admins-root", root)
	ids := map[string]string{}
	next := make([]int, len(histories))
	for {
		var ready []int
		for i, h := range histories {
			if next[i] < len(h.steps) && !slices.ContainsFunc(h.steps[next[i]].needs, func(n string) bool { return ids[n] == "" }) {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			break
		}
		i := ready[r.IntN(len(ready))]
		histories[i].steps[next[i]].do(tn, ids)
		next[i]++
	}
	list, err := tn.dir.Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range list {
		status := a.Status
		if status == policy.StatusStaged {
			// Whether somebody who is out was in before is a matter of history.
			status = policy.StatusDisabled
		}
		groups := groupNames(a)
		slices.Sort(groups)
		out[a.UserName] = fmt.Sprint(status, a.SiteAdmin, a.ReadOnlySiteAdmin, a.Roles, groups, a.Authentication)
	}
	return out
}

// Whatever the order in which the requests for different objects arrive, the
// accounts end the same, on every store. A group that is deleted before another
// takes it in is the one order that a reference forbids, so nesting happens
// only into groups with a greater number and deletions are kept.
func TestConvergence(t *testing.T) {
	const policyJSON = `{"requiredGroups":"IT*,Support*","excludedGroups":"Board*","siteAdminGroups":"Admins*",
		"readOnlySiteAdminGroups":"Sales*","passwordGroups":"Support*","roles":[{"groups":"Sales*","role":"seller"}]}`
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		histories := randomHistories(r)
		want := play(t, memory.New(), r, policyJSON, histories)
		for i := range 6 {
			var st store.Store = memory.New()
			if i == 0 {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					if diff := cmp.Diff(want, play(t, st, r, policyJSON, histories)); diff != "" {
						t.Errorf("seed %d: accounts differ (-first order +this order):\n%s", seed, diff)
					}
				})
				continue
			}
			if diff := cmp.Diff(want, play(t, st, r, policyJSON, histories)); diff != "" {
				t.Fatalf("seed %d: accounts differ (-first order +this order):\n%s", seed, diff)
			}
		}
	}
}
