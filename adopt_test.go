package provision_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// syncAll runs a full sync.
func syncAll(tn *tenant, src listed) provision.SyncReport {
	tn.t.Helper()
	report, err := tn.dir.As(provision.Actor{Kind: "sync"}).Sync(tn.t.Context(), src, provision.SyncOptions{})
	if err != nil {
		tn.t.Fatal(err)
	}
	return report
}

// TestSyncAdopts has a sync bring people and groups whom logins have created, by
// their name, by an address, and with the same content.
func TestSyncAdopts(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		mustLogin(t, tn, provision.Identity{UserName: "ann", Groups: asserted("Wiki")})
		mustLogin(t, tn, provision.Identity{UserName: "bob.kim@example.com", Email: "bob.kim@example.com"})
		mustLogin(t, tn, provision.Identity{UserName: "eve"})
		src := listed{
			t: t, users: []string{`{"userName":"ANN","externalId":"1"}`, `{"userName":"bob@corp","emails":[{"value":"bob.kim@example.com"}]}`, `{"userName":"eve","active":true}`},
			groups: map[string][]string{"WIKI": {"ANN"}},
		}
		syncAll(tn, src)
		list, err := tn.dir.Accounts(t.Context(), store.AccountQuery{})
		if err != nil || len(list) != 3 {
			t.Fatalf("%d accounts, error %v", len(list), err)
		}
		if a := tn.account("ann"); a.ExternalID != "1" {
			t.Errorf("ann was not adopted: %+v", a)
		}
		for _, name := range []string{"ann", "eve"} {
			mustLogin(t, tn, provision.Identity{UserName: name, DisplayName: "by a login"})
			if got := tn.account(name).DisplayName; got != "" {
				t.Errorf("%s was adopted, and a login still gives the name %q", name, got)
			}
		}
		src.users = src.users[:1]
		syncAll(tn, src)
		tn.expectStatus("ann", policy.StatusActive)
		tn.expectStatus("eve", policy.StatusDisabled)
		tn.expectStatus("bob@corp", policy.StatusDisabled)
	})
}

// TestOperatorTouches has an operator change what only logins have written:
// logins go on, and SCIM adopts.
func TestOperatorTouches(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		ann := mustLogin(t, tn, provision.Identity{ID: "1", UserName: "ann", Groups: asserted("Wiki")})
		bob, carl := tn.user(`{"userName":"bob"}`), tn.user(`{"userName":"carl"}`)
		operator := *tn
		operator.dir = tn.engine.Directory("acme").As(tester)
		operator.join(ann.Groups[0].ID, bob)
		operator.set(ann.ResourceID, `{"userName":"ann","title":"Lead","emails":[{"value":"a@home.example","type":"home"},{"value":"a@example.com","primary":true}]}`)

		mustLogin(t, tn, provision.Identity{ID: "3", UserName: "carl", Groups: asserted("Wiki")})
		if diff := cmp.Diff([]string{"Wiki"}, groupNames(tn.account("carl"))); diff != "" {
			t.Errorf("groups of carl (-want +got):\n%s", diff)
		}
		if a := mustLogin(t, tn, provision.Identity{ID: "1", UserName: "ann", DisplayName: "Annie"}); a.DisplayName != "Annie" {
			t.Errorf("the name is %q", a.DisplayName)
		} else if a.Email != "a@example.com" {
			t.Errorf("the e-mail is %q, want the primary one", a.Email)
		}
		_, err := tn.dir.Login(t.Context(), provision.Identity{ID: "2", UserName: "eve", Email: "a@example.com"})
		var refused *provision.DeniedError
		if !errors.As(err, &refused) || refused.Code != policy.DeniedConflict {
			t.Errorf("somebody else with the e-mail of ann: %v, want a conflict", err)
		}
		if got := tn.group("Wiki", carl); got != ann.Groups[0].ID {
			t.Errorf("SCIM made another group")
		}
	})
}

// A sync finds groups by their names as everybody does, whatever white space is at
// their ends, and people with it.
func TestSyncFindsNames(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.as("sync").user(`{"userName":"ann"}`)
		sales := tn.as("sync").group("Sales")
		const padded = " sales"
		report := syncAll(tn, listed{t: t, users: named("ANN", "ann "), groups: map[string][]string{padded: {"ann"}, "All": {"SALES ", "ſales"}}})
		if report.ProblemCount != 1 || report.Groups.Created != 1 || report.MembersAdded != 2 || report.MembersUnknown != 1 {
			t.Errorf("the sync reports %+v", report)
		}
		if r, err := tn.dir.Get(t.Context(), "Group", sales, 0); err != nil || r.Display != padded {
			t.Errorf("the group is %+v, %v", r, err)
		}
	})
}

