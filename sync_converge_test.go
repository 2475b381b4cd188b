package provision_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

var syncPeople = flag.Int("people", 200, "how many people TestSyncConvergesToFresh has; 10000 take minutes")

// staff is a directory that changes at random.
type staff struct {
	t      *testing.T
	r      *rand.Rand
	next   int
	people []*employee
}

type employee struct {
	id, name, title string
	out             bool
	teams           []int
}

const teams = 12

func (s *staff) hire() {
	s.next++
	e := &employee{id: fmt.Sprintf("id-%d", s.next), name: fmt.Sprintf("p%d", s.next)}
	s.people = append(s.people, e)
	s.move(e)
}

func (s *staff) move(e *employee) {
	e.teams = nil
	for range s.r.IntN(3) {
		if n := s.r.IntN(teams); !slices.Contains(e.teams, n) {
			e.teams = append(e.teams, n)
		}
	}
}

// happen changes some of the people: renamed, also to names that others had, moved,
// disabled, back, gone, and new ones.
func (s *staff) happen(times int) {
	for range times {
		i := s.r.IntN(len(s.people))
		e := s.people[i]
		switch s.r.IntN(7) {
		case 0:
			s.next++
			e.name = fmt.Sprintf("p%d", s.next)
		case 1: // one gets the name of another, who gets a new one
			if other := s.people[s.r.IntN(len(s.people))]; other != e {
				s.next++
				e.name, other.name = other.name, fmt.Sprintf("p%d", s.next)
			}
		case 2:
			s.move(e)
		case 3:
			e.out = !e.out
		case 4: // somebody gets the name of one who goes
			s.people[i] = &employee{id: fmt.Sprintf("id-%s-%d", e.name, s.next), name: e.name}
			s.next++
			s.move(s.people[i])
		case 5:
			if len(s.people) > 2 {
				s.people = slices.Delete(s.people, i, i+1)
			}
			s.hire()
		case 6:
			e.title = fmt.Sprint(s.r.IntN(3))
		}
	}
}

// source is the directory as it is now, in random order.
func (s *staff) source() chained {
	var src chained
	members := make([][]string, teams)
	for _, i := range s.r.Perm(len(s.people)) {
		e := s.people[i]
		u := provision.SyncUser{Key: "cn=" + e.id, Content: content(s.t, "User", fmt.Sprintf(`{"externalId":%q,"userName":%q,"title":%q,"active":%t}`, e.id, e.name, "T"+e.title, !e.out))}
		src.users = append(src.users, u)
		for _, n := range e.teams {
			members[n] = append(members[n], u.Key)
		}
	}
	for _, n := range s.r.Perm(teams) {
		src.groups = append(src.groups, team(s.t, fmt.Sprintf("g%d", n), fmt.Sprintf("Team %d", n), members[n]...))
	}
	return src
}

// told is what is compared of an account.
type toldAccount struct {
	Name   string
	Title  string
	Status policy.Status
	Groups []string
	Roles  []string
}

// byExternalID returns the accounts that have not been left behind by others of the name.
func (tn *tenant) byExternalID() map[string]toldAccount {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	out := map[string]toldAccount{}
	for _, a := range list {
		if a.ResourceID == "" && a.Status != policy.StatusActive {
			continue
		}
		groups := groupNames(a)
		slices.Sort(groups)
		out[a.ExternalID] = toldAccount{a.UserName, string(a.Attributes["title"]), a.Status, groups, a.Roles}
	}
	return out
}

// People who are renamed, moved, disabled, gone and come in any order end as they would
// by a first sync, whether everything is read each time or only what changed.
func TestSyncConvergesToFresh(t *testing.T) {
	const config = `{"roles":[{"groups":"Team 1*","role":"editor"}]}`
	start := func(t *testing.T, st store.Store) *tenant {
		tn := newTenant(t, st, config)
		tn.engine.Limits = provision.Limits{Deprovision: -1, Inline: 50, InlineMembers: 40}
		_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error {
			c.Attributes = []string{"title"}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return tn
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		s := &staff{t: t, r: rand.New(rand.NewPCG(3, 4))}
		for range *syncPeople {
			s.hire()
		}
		tn := start(t, st)
		for round := range 4 {
			src := s.source()
			if report := tn.from(src, provision.SyncOptions{}); report.ProblemCount > 0 {
				t.Fatalf("round %d: %+v", round, report)
			}
			tn.runOnce()
			fresh := start(t, memory.New())
			fresh.from(src, provision.SyncOptions{})
			fresh.runOnce()
			want, got := fresh.byExternalID(), tn.byExternalID()
			for id, a := range got {
				if _, known := want[id]; !known {
					if a.Status == policy.StatusActive {
						t.Errorf("round %d: %s is gone and active", round, id)
					}
					delete(got, id)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("round %d (-fresh +synced):\n%s", round, diff)
			}
			at := tn.lastEvent()
			tn.from(src, provision.SyncOptions{})
			if n := tn.lastEvent(); n != at {
				t.Errorf("round %d: a second sync made %d events", round, n-at)
			}
			s.happen(*syncPeople / 2)
		}
	})
}
