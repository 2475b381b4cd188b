package provision_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// walkHost is what the host of a walk had before.
var walkHost = hostAccounts{
	{ID: "h1", UserName: "kim1@example.com", SSO: true}, {ID: "h2", Email: "kim2@example.com"},
	{ID: "h3", UserName: "kim3@example.com", Admin: true}, {ID: "h4", UserName: "kim4@example.com", Connection: "other"},
}

// Whatever the facts are, the events of going live are the plan: no more and no less.
func TestPlanIsWhatHappens(t *testing.T) {
	kinds := map[provision.PlanOutcome]int{}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			on := onEveryStore
			if seed%20 != 0 { // as PostgreSQL takes longer
				on = onOwnStores
			}
			on(t, func(t *testing.T, st store.Store) {
				w := newShadowWalk(t, st, seed)
				for range 40 {
					w.shadowStep()
				}
				at := w.lastOf()
				for _, ev := range w.eventsAfter(0) {
					if ev.Account != nil || ev.Type == store.GroupCreated {
						t.Errorf("steps %v: the host hears of %s", w.log, ev.Type)
					}
				}
				p, people := w.planByUser()
				w.mode(provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
				w.eventsArePlan(at, p, people)
				w.paused = false
				w.check()
				w.fixedPoint()
				w.lastEvents()
				for outcome, n := range p.Totals.Outcomes {
					kinds[outcome] += n
				}
			})
		})
	}
	for _, outcome := range []provision.PlanOutcome{provision.PlanCreate, provision.PlanLink, provision.PlanConflict, provision.PlanLeaveOut} {
		if kinds[outcome] == 0 {
			t.Errorf("no plan had the outcome %s", outcome)
		}
	}
}

func newShadowWalk(t *testing.T, st store.Store, seed uint64) *randomWalk {
	w := &randomWalk{tenant: newShadow(t, st, `{}`), rng: rand.New(rand.NewPCG(seed, 17)), paused: true}
	w.engine.Linker = walkHost
	w.engine.Limits = provision.Limits{Batch: 1 + int(seed%5), Inline: 1 + int(seed%4)}
	return w
}

// shadowStep lets anything happen to a connection in shadow.
func (w *randomWalk) shadowStep() {
	ctx := w.t.Context()
	steps := []func(){
		w.createUser, w.createUser, w.createUser, w.createGroup, w.join, w.join, w.sync, w.login, w.choose, w.choose,
		func() { w.write("User", w.one(w.users...), w.userBody()) },
		func() { w.write("Group", w.one(w.groups...), w.groupBody()) },
		func() { w.must(w.dir.Delete(ctx, "User", w.one(w.users...), nil)) },
		func() { w.must(w.dir.Delete(ctx, "Group", w.one(w.groups...), nil)) },
		func() { w.setPolicy(w.one(everyPolicy...)) },
		func() { w.must(w.by().RegisterGroups(ctx, provision.HostGroup{ID: "h0", Name: w.one("Host A", "B")})) },
		func() {
			_, err := w.by().MakePlan(ctx)
			w.must(err)
			w.work()
		},
	}
	n := w.rng.IntN(len(steps))
	w.log = append(w.log, n)
	steps[n]()
	w.checkPeople()
	if list := w.all(); len(list) > 0 {
		w.t.Fatalf("steps %v: there are accounts in shadow: %v", w.log, list)
	}
}

// choose decides about somebody who waits, or is staged as a conflict.
func (w *randomWalk) choose() {
	switch user, ctx := w.one(w.users...), w.t.Context(); w.rng.IntN(4) {
	case 0:
		w.must(w.by().ChooseLink(ctx, user, provision.ChooseNothing, ""))
	case 1:
		w.must(w.by().ChooseLink(ctx, user, provision.ChooseNew, ""))
	case 2:
		w.must(w.by().ChooseLink(ctx, user, provision.ChooseLeaveOut, ""))
	case 3:
		w.must(w.by().ChooseLink(ctx, user, provision.ChooseLink, w.one("h1", "h2", "h3", "h4")))
	}
	for _, a := range w.all() {
		if a.HostID == "h3" || a.HostID == "h4" {
			w.t.Fatalf("steps %v: %s is linked to %s", w.log, a.UserName, a.HostID)
		}
	}
}

