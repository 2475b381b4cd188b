package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// pauseRow is what happens to Ann in a pause: she and Bob are active, both in IT and Staff.
// What the host sees of her is status, display name, groups, and "admin".
type pauseRow struct {
	name   string
	policy string // other than {"siteAdminGroups":"Admins"}
	do     func(*pausing)
	paused string // of Ann while it is paused; empty: as before
	after  string // of Ann when it has resumed; empty: as in the pause
}

const annBefore = "active Ann [IT Staff]"

// pausing is a paused connection with Ann in it.
type pausing struct {
	*tenant
	ann, bob, it, staff, admins string
	id                          string // of Ann's account
}

func (p *pausing) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pausing) body(extra string) string {
	return `{"userName":"ann@example.com","displayName":"Ann","externalId":"1"` + extra + `}`
}

// see returns what the host sees of Ann.
func (p *pausing) see() string {
	p.t.Helper()
	a, err := p.dir.Account(p.t.Context(), p.id)
	p.must(err)
	text := fmt.Sprint(a.Status, " ", a.DisplayName, " ", groupsOf(a))
	if a.SiteAdmin {
		text += " admin"
	}
	if a.Held {
		text += " held"
	}
	return text
}

func groupsOf(a *provision.Account) []string {
	names := groupNames(a)
	slices.Sort(names)
	return names
}

var pauseRows = []pauseRow{
	{name: "nothing", do: func(*pausing) {}},
	{name: "another name", do: func(p *pausing) { p.set(p.ann, strings.Replace(p.body(""), "Ann", "Anna", 1)) },
		paused: annBefore, after: "active Anna [IT Staff]"},
	{name: "a group more", do: func(p *pausing) { p.join(p.admins, p.ann) },
		paused: annBefore, after: "active Ann [Admins IT Staff] admin"},
	{name: "a group less", do: func(p *pausing) { p.leave(p.it, p.ann) }, paused: annBefore, after: "active Ann [Staff]"},
	{name: "the required group lost", policy: `{"requiredGroups":"IT"}`, do: func(p *pausing) { p.leave(p.it, p.ann) },
		paused: annBefore, after: "disabled Ann [Staff]"},
	{name: "a group renamed", do: func(p *pausing) { p.rename(p.it, "IT 2") }, paused: annBefore, after: "active Ann [IT 2 Staff]"},
	{name: "a group deleted", do: func(p *pausing) { p.remove("Group", p.it) }, paused: annBefore, after: "active Ann [Staff]"},
	{name: "taken out", do: func(p *pausing) { p.set(p.ann, p.body(`,"active":false`)) }, paused: "disabled Ann [IT Staff]"},
	{name: "taken out with another name", do: func(p *pausing) {
		p.set(p.ann, strings.Replace(p.body(`,"active":false`), "Ann", "Anna", 1))
	}, paused: "disabled Ann [IT Staff]", after: "disabled Anna [IT Staff]"},
	{name: "taken out by delete", policy: `{"deprovisionMethod":"delete"}`, do: func(p *pausing) { p.set(p.ann, p.body(`,"active":false`)) },
		paused: "deleted  []"},
	{name: "taken out and back", do: func(p *pausing) {
		p.set(p.ann, p.body(`,"active":false`))
		p.set(p.ann, p.body(`,"active":true`))
	}, paused: "disabled Ann [IT Staff]", after: annBefore},
	{name: "taken out where nobody is", policy: `{"deprovisionUsers":false}`, do: func(p *pausing) { p.set(p.ann, p.body(`,"active":false`)) }},
	{name: "deleted", do: func(p *pausing) { p.remove("User", p.ann) }, paused: "disabled Ann []"},
	{name: "deleted and made again", do: func(p *pausing) {
		p.remove("User", p.ann)
		p.ann = p.user(p.body(""))
		p.join(p.staff, p.ann)
	}, paused: "disabled Ann []", after: "active Ann [Staff]"},
	{name: "disabled by an operator", do: func(p *pausing) { p.must(p.by().Disable(p.t.Context(), p.id)) }, paused: "disabled Ann [IT Staff]"},
	{name: "disabled and enabled by an operator", do: func(p *pausing) {
		p.must(p.by().Disable(p.t.Context(), p.id))
		p.must(p.by().Enable(p.t.Context(), p.id))
	}},
	{name: "a change of the policy", do: func(p *pausing) {
		_, err := p.by().UpdateConnection(p.t.Context(), func(c *provision.Connection) error {
			c.Policy.SiteAdminGroups = []string{"IT"}
			return nil
		})
		p.must(err)
	}, paused: annBefore, after: annBefore + " admin"},
	{name: "a default group that appears", policy: `{"defaultGroups":["Later"]}`, do: func(p *pausing) { p.group("Later") },
		paused: annBefore, after: "active Ann [IT Later Staff]"},
	{name: "days that are over", policy: `{"deprovisionMethod":"delete","deleteAfterDays":1}`, do: func(p *pausing) {
		p.set(p.ann, p.body(`,"active":false`))
		p.clock.add(10 * 24 * time.Hour)
		p.runOnce()
	}, paused: "disabled Ann [IT Staff]", after: "deleted  []"},
	{name: "a sync that misses her", do: func(p *pausing) {
		src := listed{t: p.t, users: []string{`{"userName":"ann@example.com","externalId":"1"}`, `{"userName":"bob"}`}}
		_, err := p.by().Sync(p.t.Context(), src, provision.SyncOptions{})
		p.must(err)
		src.users = src.users[1:]
		_, err = p.by().Sync(p.t.Context(), src, provision.SyncOptions{Force: true})
		p.must(err)
	}, paused: annBefore, after: "disabled Ann [IT Staff]"},
	{name: "a login", do: func(p *pausing) {
		_, err := p.dir.Login(p.t.Context(), provision.Identity{
			ID: "1", UserName: "ann@example.com", Evidence: policy.EvidenceKnown, Groups: []provision.IdentityGroup{{Name: "Board", Value: "Board"}},
		})
		p.must(err)
	}, paused: annBefore, after: "active Ann [Board IT Staff]"},
}

