package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// newShadow saves a connection in shadow.
func newShadow(t *testing.T, st store.Store, policyJSON string) *tenant {
	t.Helper()
	config, err := policy.Parse([]byte(policyJSON))
	if err != nil {
		t.Fatal(err)
	}
	tn := unsavedTenant(t, st)
	conn := provision.Connection{ID: "acme", SCIM: true, Mode: provision.ModeShadow, Policy: config}
	if _, err := tn.by().SaveConnection(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return tn
}

// by is the connection for an operator.
func (tn *tenant) by() *provision.Directory {
	return tn.engine.Directory(tn.dir.ID()).As(tester)
}

// all returns the events after a sequence.
func (tn *tenant) eventsAfter(after int64) []*provision.Event {
	tn.t.Helper()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

// lastOf returns the sequence of the last event.
func (tn *tenant) lastOf() int64 {
	tn.t.Helper()
	list := tn.eventsAfter(0)
	return list[len(list)-1].Sequence
}

// plan makes a plan, and returns it with its people by user name.
func (tn *tenant) plan() (provision.Plan, map[string]provision.PlanPerson) {
	tn.t.Helper()
	made, err := tn.by().MakePlan(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	tn.runOnce()
	p, err := tn.by().Plan(tn.t.Context())
	if err != nil || p.ID != made.ID || p.Ended.IsZero() {
		tn.t.Fatalf("the plan %+v is not made: %v", p, err)
	}
	people := map[string]provision.PlanPerson{}
	for after := ""; ; {
		page, err := tn.by().PlanPeople(tn.t.Context(), p.ID, provision.PlanQuery{After: after, Limit: 3})
		if err != nil {
			tn.t.Fatal(err)
		}
		for _, person := range page {
			people[person.UserName], after = person, person.Cursor
		}
		if len(page) < 3 {
			return p, people
		}
	}
}

// mode changes the mode, and does what follows.
func (tn *tenant) mode(m provision.ModeChange) {
	tn.t.Helper()
	if _, err := tn.by().SetMode(tn.t.Context(), m); err != nil {
		tn.t.Fatal(err)
	}
	tn.runOnce()
}

func (tn *tenant) goLive() provision.Plan {
	tn.t.Helper()
	p, _ := tn.plan()
	tn.mode(provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
	return p
}

func (tn *tenant) pause() {
	tn.t.Helper()
	tn.mode(provision.ModeChange{Mode: provision.ModePaused, Until: tn.clock.Now().Add(24 * time.Hour)})
}

// isModeError checks the code of a ModeError.
func isModeError(t *testing.T, err error, code string) {
	t.Helper()
	var wrong *provision.ModeError
	if !errors.As(err, &wrong) || wrong.Code != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// In shadow there are facts and no accounts: the host hears of nobody and no group, is asked
// nothing, and nobody logs in.
func TestShadow(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newShadow(t, st, `{"siteAdminGroups":"IT","provisionOnFirstLogin":true}`)
		tn.engine.Linker = refusing{}
		at := tn.lastOf()
		ann := tn.user(`{"userName":"ann@example.com","externalId":"1"}`)
		bob := tn.user(`{"userName":"bob@example.com"}`)
		it := tn.group("IT", ann, bob)
		tn.set(ann, `{"userName":"ann@example.com","externalId":"1","title":"x"}`)
		tn.rename(it, "IT 2")
		tn.rename(it, "IT")
		tn.leave(it, bob)
		tn.remove("User", bob)
		if _, err := tn.dir.Get(t.Context(), "User", ann, 0); err != nil {
			t.Errorf("the identity provider does not read what it wrote: %v", err)
		}
		if list := tn.accounts(""); len(list) > 0 {
			t.Errorf("there are accounts: %v", list)
		}
		if list := tn.events(at); len(list) > 0 {
			t.Errorf("the host hears of %v", list)
		}
		_, err := tn.dir.Login(t.Context(), provision.Identity{UserName: "ann@example.com"})
		var refused *provision.DeniedError
		if !errors.As(err, &refused) || refused.Code != policy.DeniedNotLive {
			t.Errorf("a login: %v", err)
		}
		if _, _, err := tn.by().IssueToken(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := tn.events(at); !slices.Contains(got, store.CredentialCreated) || !slices.Contains(got, store.LoginDenied) {
			t.Errorf("the operator hears of %v", got)
		}
	})
}

// refusing is a Linker that must not be asked.
type refusing struct{}

func (refusing) LocalAccounts(context.Context, string, provision.LocalQuery) ([]provision.LocalAccount, error) {
	return nil, errors.New("the host was asked")
}

// A plan says of everybody what becomes of them; going live does it.
func TestGoLive(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newShadow(t, st, `{"siteAdminGroups":"IT","requiredGroups":"IT,Sales","link":"email","emailDomains":["example.com"],"defaultGroups":["Sales"]}`)
		host := hostAccounts{
			{ID: "h1", Email: "ann@example.com"}, {ID: "h2", UserName: "carl"}, {ID: "h3", Email: "dora@example.com", Admin: true},
			{ID: "h5", Email: "eve@example.com"},
		}
		tn.engine.Linker = host
		ids := map[string]string{}
		for _, name := range []string{"ann@example.com", "bob@example.com", "carl", "dora@example.com", "eve@example.com", "fay@example.com"} {
			ids[name] = tn.user(`{"userName":"` + name + `"}`)
		}
		tn.set(ids["bob@example.com"], `{"userName":"bob@example.com","active":false}`)
		tn.group("IT", ids["ann@example.com"], ids["carl"])
		tn.group("Sales", ids["bob@example.com"], ids["dora@example.com"], ids["eve@example.com"])
		if err := tn.by().ChooseLink(t.Context(), ids["eve@example.com"], provision.ChooseLeaveOut, ""); err != nil {
			t.Fatal(err)
		}

		p, people := tn.plan()
		got := map[string]string{}
		for name, person := range people {
			got[name] = strings.Join([]string{string(person.Outcome), person.HostID, person.Conflict, string(person.Status)}, " ")
		}
		want := map[string]string{
			"ann@example.com": "link h1  active", "bob@example.com": "create   disabled", "carl": "conflict  not_linked staged",
			"dora@example.com": "conflict  admin staged", "eve@example.com": "leave_out   ", "fay@example.com": "create   staged",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the plan (-want +got):\n%s", diff)
		}
		if p.Totals.SiteAdmins != 1 || p.Totals.Groups != 2 || p.Totals.Statuses[policy.StatusActive] != 1 || p.Totals.Outcomes[provision.PlanConflict] != 2 {
			t.Errorf("its totals are %+v", p.Totals)
		}

		at := tn.lastOf()
		tn.mode(provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
		tn.eventsArePlan(at, p, people)
		if a := tn.account("carl"); a.Status != policy.StatusStaged || a.Facts.Conflict != "h2" {
			t.Errorf("carl is %+v", a)
		}
		if len(tn.accounts("eve@example.com")) > 0 {
			t.Error("eve was left out and has an account")
		}
		var refused *provision.DeniedError
		if _, err := tn.dir.Login(t.Context(), provision.Identity{UserName: "carl"}); !errors.As(err, &refused) || refused.Code != policy.DeniedConflict {
			t.Errorf("carl logs in: %v", err)
		}
		// The accounts live on.
		tn.set(ids["carl"], `{"userName":"carl","title":"x"}`)
		tn.expectStatus("carl", policy.StatusStaged)
		tn.set(ids["eve@example.com"], `{"userName":"eve@example.com","title":"x"}`)
		if len(tn.accounts("eve@example.com")) > 0 {
			t.Error("a request gives eve an account")
		}
		if err := tn.by().ChooseLink(t.Context(), ids["carl"], provision.ChooseLink, "h2"); err != nil {
			t.Fatal(err)
		}
		if a := tn.account("carl"); a.Status != policy.StatusActive || a.HostID != "h2" || !a.SiteAdmin {
			t.Errorf("carl is %+v", a)
		}
		var wrong *provision.ArgumentError
		if err := tn.by().ChooseLink(t.Context(), ids["dora@example.com"], provision.ChooseLink, "h3"); !errors.As(err, &wrong) {
			t.Errorf("dora is linked to an admin: %v", err)
		}
		if err := tn.by().ChooseLink(t.Context(), ids["eve@example.com"], provision.ChooseNothing, ""); err != nil {
			t.Fatal(err)
		}
		if a := tn.account("eve@example.com"); a.HostID != "h5" {
			t.Errorf("eve is %+v", a)
		}
	})
}

// eventsArePlan checks that the events after a sequence are what a plan says, no more and no
// less.
func (tn *tenant) eventsArePlan(after int64, p provision.Plan, people map[string]provision.PlanPerson) {
	tn.t.Helper()
	type told struct {
		Status policy.Status
		HostID string
	}
	want, got := map[string]told{}, map[string]told{}
	for _, person := range people {
		if person.Outcome != provision.PlanLeaveOut {
			want[person.Resource] = told{person.Status, person.HostID}
		}
	}
	groups, shared := 0, 0
	for _, ev := range tn.eventsAfter(after) {
		switch ev.Type {
		case store.AccountCreated, store.AccountUpdated, store.AccountActivated, store.AccountDisabled, store.AccountDeleted:
			if _, twice := got[ev.Resource.ID]; twice {
				tn.t.Errorf("two events tell of %s", ev.Resource.ID)
			}
			got[ev.Resource.ID] = told{ev.Account.Status, ev.Account.HostID}
		case store.GroupCreated:
			groups++
		case store.AccountEmailConflict:
			shared++
		case store.ConnectionModeChanged, store.JobFinished, store.ConnectionWarning:
		default:
			tn.t.Errorf("the event %s is not of the plan", ev.Type)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tn.t.Errorf("the events (-plan +events):\n%s", diff)
	}
	if groups != p.Totals.Groups || shared != p.Totals.SharedEmails {
		tn.t.Errorf("%d groups and %d shared e-mails are told, the plan has %+v", groups, shared, p.Totals)
	}
}

// The mode is no setting, and each step from one to another has its rules.
func TestModeRules(t *testing.T) {
	until := func(tn *tenant, d time.Duration) time.Time { return tn.clock.Now().Add(d) }
	save := func(mode provision.Mode) func(*tenant) error {
		return func(tn *tenant) error {
			_, err := tn.by().UpdateConnection(tn.t.Context(), func(c *provision.Connection) error {
				c.Mode = mode
				return nil
			})
			return err
		}
	}
	set := func(mode provision.Mode, d time.Duration, plan string) func(*tenant) error {
		return func(tn *tenant) error {
			m := provision.ModeChange{Mode: mode, Plan: plan}
			if d != 0 {
				m.Until = until(tn, d)
			}
			_, err := tn.by().SetMode(tn.t.Context(), m)
			return err
		}
	}
	const day = 24 * time.Hour
	for _, row := range []struct {
		name, from string
		do         func(*tenant) error
		code       string         // empty: it is done
		is         provision.Mode // afterwards
	}{
		{"settings without a mode keep it", "shadow", save(""), "", provision.ModeShadow},
		{"settings with the same mode keep it", "paused", save(provision.ModePaused), "", provision.ModePaused},
		{"settings do not pause", "live", save(provision.ModePaused), "mode_is_no_setting", ""},
		{"settings do not put what was live in shadow", "live", save(provision.ModeShadow), "mode_was_live", ""},
		{"nor what is paused", "paused", save(provision.ModeShadow), "mode_was_live", provision.ModePaused},
		{"settings with an unknown mode", "live", save("quick"), "mode_unknown", ""},
		{"live to shadow", "live", set(provision.ModeShadow, 0, ""), "mode_was_live", ""},
		{"an unknown mode", "live", set("quick", 0, ""), "mode_unknown", ""},
		{"live to live", "live", set(provision.ModeLive, 0, ""), "", ""},
		{"a pause without an end", "live", set(provision.ModePaused, 0, ""), "mode_needs_until", ""},
		{"a pause that is over", "live", set(provision.ModePaused, -time.Hour, ""), "mode_needs_until", ""},
		{"a pause of 31 days", "live", set(provision.ModePaused, 31*day, ""), "mode_needs_until", ""},
		{"a pause of 30 days", "live", set(provision.ModePaused, 30*day, ""), "", provision.ModePaused},
		{"a longer pause", "paused", set(provision.ModePaused, 3*day, ""), "", provision.ModePaused},
		{"paused to shadow", "paused", set(provision.ModeShadow, 0, ""), "mode_was_live", provision.ModePaused},
		{"resuming without a plan", "paused", set(provision.ModeLive, 0, ""), "", ""},
		{"resuming by another plan", "paused", set("", 0, "x"), "mode_no_such_plan", provision.ModePaused},
		{"shadow to paused", "shadow", set(provision.ModePaused, day, ""), "mode_never_live", provision.ModeShadow},
		{"going live without a plan", "shadow", set(provision.ModeLive, 0, ""), "mode_needs_plan", provision.ModeShadow},
		{"going live by another plan", "shadow", set(provision.ModeLive, 0, "x"), "mode_no_such_plan", provision.ModeShadow},
		{"a plan that is being made", "shadow", func(tn *tenant) error {
			p, err := tn.by().MakePlan(tn.t.Context())
			return errors.Join(err, set(provision.ModeLive, 0, p.ID)(tn))
		}, "mode_plan_not_done", provision.ModeShadow},
		{"a plan of a live connection", "live", func(tn *tenant) error { _, err := tn.by().MakePlan(tn.t.Context()); return err }, "mode_nothing_to_plan", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			tn := newShadow(t, memory.New(), `{}`)
			switch row.from {
			case "live":
				tn.goLive()
			case "paused":
				tn.goLive()
				tn.pause()
			}
			at := tn.lastOf()
			err := row.do(tn)
			if row.code == "" && err != nil {
				t.Error(err)
			} else if row.code != "" {
				isModeError(t, err, row.code)
			}
			conn, err := tn.by().Connection(t.Context())
			if err != nil || conn.Mode != row.is {
				t.Errorf("the mode is %q, %v", conn.Mode, err)
			}
			changed := conn.Mode.String() != row.from || row.name == "a longer pause"
			if got := tn.events(at); slices.Contains(got, store.ConnectionModeChanged) != changed {
				t.Errorf("it tells %v", got)
			}
		})
	}
	engine := &provision.Engine{Store: memory.New()}
	_, err := engine.Directory("x").SaveConnection(t.Context(), provision.Connection{ID: "x", Mode: provision.ModePaused})
	isModeError(t, err, "mode_never_live")
	_, err = engine.Directory("x").SetMode(t.Context(), provision.ModeChange{Mode: provision.ModeShadow})
	if !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("an unknown connection: %v", err)
	}
	if _, err := engine.Directory("x").SaveConnection(t.Context(), provision.Connection{ID: "x", Mode: provision.ModeLive}); err != nil {
		t.Error(err)
	}
	_, err = engine.Directory("x").SetMode(t.Context(), provision.ModeChange{Mode: provision.ModePaused, Version: 7})
	if !errors.Is(err, provision.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

// What changed since a plan was made, and matters, is the difference; what does not matter
// is none.
func TestPlanIsOvertaken(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(tn *tenant, host *hostAccounts, ids map[string]string)
		want []string // who differs: by the plan, and now
	}{
		{name: "nothing", do: func(*tenant, *hostAccounts, map[string]string) {}},
		{name: "a title", do: func(tn *tenant, _ *hostAccounts, ids map[string]string) {
			tn.set(ids["ann"], `{"userName":"ann","title":"x"}`)
		}},
		{name: "there and back again", do: func(tn *tenant, _ *hostAccounts, ids map[string]string) {
			tn.leave(ids["IT"], ids["ann"])
			tn.join(ids["IT"], ids["ann"])
		}},
		{name: "somebody new", do: func(tn *tenant, _ *hostAccounts, _ map[string]string) { tn.user(`{"userName":"dan"}`) },
			want: []string{"- create"}},
		{name: "somebody gone", do: func(tn *tenant, _ *hostAccounts, ids map[string]string) { tn.remove("User", ids["bob"]) },
			want: []string{"create -"}},
		{name: "an admin less", do: func(tn *tenant, _ *hostAccounts, ids map[string]string) { tn.leave(ids["IT"], ids["ann"]) },
			want: []string{"link link"}},
		{name: "an account of the host", do: func(_ *tenant, host *hostAccounts, _ map[string]string) {
			*host = append(*host, provision.LocalAccount{ID: "h2", UserName: "bob"})
		}, want: []string{"create conflict"}},
		{name: "an account of the host that is gone", do: func(_ *tenant, host *hostAccounts, _ map[string]string) { *host = nil },
			want: []string{"link create"}},
		{name: "a choice", do: func(tn *tenant, _ *hostAccounts, ids map[string]string) {
			if err := tn.by().ChooseLink(tn.t.Context(), ids["bob"], provision.ChooseLeaveOut, ""); err != nil {
				tn.t.Fatal(err)
			}
		}, want: []string{"create leave_out"}},
		{name: "the policy", do: func(tn *tenant, _ *hostAccounts, _ map[string]string) {
			_, err := tn.by().UpdateConnection(tn.t.Context(), func(c *provision.Connection) error {
				c.Policy.RequiredGroups = []string{"IT"}
				return nil
			})
			if err != nil {
				tn.t.Fatal(err)
			}
		}, want: []string{"create create", "link link"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			onOwnStores(t, func(t *testing.T, st store.Store) {
				tn := newShadow(t, st, `{"siteAdminGroups":"IT"}`)
				host := &hostAccounts{{ID: "h1", UserName: "ann", SSO: true}}
				tn.engine.Linker = host
				ids := map[string]string{"ann": tn.user(`{"userName":"ann"}`), "bob": tn.user(`{"userName":"bob"}`)}
				ids["IT"] = tn.group("IT", ids["ann"])
				p, _ := tn.plan()
				row.do(tn, host, ids)
				_, err := tn.by().SetMode(t.Context(), provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
				var overtaken *provision.PlanError
				got := []string{}
				if errors.As(err, &overtaken) {
					for _, d := range overtaken.Differences {
						got = append(got, outcomeOf(d.Planned)+" "+outcomeOf(d.Now))
					}
				} else if err != nil {
					t.Fatal(err)
				}
				slices.Sort(got)
				if diff := cmp.Diff(row.want, got); diff != "" && len(row.want)+len(got) > 0 {
					t.Errorf("the difference (-want +got):\n%s", diff)
				}
				conn, err := tn.by().Connection(t.Context())
				if live := conn.Mode == ""; err != nil || live != (len(row.want) == 0) {
					t.Errorf("the mode is %q, %v", conn.Mode, err)
				}
			})
		})
	}
}

func outcomeOf(p *provision.PlanPerson) string {
	if p == nil {
		return "-"
	}
	return string(p.Outcome)
}

// While the job of going live goes on, whoever is written or logs in is let in by that, and
// everybody else by the job, each once. Nobody is linked otherwise than planned.
func TestOpeningGoesOn(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newShadow(t, st, `{}`)
		tn.engine.Limits = provision.Limits{Batch: 1}
		host := &hostAccounts{{ID: "h1", UserName: "ann", SSO: true}, {ID: "h2", UserName: "bob", SSO: true}}
		tn.engine.Linker = host
		ids := map[string]string{}
		for _, name := range []string{"ann", "bob", "carl", "dan", "eve"} {
			ids[name] = tn.user(`{"userName":"` + name + `"}`)
		}
		tn.group("IT", ids["ann"])
		p, people := tn.plan()
		at := tn.lastOf()
		if _, err := tn.by().SetMode(t.Context(), provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID}); err != nil {
			t.Fatal(err)
		}
		(*host)[1].ID = "h9" // what bob would be linked to now was not planned
		if a, err := tn.dir.Login(t.Context(), provision.Identity{UserName: "ann"}); err != nil || a.HostID != "h1" {
			t.Fatalf("ann logs in as %+v, %v", a, err)
		}
		tn.set(ids["carl"], `{"userName":"carl","title":"x"}`)
		tn.expectStatus("carl", policy.StatusActive)
		tn.remove("User", ids["eve"])
		for more := true; more; {
			var err error
			if more, err = provision.Work(tn.engine, t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}
		if a := tn.account("bob"); a.Status != policy.StatusStaged || a.HostID != "" || a.Facts.Conflict == "" {
			t.Errorf("bob is %+v", a)
		}
		created := map[string]int{}
		for _, ev := range tn.eventsAfter(at) {
			if ev.Type == store.AccountCreated {
				created[ev.Resource.ID]++
			}
		}
		want := map[string]int{ids["ann"]: 1, ids["bob"]: 1, ids["carl"]: 1, ids["dan"]: 1}
		if diff := cmp.Diff(want, created); diff != "" || len(people) != 5 {
			t.Errorf("created (-want +got):\n%s", diff)
		}
	})
}

// A connection in shadow that is deleted leaves nothing of its plans, and of who waits.
func TestDeletedShadowLeavesNothing(t *testing.T) {
	seen := &kinds{Store: memory.New()}
	tn := newShadow(t, seen, `{}`)
	tn.engine.Limits = provision.Limits{Batch: 2}
	tn.engine.Linker = hostAccounts{{ID: "h1", UserName: "u1", SSO: true}}
	for i := range 5 {
		tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
	}
	tn.group("IT")
	tn.plan()
	if err := tn.by().DeleteConnection(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left := seen.all(t, "acme")
	for _, kind := range []string{"waiting", "plan", "planPeople", "planLink", "factsChanged"} {
		if !slices.Contains(seen.written, kind) {
			t.Errorf("no record %s was written", kind)
		}
		if left["record "+kind] != nil {
			t.Errorf("it leaves %v", left["record "+kind])
		}
	}
	for _, ev := range left["events"].([]*provision.Event) {
		if strings.HasPrefix(string(ev.Type), "group.") || strings.HasPrefix(string(ev.Type), "account.") {
			t.Errorf("the host hears of %s", ev.Type)
		}
	}
}

// A choice counts for the person about whom it was made, and for an account that may still
// be linked.
func TestChoiceIsVoid(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(tn *tenant, user string, host hostAccounts)
		want string
	}{
		{"as it was", func(*tenant, string, hostAccounts) {}, "link h1 "},
		{"another title", func(tn *tenant, user string, _ hostAccounts) {
			tn.set(user, `{"userName":"ann","externalId":"1","title":"x"}`)
		}, "link h1 "},
		{"another externalId", func(tn *tenant, user string, _ hostAccounts) { tn.set(user, `{"userName":"ann","externalId":"2"}`) }, "conflict  not_linked"},
		{"an admin by now", func(_ *tenant, _ string, host hostAccounts) { host[0].Admin = true }, "conflict  choice_void"},
		{"another connection by now", func(_ *tenant, _ string, host hostAccounts) { host[0].Connection = "other" }, "conflict  choice_void"},
		{"gone by now", func(_ *tenant, _ string, host hostAccounts) { host[0].UserName = "x" }, "conflict  choice_void"},
		{"another choice", func(tn *tenant, user string, _ hostAccounts) {
			if err := tn.by().ChooseLink(tn.t.Context(), user, provision.ChooseNew, ""); err != nil {
				tn.t.Fatal(err)
			}
		}, "create  "},
	} {
		t.Run(row.name, func(t *testing.T) {
			tn := newShadow(t, memory.New(), `{}`)
			host := hostAccounts{{ID: "h1", UserName: "ann"}}
			tn.engine.Linker = host
			user := tn.user(`{"userName":"ann","externalId":"1"}`)
			if err := tn.by().ChooseLink(t.Context(), user, provision.ChooseLink, "h1"); err != nil {
				t.Fatal(err)
			}
			row.do(tn, user, host)
			_, people := tn.plan()
			ann := people["ann"]
			if got := strings.Join([]string{string(ann.Outcome), ann.HostID, ann.Conflict}, " "); got != row.want {
				t.Errorf("the plan says %q, want %q", got, row.want)
			}
		})
	}
	tn := newShadow(t, memory.New(), `{}`)
	tn.engine.Linker = hostAccounts{{ID: "h1", UserName: "ann", Admin: true}, {ID: "h2", UserName: "bob", Connection: "other"}}
	for user, hostID := range map[string]string{tn.user(`{"userName":"ann"}`): "h1", tn.user(`{"userName":"bob"}`): "h2", tn.user(`{"userName":"carl"}`): "h1"} {
		var wrong *provision.ArgumentError
		if err := tn.by().ChooseLink(t.Context(), user, provision.ChooseLink, hostID); !errors.As(err, &wrong) {
			t.Errorf("%s may be chosen: %v", hostID, err)
		}
	}
}

// Facts that change while the plan is compared with them are seen: nothing goes live that
// nobody has looked at.
func TestFactsMoveDuringComparison(t *testing.T) {
	tn := newShadow(t, memory.New(), `{}`)
	ann := tn.user(`{"userName":"ann"}`)
	p, _ := tn.plan()
	moved := 0
	tn.engine.Linker = answer(func() {
		moved++
		tn.set(ann, fmt.Sprintf(`{"userName":"ann","title":"%d"}`, moved))
	})
	_, err := tn.by().SetMode(t.Context(), provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
	var busy *provision.UnavailableError
	if !errors.As(err, &busy) || moved < 3 {
		t.Errorf("after %d changes: %v", moved, err)
	}
	if conn, err := tn.by().Connection(t.Context()); err != nil || conn.Mode != provision.ModeShadow {
		t.Errorf("the mode is %q, %v", conn.Mode, err)
	}
}

// So are settings that change, and another plan that is asked for.
func TestSettingsMoveDuringComparison(t *testing.T) {
	for name, move := range map[string]func(tn *tenant){
		"the policy lets nobody in": func(tn *tenant) { tn.setPolicy(`{"requiredGroups":"Nobody"}`) },
		"another plan": func(tn *tenant) {
			if _, err := tn.by().MakePlan(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			tn := newShadow(t, memory.New(), `{}`)
			tn.user(`{"userName":"ann"}`)
			p, _ := tn.plan()
			moved := false
			hooked := &beforeUpdate{Store: tn.engine.Store}
			hooked.do = func() { moved = true; move(tn) }
			tn.engine.Store = hooked
			_, err := tn.by().SetMode(t.Context(), provision.ModeChange{Mode: provision.ModeLive, Plan: p.ID})
			var plan *provision.PlanError
			var mode *provision.ModeError
			if !moved || !errors.As(err, &plan) && !errors.As(err, &mode) {
				t.Errorf("%v", err)
			}
			if conn, err := tn.by().Connection(t.Context()); err != nil || conn.Mode != provision.ModeShadow {
				t.Errorf("the mode is %q, %v", conn.Mode, err)
			}
		})
	}
}

// beforeUpdate does something before the next update of a store.
type beforeUpdate struct {
	store.Store
	do func()
}

func (b *beforeUpdate) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return b.Store.Update(ctx, scope, fn)
}

// answer is a Linker that does something and knows nobody.
type answer func()

func (a answer) LocalAccounts(context.Context, string, provision.LocalQuery) ([]provision.LocalAccount, error) {
	a()
	return nil, nil
}

// Whom a sync does not find any more in shadow is disabled when the connection goes live.
func TestSyncInShadow(t *testing.T) {
	tn := newShadow(t, memory.New(), `{}`)
	src := listed{t: t, users: []string{`{"userName":"ann","externalId":"1"}`, `{"userName":"bob","externalId":"2"}`}}
	for range 2 {
		if _, err := tn.by().Sync(t.Context(), src, provision.SyncOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		src.users = src.users[1:]
	}
	tn.goLive()
	tn.expectStatus("ann", policy.StatusDisabled)
	tn.expectStatus("bob", policy.StatusActive)
}