// A sync does not take somebody over who is bound to another immutable id.
func TestSyncMeetsAnotherID(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		ann := mustLogin(t, tn, provision.Identity{ID: "1", UserName: "ann"})
		mustLogin(t, tn, provision.Identity{ID: "3", UserName: "kim"})
		tn.setPolicy(`{"provisionOnFirstLogin":true,"externalIdImmutable":true}`)
		report := syncAll(tn, listed{t: t, users: []string{`{"userName":"ANN","externalId":"2"}`, `{"userName":"kim","externalId":"3"}`}})
		if report.ProblemCount != 1 || report.Users.Updated != 1 || tn.account("kim").ExternalID != "3" {
			t.Errorf("the sync reports %+v", report)
		}
		if a := mustLogin(t, tn, provision.Identity{ID: "1", UserName: "ann"}); a.ID != ann.ID || a.ExternalID != "1" {
			t.Errorf("ann is %+v", a)
		}
	})
}

// An externalId that is not immutable may be another person's some day: alone it
// means only whom the source had last.
func TestSyncRecycledIDs(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		synced := func(want provision.SyncCounts, users ...string) {
			t.Helper()
			report := tn.sync(listed{users: users}, provision.SyncOptions{Force: true})
			report.Users.Seen, report.Users.LeftAlone = 0, 0
			expectSame(t, "users", want, report.Users)
			expectSame(t, "problems", nil, report.Problems)
		}
		const root = `{"userName":"root","externalId":"0"}`
		synced(provision.SyncCounts{Created: 3}, root, `{"userName":"bar","externalId":"1"}`, `{"userName":"old","externalId":"9"}`)
		bar, old, foo := tn.account("bar").ID, tn.account("old").ID, tn.user(`{"userName":"foo","externalId":"1"}`)

		// A user of SCIM with the same id is in nobody's way.
		synced(provision.SyncCounts{Updated: 1, Unchanged: 2}, root, `{"userName":"bar","externalId":"1","title":"Lead"}`, `{"userName":"old","externalId":"9"}`)
		synced(provision.SyncCounts{Updated: 1, Unchanged: 2}, root, `{"userName":"baz","externalId":"1"}`, `{"userName":"old","externalId":"9"}`)
		if a := tn.account("baz"); a.ID != bar {
			t.Error("a renamed user is another one")
		}
		// Nor does it become one of the source's because the source's id moved.
		five := tn.user(`{"userName":"five","externalId":"5"}`)
		synced(provision.SyncCounts{Created: 1, Updated: 1, Unchanged: 1, Absent: 1}, root, `{"userName":"old","externalId":"5"}`, `{"userName":"new","externalId":"9"}`)
		if tn.account("five").ResourceID != five || tn.account("foo").ResourceID != foo || tn.account("new").ID != old {
			t.Error("somebody was overwritten")
		}
		// Who comes with the id of somebody absent is somebody new.
		at := tn.lastEvent()
		synced(provision.SyncCounts{Created: 1, Unchanged: 3}, root, `{"userName":"old","externalId":"5"}`, `{"userName":"new","externalId":"9"}`, `{"userName":"hire","externalId":"1"}`)
		if tn.account("hire").ID == bar || tn.countEvents(at, store.AccountIdentityRecycled) != 1 {
			t.Error("somebody new inherited")
		}
		tn.expectStatus("baz", policy.StatusDisabled)
	})
}

// answers is a Linker that counts how often it is asked.
type answers struct {
	list  []provision.LocalAccount
	err   error
	asked int
}

func (a *answers) LocalAccounts(context.Context, string, provision.LocalQuery) ([]provision.LocalAccount, error) {
	a.asked++
	return a.list, a.err
}