// In a pause facts are taken and accounts stay as they are, but for whom a request takes
// out, or of whom an operator decides. What has become of the facts counts when the
// connection resumes, and is what the plan says.
func TestPause(t *testing.T) {
	for _, row := range pauseRows {
		t.Run(row.name, func(t *testing.T) {
			on := onOwnStores
			if row.name == "deleted and made again" || row.name == "a login" { // as PostgreSQL takes longer
				on = onEveryStore
			}
			on(t, func(t *testing.T, st store.Store) { row.run(t, st) })
		})
	}
}

func newPausing(t *testing.T, st store.Store, policyJSON string) *pausing {
	t.Helper()
	p := &pausing{tenant: newTenant(t, st, policyJSON)}
	p.ann, p.bob = p.user(p.body("")), p.user(`{"userName":"bob"}`)
	p.it, p.staff, p.admins = p.group("IT", p.ann, p.bob), p.group("Staff", p.ann, p.bob), p.group("Admins")
	p.id = p.account("ann@example.com").ID
	p.pause()
	return p
}

func (row *pauseRow) run(t *testing.T, st store.Store) {
	if row.policy == "" {
		row.policy = `{"siteAdminGroups":"Admins"}`
	}
	if row.paused == "" {
		row.paused = annBefore
	}
	if row.after == "" {
		row.after = row.paused
	}
	p := newPausing(t, st, row.policy)
	row.do(p)
	if got := p.see(); got != row.paused {
		t.Errorf("while it is paused, Ann is %s, want %s", got, row.paused)
	}
	plan, people := p.plan()
	planned := p.planOf(people)
	at := p.lastOf()
	p.mode(provision.ModeChange{Mode: provision.ModeLive, Plan: plan.ID})
	if got := p.see(); got != row.after {
		t.Errorf("when it has resumed, Ann is %s, want %s", got, row.after)
	}
	told := map[string]bool{}
	for _, ev := range p.eventsAfter(at) {
		if strings.HasPrefix(string(ev.Type), "account.") && ev.Account != nil {
			told[ev.AccountID] = true
		}
	}
	if row.name == "days that are over" { // they were over before
		return
	}
	for id := range told {
		if !planned[id] {
			t.Errorf("the account %s was not planned to change", id)
		}
	}
	if len(told) != len(planned) {
		t.Errorf("%d accounts are told of, the plan has %v", len(told), people)
	}
}

