package provision_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// The table of precedence in docs/policy.md: who writes a person or a group says what the
// others may do with it. SCIM comes before a sync, and a sync before a login.

// sources are those that write people and groups, the highest first.
var sources = []store.Source{store.SourceSCIM, store.SourceSync, store.SourceJIT}

// outcome is what becomes of what one source wrote when another one says something else.
type outcome struct {
	cell    string // of docs/policy.md
	written bool   // what it says
	owner   store.Source
}

func stays(owner store.Source) outcome { return outcome{"stays", false, owner} }

func written(by store.Source) outcome { return outcome{"written", true, by} }

func takesOver(by store.Source) outcome { return outcome{"taken over", true, by} }

// precedence has for each owner what each writer does, in the order of sources.
var precedence = map[store.Source][3]outcome{
	store.SourceSCIM: {written("scim"), stays("scim"), stays("scim")},
	store.SourceSync: {takesOver("scim"), written("sync"), stays("sync")},
	store.SourceJIT:  {takesOver("scim"), takesOver("sync"), written("jit")},
}

// writes has a source say something of the person "ann": the first time, or something else.
func (tn *tenant) writes(by store.Source, id, title string) {
	tn.t.Helper()
	body := fmt.Sprintf(`{"userName":"ann","externalId":"1","displayName":%q,"active":true}`, title)
	switch {
	case by == store.SourceJIT:
		mustLogin(tn.t, tn, provision.Identity{ID: "1", UserName: "ann", DisplayName: title})
	case by == store.SourceSync:
		tn.sync(listed{users: []string{body}}, provision.SyncOptions{})
	case id == "":
		tn.user(body)
	default:
		tn.set(id, body)
	}
}

// What the names and attributes of a person become.
func TestPrecedenceOfAttributes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for _, owner := range sources {
			for i, writer := range sources {
				name := fmt.Sprintf("%s after %s", writer, owner)
				tn := newTenant(t, scoped{st, name}, `{"provisionOnFirstLogin":true,"externalIdImmutable":true}`)
				tn.writes(owner, "", "first")
				ann := tn.account("ann")
				tn.writes(writer, ann.ResourceID, "second")
				want := precedence[owner][i]
				a := tn.account("ann")
				r, err := tn.dir.Get(t.Context(), "User", a.ResourceID, 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := a.DisplayName == "second"; a.ID != ann.ID || got != want.written || r.Source != want.owner {
					t.Errorf("%s: written %t, owner %s; want %+v", name, got, r.Source, want)
				}
				// Whoever is highest goes on, and the owner from before does not where it is lower.
				tn.writes(owner, ann.ResourceID, "third")
				if got := tn.account("ann").DisplayName == "third"; got != (want.owner == owner || owner == store.SourceSCIM) {
					t.Errorf("%s, and %s again: written %t", name, owner, got)
				}
			}
		}
	})
}

// says has a source say that some of the people are in the group "Team".
func (tn *tenant) says(by store.Source, group string, members ...string) {
	tn.t.Helper()
	switch by {
	case store.SourceJIT:
		for _, name := range []string{"ann", "bob"} {
			id := provision.Identity{UserName: name, Groups: asserted()}
			for _, m := range members {
				if m == name {
					id.Groups = asserted("Team")
				}
			}
			mustLogin(tn.t, tn, id)
		}
	case store.SourceSync:
		tn.from(chained{
			users:  []provision.SyncUser{{Content: content(tn.t, "User", `{"userName":"root","active":true}`)}},
			groups: []provision.SyncGroup{{Content: content(tn.t, "Group", `{"displayName":"Team"}`), Members: members}},
		}, provision.SyncOptions{})
	case store.SourceSCIM:
		ids := []string{}
		for _, m := range members {
			ids = append(ids, tn.account(m).ResourceID)
		}
		if group == "" {
			tn.group("Team", ids...)
			return
		}
		if err := tn.replaceMembers(group, ids); err != nil {
			tn.t.Fatal(err)
		}
	}
}