// TestLinker asks the host whenever somebody new is created, by whatever way,
// and never for people who are known.
func TestLinker(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"deprovisionMethod":"delete"}`)
		known, eve := tn.user(`{"userName":"known"}`), tn.user(`{"userName":"eve"}`)
		tn.set(eve, `{"userName":"eve","active":false}`)
		host := &answers{err: errors.New("the host is down")}
		tn.engine.Linker = host

		mustLogin(t, tn, provision.Identity{UserName: "known"})
		tn.set(known, `{"userName":"known","displayName":"K"}`)
		if host.asked != 0 {
			t.Errorf("the host was asked %d times for people who are known", host.asked)
		}
		if _, err := loginAs(tn, provision.Identity{UserName: "ann"}); !errors.Is(err, host.err) {
			t.Errorf("the error of the host is %v", err)
		}
		host.err, host.list = nil, []provision.LocalAccount{{ID: "h1", UserName: "EVE", SSO: true}}
		tn.set(eve, `{"userName":"eve","active":true}`)
		if got := tn.account("eve").HostID; got != "h1" {
			t.Errorf("the fresh account is linked to %q", got)
		}
		host.list = []provision.LocalAccount{{ID: "h2", UserName: "root", Email: "root@example.com", Admin: true}}
		report := syncAll(tn, listed{t: t, users: []string{
			`{"userName":"new1"}`, `{"userName":"x","emails":[{"value":"root@example.com"}]}`, `{"userName":"new2"}`,
		}})
		if report.ProblemCount != 1 || report.Users.Created != 2 || len(tn.accounts("x")) != 0 || len(tn.accounts("new2")) != 1 {
			t.Errorf("the sync reports %+v", report)
		}
	})
}

// TestSyncTakesGroupsOver has a sync bring a group of logins: its members are those
// of the source, a login adds nobody, and it goes when the source has it no longer.
func TestSyncTakesGroupsOver(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"siteAdminGroups":"Boss","requiredGroups":"Boss,Staff"}`)
		all := []string{"ann", "zed", "kim", "jit"}
		for _, name := range all {
			mustLogin(t, tn, provision.Identity{UserName: name, Groups: asserted("Boss", "Staff")})
		}
		admins := func(want ...string) {
			t.Helper()
			for _, name := range all {
				if a := tn.account(name); a.SiteAdmin != slices.Contains(want, name) {
					t.Errorf("%s is a site admin: %v", name, a.SiteAdmin)
				}
			}
		}
		src := listed{t: t, users: named("ann", "zed", "kim"), groups: map[string][]string{"boss": {"zed", "kim"}, "staff": {"ann"}}}
		report := syncAll(tn, src)
		if report.MembersAdded != 3 || report.MembersRemoved != 5 || report.Groups.Updated != 2 {
			t.Errorf("the sync reports %+v", report)
		}
		admins("zed", "kim")
		tn.expectStatus("jit", policy.StatusDisabled)
		for _, g := range tn.account("zed").Groups {
			if g.Source != store.SourceSync {
				t.Errorf("zed has %+v", g)
			}
		}
		mustLogin(t, tn, provision.Identity{UserName: "ann", Groups: asserted("Boss")})
		mustLogin(t, tn, provision.Identity{UserName: "zed", Groups: asserted()})
		admins("zed", "kim")

		src.groups = map[string][]string{"staff": {"ann", "kim"}, "root": {"zed"}}
		tn.setPolicy(`{"siteAdminGroups":"Boss,root"}`)
		syncAll(tn, src)
		admins("zed")
		expectSame(t, "groups of kim", []string{"staff"}, groupNames(tn.account("kim")))
	})
}

// Whom a sync added to a group before SCIM took it over leaves it when the source has the
// group no longer; the group and the others stay. The mass guard counts them.
func TestSyncLeavesGroupsOfOthers(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Boss","requiredGroups":"Boss,Rest"}`)
		kim := tn.user(`{"userName":"kim"}`)
		names := many(12)
		with := listed{t: t, users: named(names...), groups: map[string][]string{"Boss": names, "Rest": {"u000"}}}
		without := listed{t: t, users: with.users, groups: map[string][]string{"Rest": {"u000"}}}
		syncAll(tn, with)
		boss := tn.account("u001").Groups[0].ID
		tn.join(boss, kim)
		if n := len(tn.withStatus(policy.StatusActive)); n != 13 {
			t.Fatalf("%d are active", n)
		}
		if report := tn.sync(without, provision.SyncOptions{DryRun: true}); !report.Held {
			t.Errorf("the sync would report %+v", report)
		}
		report, err := tn.dir.Sync(t.Context(), without, provision.SyncOptions{Force: true})
		if err != nil || report.MembersRemoved != 12 || report.Groups.LeftAlone != 1 || report.Groups.Unchanged != 1 {
			t.Errorf("the sync reports %+v, %v", report, err)
		}
		expectSame(t, "active", []string{"kim", "u000"}, tn.withStatus(policy.StatusActive))
		if a := tn.account("u000"); a.SiteAdmin || !tn.account("kim").SiteAdmin {
			t.Errorf("rights of kim are gone, or those of %+v are not", a)
		}
		if _, err := tn.dir.Get(t.Context(), "Group", boss, 0); err != nil {
			t.Error(err)
		}
		report = syncAll(tn, without)
		if report.MembersRemoved != 0 || report.Groups.Updated != 0 {
			t.Errorf("the next sync reports %+v", report)
		}
	})
}

// The mass guard sees who would lose access because a sync takes groups over.
func TestSyncTakesOverTooMuch(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"requiredGroups":"Staff"}`)
		names := many(20)
		for _, name := range names {
			mustLogin(t, tn, provision.Identity{UserName: name, Groups: asserted("Staff")})
		}
		report := syncAll(tn, listed{t: t, users: named(names...), groups: map[string][]string{"Staff": names[:5]}})
		if !report.Held || len(tn.withStatus(policy.StatusActive)) != 20 {
			t.Errorf("%d are active after %+v", len(tn.withStatus(policy.StatusActive)), report)
		}
		report = syncAll(tn, listed{t: t, users: named(names...), groups: map[string][]string{"Staff": names}})
		if report.MembersAdded != 15 || len(tn.withStatus(policy.StatusActive)) != 20 {
			t.Errorf("%d are active after %+v", len(tn.withStatus(policy.StatusActive)), report)
		}
	})
}