// planOf returns the accounts of a plan, of new ones as they are by now.
func (p *pausing) planOf(people map[string]provision.PlanPerson) map[string]bool {
	planned := map[string]bool{}
	for _, person := range people {
		planned[person.Account] = true
	}
	return planned
}

// Somebody who comes in a pause has no account before the connection resumes, and cannot
// log in. Who is known logs in by the account as it is.
func TestPauseAtTheDoor(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		p := newPausing(t, st, `{"provisionOnFirstLogin":true,"requiredGroups":"IT"}`)
		dan := p.user(`{"userName":"dan"}`)
		p.join(p.it, dan)
		p.leave(p.it, p.ann)
		login := func(name string) error {
			_, err := p.dir.Login(t.Context(), provision.Identity{UserName: name})
			return err
		}
		for name, want := range map[string]policy.Denial{"dan": policy.DeniedPaused, "fay": policy.DeniedPaused, "ann@example.com": ""} {
			var refused *provision.DeniedError
			if err := login(name); want == "" && err != nil || want != "" && (!errors.As(err, &refused) || refused.Code != want) {
				t.Errorf("%s logs in: %v, want %q", name, err, want)
			}
		}
		if _, err := p.dir.TryLogin(t.Context(), provision.Identity{UserName: "dan"}); err != nil {
			t.Errorf("a test login says what will be: %v", err)
		}
		p.mode(provision.ModeChange{Mode: provision.ModeLive})
		if err := login("dan"); err != nil {
			t.Errorf("dan logs in: %v", err)
		}
		if err := login("ann@example.com"); err == nil {
			t.Error("ann logs in, and is in no required group")
		}
	})
}

// A pause that is over is a warning, once, and resumes nothing.
func TestPauseIsOver(t *testing.T) {
	p := newPausing(t, memory.New(), `{}`)
	p.set(p.ann, strings.Replace(p.body(""), "Ann", "Anna", 1))
	at := p.lastOf()
	for range 3 {
		p.clock.add(20 * time.Hour)
		p.runOnce()
	}
	warned := 0
	for _, ev := range p.eventsAfter(at) {
		if ev.Type == store.ConnectionWarning && strings.Contains(fmt.Sprint(ev.Reasons), "pause_over") {
			warned++
		}
	}
	if got := p.see(); warned != 1 || got != annBefore {
		t.Errorf("%d warnings, and Ann is %s", warned, got)
	}
}