// Who is a member of a group: another source adds somebody, and does not name who is in it.
func TestPrecedenceOfMembers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for _, owner := range sources {
			for i, writer := range sources {
				name := fmt.Sprintf("%s after %s", writer, owner)
				tn := newTenant(t, scoped{st, name + " in groups"}, `{"provisionOnFirstLogin":true}`)
				for _, person := range []string{"ann", "bob"} {
					mustLogin(t, tn, provision.Identity{UserName: person, Groups: asserted()})
				}
				tn.says(owner, "", "ann")
				group := tn.account("ann").Groups[0].ID
				tn.says(writer, group, "bob")
				want := []string{"ann"}
				if precedence[owner][i].written {
					want = []string{"bob"}
				}
				expectSame(t, name, want, tn.whoHas("Team"))
				r, err := tn.dir.Get(t.Context(), "Group", group, 0)
				if err != nil || r.Source != precedence[owner][i].owner {
					t.Errorf("%s: the owner is %v, %v", name, r.Source, err)
				}
			}
		}
	})
}

// Blocks have no rank: whoever writes the person, each source sets and lifts its own, and
// all must be lifted. A login neither sets nor lifts any.
func TestPrecedenceOfBlocks(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for _, owner := range sources {
			for _, blocker := range []store.Source{store.SourceSCIM, store.SourceSync, store.SourceOperator} {
				for _, lifter := range append(sources, store.SourceOperator) {
					name := fmt.Sprintf("owner %s, blocked by %s, lifted by %s", owner, blocker, lifter)
					tn := newTenant(t, scoped{st, name}, `{"provisionOnFirstLogin":true,"externalIdImmutable":true}`)
					tn.writes(owner, "", "Ann")
					tn.block(blocker, true)
					if got := tn.account("ann").Status; got != policy.StatusDisabled {
						t.Errorf("%s: blocked, she is %s", name, got)
					}
					tn.block(lifter, false)
					want := policy.StatusDisabled
					if lifter == blocker {
						want = policy.StatusActive
					}
					if got := tn.account("ann").Status; got != want {
						t.Errorf("%s: she is %s, want %s", name, got, want)
					}
				}
			}
		}
	})
}

// block has a source say whether ann may be active.
func (tn *tenant) block(by store.Source, blocked bool) {
	tn.t.Helper()
	a := tn.account("ann")
	body := fmt.Sprintf(`{"userName":"ann","externalId":"1","displayName":"Ann","active":%t}`, !blocked)
	var err error
	switch by {
	case store.SourceSCIM:
		tn.set(a.ResourceID, body)
	case store.SourceSync:
		tn.sync(listed{users: []string{body}}, provision.SyncOptions{})
	case store.SourceJIT:
		var refused *provision.DeniedError
		if _, err = loginAs(tn, provision.Identity{ID: "1", UserName: "ann"}); errors.As(err, &refused) {
			err = nil
		}
	default:
		d := tn.engine.Directory("acme").As(tester)
		if blocked {
			err = d.Disable(tn.t.Context(), a.ID)
		} else {
			err = d.Enable(tn.t.Context(), a.ID)
		}
	}
	if err != nil {
		tn.t.Fatal(err)
	}
}

// The page for administrators has the same table.
func TestPrecedenceIsDocumented(t *testing.T) {
	data, err := os.ReadFile("docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		title string
		owner store.Source
	}{{"SCIM", store.SourceSCIM}, {"a sync", store.SourceSync}, {"logins", store.SourceJIT}} {
		cells := []string{row.title}
		for _, o := range precedence[row.owner] {
			cells = append(cells, o.cell)
		}
		if line := "| " + strings.Join(cells, " | ") + " |"; !strings.Contains(string(data), "\n"+line+"\n") {
			t.Errorf("docs/policy.md has no row %s", line)
		}
	}
}