// planByUser is plan by the user, as names may be alike.
func (w *randomWalk) planByUser() (provision.Plan, map[string]provision.PlanPerson) {
	p, _ := w.plan()
	list, err := w.by().PlanPeople(w.t.Context(), p.ID, provision.PlanQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	people := map[string]provision.PlanPerson{}
	for _, person := range list {
		people[cmp.Or(person.Resource, person.Account)] = person
	}
	return p, people
}

// TestInvariantsOfModes is the walk over everything, where the connection is also paused
// and resumes, by a plan and without.
func TestInvariantsOfModes(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			on := onEveryStore
			if seed%15 != 0 { // as PostgreSQL takes longer
				on = onOwnStores
			}
			on(t, func(t *testing.T, st store.Store) {
				w := newShadowWalk(t, st, seed)
				w.engine.Limits.Deprovision = []int{-1, 1, 3}[seed%3]
				for range 10 {
					w.shadowStep()
				}
				w.resume(true)
				w.more = []func(){w.togglePause, w.togglePause, w.togglePause, w.choose}
				for range 50 {
					at := w.lastOf()
					was := w.paused
					w.step()
					w.checkPause(was && w.paused, at)
					w.check()
				}
				if w.paused {
					w.resume(w.rng.IntN(2) == 0)
				}
				w.finishJob()
				w.check()
				w.fixedPoint()
				w.lastEvents()
			})
		})
	}
}

// togglePause pauses the connection, or lets it resume.
func (w *randomWalk) togglePause() {
	if w.paused {
		w.resume(w.rng.IntN(2) == 0)
		return
	}
	_, err := w.by().SetMode(w.t.Context(), provision.ModeChange{Mode: provision.ModePaused, Until: w.clock.Now().Add(time.Hour)})
	w.must(err)
	w.paused = true
}

// resume lets the connection resume, or go live, and checks that everybody of whom the host
// hears is in the plan, and nobody else.
func (w *randomWalk) resume(byPlan bool) {
	m, planned, told := provision.ModeChange{Mode: provision.ModeLive}, map[string]bool{}, map[string]bool{}
	if byPlan {
		p, people := w.planByUser()
		m.Plan = p.ID
		for _, person := range people {
			if person.Outcome != provision.PlanLeaveOut {
				key := cmp.Or(person.Resource, person.Account)
				if person.Status == policy.StatusDeleted {
					key = person.Account
				}
				planned[key] = true
			}
		}
	}
	at := w.lastOf()
	_, err := w.by().SetMode(w.t.Context(), m)
	if err != nil {
		w.t.Fatalf("steps %v: %v", w.log, err)
	}
	w.paused = false
	w.finishJob()
	if !byPlan {
		return
	}
	users := map[string]string{}
	for _, a := range w.all() {
		users[a.ID] = a.ResourceID
	}
	for _, ev := range w.eventsAfter(at) {
		if ev.Account != nil {
			told[cmp.Or(users[ev.AccountID], ev.AccountID)] = true
		}
	}
	if diff := gocmp.Diff(planned, told); diff != "" {
		w.t.Fatalf("steps %v: who resumes (-plan +events):\n%s", w.log, diff)
	}
}

// checkPause checks that in a pause nobody gains anything but by an operator.
func (w *randomWalk) checkPause(paused bool, after int64) {
	if !paused {
		return
	}
	for _, ev := range w.eventsAfter(after) {
		gives := ev.Type == store.AccountCreated || ev.Type == store.AccountActivated || ev.Type == store.AccountUpdated
		out := ev.Account != nil && ev.Account.Status == policy.StatusDisabled // and loses the rest
		if gives && !out && ev.Actor.Kind != "operator" {
			w.t.Fatalf("steps %v: %s by %s in a pause: %v", w.log, ev.Type, ev.Actor.Kind, ev.Changes)
		}
		takes := ev.Type == store.AccountDisabled || ev.Type == store.AccountDeleted
		if takes && ev.Actor.Kind != "operator" && !slices.Contains([]policy.Status{policy.StatusDisabled, policy.StatusDeleted}, ev.Account.Status) {
			w.t.Fatalf("steps %v: %s in a pause", w.log, ev.Type)
		}
	}
}
