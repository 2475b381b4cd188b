package ldap_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
)

// People who are renamed, moved, disabled and regrouped in random order, between syncs of
// changes and whole ones, end as after the first sync of what is there.
func TestSyncsConverge(t *testing.T) {
	const people, groups = 60, 6
	ldif := ldaptest.LDIF(people, groups, 10) + `dn: ou=berlin,ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: berlin

`
	t.Run("slapd", func(t *testing.T) {
		converge(t, ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldif, Database: "overlay refint\nrefint_attributes member\nrefint_nothing cn=nothing"}), people, groups)
	})
	t.Run("389", func(t *testing.T) {
		converge(t, ldaptest.DS389(t, ldaptest.DS389Options{LDIF: ldif, Referint: true}), people, groups)
	})
}

func converge(t *testing.T, d *ldaptest.Server, people, groups int) {
	t.Helper()
	server := open(t, settings(d), d.Password)
	e := newEngine(t, nil)
	mark := ""
	run := func(since string) {
		src, err := server.Source(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		report, err := e.Directory("dir").Sync(t.Context(), src, provision.SyncOptions{Changes: since != "", Force: true})
		problems := slices.DeleteFunc(report.Problems, func(p provision.SyncProblem) bool {
			return since != "" && p.Code == "sync_members_unknown" // who was moved out, until everything is read
		})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		mark = cmp.Or(src.(interface{ Mark() string }).Mark(), mark)
	}
	run("")
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // for a test
	rdns, below := make([]string, people), make([]string, people)
	for i := range people {
		rdns[i], below[i] = fmt.Sprintf("uid=user%d", i), d.People
	}
	for step := range 150 {
		i := random.IntN(people)
		dn := rdns[i] + "," + below[i]
		switch random.IntN(4) {
		case 0:
			rdns[i] = fmt.Sprintf("uid=user%d-%d", i, step)
			d.Move(t, dn, rdns[i], "")
		case 1:
			below[i] = []string{d.People, "ou=berlin," + d.People, d.Groups}[random.IntN(3)] // the last is out
			d.Move(t, dn, rdns[i], below[i])
		case 2:
			d.Replace(t, dn, "mail", fmt.Sprintf("u%d-%d@example.com", i, random.IntN(3)))
		case 3:
			members := []string{dn}
			for _, k := range random.Perm(people)[:random.IntN(8)] {
				if k != i {
					members = append(members, rdns[k]+","+below[k])
				}
			}
			d.Replace(t, fmt.Sprintf("cn=group%d,ou=groups,dc=example,dc=com", random.IntN(groups)), "member", members...)
		}
		switch random.IntN(12) {
		case 0:
			run("")
		case 1, 2:
			run(mark)
		}
	}
	run("")
	fresh := newEngine(t, nil)
	if _, err := sync(t, fresh, server); err != nil {
		t.Fatal(err)
	}
	got, want := state(t, e), state(t, fresh)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("after changes (-fresh +got):\n%s", diff)
	}
	if len(want) == people || slices.Contains(rdns, "") {
		t.Error("nobody was moved out")
	}
}