// Who resumes is one cause for the guard of mass changes, unless the plan was looked at.
func TestResumeAndTheMassGuard(t *testing.T) {
	for _, reviewed := range []bool{false, true} {
		t.Run(fmt.Sprint("reviewed ", reviewed), func(t *testing.T) {
			onOwnStores(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"requiredGroups":"IT,Staff","siteAdminGroups":"Admins"}`)
				people, boss := tn.people(12), tn.user(`{"userName":"boss"}`)
				it := tn.group("IT", people...)
				tn.group("Staff", boss)
				tn.group("Admins", append(people, boss)...) // that many admins go, and one stays
				tn.pause()
				tn.remove("Group", it)
				m := provision.ModeChange{Mode: provision.ModeLive}
				if reviewed {
					p, _ := tn.plan()
					if p.Totals.Outcomes[provision.PlanLeave] != 12 {
						t.Errorf("the plan comes to %+v", p.Totals)
					}
					m.Plan = p.ID
				}
				tn.mode(m)
				held := 0
				for _, a := range tn.accounts("") {
					if a.Held {
						held++
					} else if a.Status != policy.StatusDisabled && a.UserName != "boss" {
						t.Errorf("%s is %s", a.UserName, a.Status)
					}
				}
				if want := map[bool]int{false: 12, true: 0}[reviewed]; held != want {
					t.Errorf("%d are held, want %d", held, want)
				}
			})
		})
	}
}

// The last site admin cannot be taken out in a pause either, and a job that was under way
// goes on when the connection resumes.
func TestPauseKeepsGuardsAndJobs(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Admins"}`)
		tn.engine.Limits = provision.Limits{Inline: 1, Batch: 1}
		ann, bob := tn.user(`{"userName":"ann"}`), tn.user(`{"userName":"bob"}`)
		tn.group("Admins", ann)
		it := tn.group("IT", ann)
		tn.join(it, bob)
		tn.rename(it, "IT 2") // is left to a job
		if _, err := tn.by().SetMode(t.Context(), provision.ModeChange{Mode: provision.ModePaused, Until: tn.clock.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		var guard *provision.GuardError
		if err := tn.dir.Delete(t.Context(), "User", ann, nil); !errors.As(err, &guard) {
			t.Errorf("the last site admin is taken out: %v", err)
		}
		tn.runOnce()
		if got := groupNames(tn.account("bob")); slices.Contains(got, "IT 2") {
			t.Errorf("the job goes on in the pause: %v", got)
		}
		tn.mode(provision.ModeChange{Mode: provision.ModeLive})
		if got := groupNames(tn.account("bob")); !slices.Contains(got, "IT 2") {
			t.Errorf("the job was forgotten: %v", got)
		}
	})
}

// What rests on logins does not lapse in a pause, and is made up for when it is over.
func TestPauseStopsLapse(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"roles":[{"groups":"Board","role":"r"}],"roleEvidenceMaxAgeDays":2}`)
		_, err := tn.dir.Login(t.Context(), provision.Identity{
			UserName: "ann", Evidence: policy.EvidenceKnown, Groups: []provision.IdentityGroup{{Name: "Board", Value: "Board"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tn.pause()
		tn.clock.add(5 * 24 * time.Hour)
		tn.runOnce()
		if got := tn.account("ann").Roles; !slices.Equal(got, []string{"r"}) {
			t.Errorf("in the pause, ann has the roles %v", got)
		}
		tn.mode(provision.ModeChange{Mode: provision.ModeLive})
		if got := tn.account("ann").Roles; len(got) > 0 {
			t.Errorf("after the pause, ann has the roles %v", got)
		}
	})
}

// A directory is not read by the clock in a pause; in shadow it is.
func TestModesOfDirectories(t *testing.T) {
	for mode, want := range map[provision.Mode]bool{provision.ModeShadow: true, provision.ModePaused: false, provision.ModeLive: true} {
		t.Run(string(mode), func(t *testing.T) {
			tn := newShadow(t, memory.New(), `{}`)
			read := false
			tn.engine.SyncSource = func(context.Context, provision.Connection, string) (provision.SyncSource, error) {
				read = true
				return nil, errors.New("away")
			}
			if mode != provision.ModeShadow {
				tn.goLive()
			}
			if mode == provision.ModePaused {
				tn.pause()
			}
			_, err := tn.by().UpdateConnection(t.Context(), func(c *provision.Connection) error {
				c.LDAP = &provision.LDAP{URLs: []string{"ldaps://dc.example"}, BaseDNs: []string{"DC=example"}}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			_ = tn.engine.RunOnce(t.Context()) // the directory is away
			if read != want {
				t.Errorf("the directory is read: %t, want %t", read, want)
			}
		})
	}
}
