package ldap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

const blind = "cn=blind,dc=example,dc=com"

// hiding are rules of a server by which an account does not see what the other one does.
var hiding = []struct {
	name    string
	rule    string // before those of everybody
	filter  string
	members int
	problem string // of the group that has changed
}{
	{"nothing", "", "", 30, ""},
	{"people", `access to dn.children="ou=people,dc=example,dc=com" by dn.exact="` + blind + `" none by * read`, "", 30, "sync_members_unknown"},
	{"people, of a large group", `access to dn.children="ou=people,dc=example,dc=com" by dn.exact="` + blind + `" none by * read`, "", 250, "sync_members_unknown"},
	{"what a filter is about", `access to dn.children="ou=people,dc=example,dc=com" attrs=objectClass by dn.exact="` + blind + `" none by * read`, "", 30, "sync_members_unknown"},
	{"what another filter is about", `access to dn.children="ou=people,dc=example,dc=com" attrs=mail by dn.exact="` + blind + `" none by * read`, "(mail=*)", 30, "sync_members_unknown"},
	{"the same, of more than are looked up", `access to dn.children="ou=people,dc=example,dc=com" attrs=mail by dn.exact="` + blind + `" none by * read`, "(mail=*)", 250, "sync_members_unknown"},
	{"ids", `access to dn.children="ou=people,dc=example,dc=com" attrs=entryUUID by dn.exact="` + blind + `" none by * read`, "", 30, ""}, // the entries are among the changes
}

// Rights on people that were lost since the last whole sync empty no group that changes
// before the next.
func TestChangesOfHiddenMembers(t *testing.T) {
	for _, tt := range hiding {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(tt.members+1, 1, tt.members), Database: tt.rule + "\naccess to * by * read"})
			d.Add(t, blind, map[string][]string{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"blind"}, "userPassword": {d.Password}})
			filter := func(s *provision.LDAP) { s.Filter = tt.filter }
			e := newEngine(t, nil)
			if _, err := sync(t, e, open(t, settings(d, filter), d.Password)); err != nil {
				t.Fatal(err)
			}
			mark := mustRead(t, open(t, settings(d, filter), d.Password), "").mark
			before := state(t, e)
			server := open(t, settings(d, filter, func(s *provision.LDAP) { s.BindDN = blind }), d.Password)
			src, err := server.Source(t.Context(), mark) // within the overlap all has changed
			if err != nil {
				t.Fatal(err)
			}
			report, err := e.Directory("dir").Sync(t.Context(), src, provision.SyncOptions{Changes: true})
			if err != nil || report.Groups.Seen != 1 || report.MembersRemoved != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			found := slices.ContainsFunc(report.Problems, func(p provision.SyncProblem) bool { return p.Type == provision.TypeGroup && p.Code == tt.problem })
			if found != (tt.problem != "") {
				t.Errorf("problems %+v, want %q", report.Problems, tt.problem)
			}
			if diff := gocmp.Diff(before, state(t, e)); diff != "" {
				t.Errorf("people (-before +after):\n%s", diff)
			}
		})
	}
}

// A member of another kind, or of another part of the directory, is no problem.
func TestChangesOfOtherMembers(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(3, 1, 2)})
	server := open(t, settings(d), d.Password)
	mark := mustRead(t, server, "").mark
	for _, tt := range []struct{ member, problem string }{
		{d.People, ""}, // it is to be seen, and nobody
		{d.Reader, ""},
		{"uid=of-another-domain,dc=example,dc=org", ""},
		{"uid=gone,ou=people,dc=example,dc=com", ""}, // nor this one
	} {
		d.Replace(t, "cn=group0,ou=groups,dc=example,dc=com", "member", tt.member, "uid=user0,ou=people,dc=example,dc=com")
		got := mustRead(t, server, mark)
		if g := got.groups["group0"]; g.Problem != tt.problem || tt.problem == "" && (len(g.Members) != 2 || !slices.Contains(g.Members, text(got.users["user0"].Content, "externalId"))) {
			t.Errorf("%s: problem %q, members %q", tt.member, g.Problem, g.Members)
		}
	}
}

// A member who is gone, and whose name is left in a group, keeps nobody in it but themself.
func TestChangesOfDanglingMembers(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(5, 1, 3)})
	server, e := open(t, settings(d), d.Password), newEngine(t, nil)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	mark := mustRead(t, server, "").mark
	dn := func(n string) string { return "uid=user" + n + ",ou=people,dc=example,dc=com" }
	d.Delete(t, dn("0")) // is left in the group
	d.Replace(t, "cn=group0,ou=groups,dc=example,dc=com", "member", dn("0"), dn("2"), dn("3"), "uid=of-another-domain,dc=example,dc=org")
	src, err := server.Source(t.Context(), mark)
	if err != nil {
		t.Fatal(err)
	}
	report, err := e.Directory("dir").Sync(t.Context(), src, provision.SyncOptions{Changes: true})
	if err != nil || report.MembersAdded != 1 || report.MembersRemoved != 1 || report.ProblemCount != 1 || report.Problems[0].Code != "sync_members_unknown" {
		t.Errorf("%+v, %v", report, err)
	}
	var in []string
	for name, groups := range state(t, e) {
		if slices.Contains(groups, "group0") {
			in = append(in, name)
		}
	}
	slices.Sort(in)
	if want := []string{"user0", "user2", "user3"}; !slices.Equal(in, want) {
		t.Errorf("in the group are %q, want %q", in, want)
	}
}

// A group whose members have it as their primary group is not without members where
// primary groups are not to be seen.
func TestChangesOfPrimaryGroup(t *testing.T) {
	for _, tt := range []struct {
		name, problem string
		seen          bool
	}{{"nobody has it", "", true}, {"nobody is to be seen", ldap.ProblemMembers, false}} {
		f := ldaptest.NewFake(t)
		f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
			switch {
			case m.Scope == gldap.BaseObject:
				a.Entry(m.BaseDN, map[string][]string{"objectClass": {"top"}, "highestCommittedUSN": {"9"}, "dsServiceName": {"dc"}})
				a.Done(gldap.ResultSuccess)
			case strings.Contains(m.Filter, "(objectCategory=group)"):
				a.Entry("cn=users,ou=groups,dc=example,dc=com", map[string][]string{
					"cn": {"users"}, "objectGUID": {"0123456789abcdef"},
					"objectSid": {"\x01\x02\x00\x00\x00\x00\x00\x05" + "\x15\x00\x00\x00" + "\x01\x02\x00\x00"},
				})
				a.Page("")
			case strings.Contains(m.Filter, "(primaryGroupID=*)"):
				if tt.seen {
					a.Entry(ldaptest.Person(0))
				}
				a.Done(gldap.ResultSuccess)
			default:
				a.Page("")
			}
		}
		s := fakeSettings(f)
		s.Preset = "ad"
		got := mustRead(t, open(t, s, "x"), `{"people":{"server":"dc ","at":"5"},"groups":{"server":"dc ","at":"5"}}`)
		if g, ok := got.groups["users"]; !ok || g.Problem != tt.problem {
			t.Errorf("%s: %+v, want the problem %q", tt.name, got.groups, tt.problem)
		}
	}
}

// An account that may not read who people are takes nobody out.
func TestSyncWithoutIDs(t *testing.T) {
	rule := func(attributes string) string {
		return `access to dn.children="ou=people,dc=example,dc=com" attrs=` + attributes + ` by dn.exact="` + blind + `" none by * read
access to * by * read`
	}
	for _, tt := range []struct {
		name, attributes string
		want             error
	}{{"neither id nor name", "entryUUID,uid", provision.ErrSyncUnidentified}, {"no id", "entryUUID", nil}, {"no name", "uid", nil}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(8, 1, 8), Database: rule(tt.attributes)})
			d.Add(t, blind, map[string][]string{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"blind"}, "userPassword": {d.Password}})
			e := newEngine(t, nil)
			if _, err := sync(t, e, open(t, settings(d), d.Password)); err != nil {
				t.Fatal(err)
			}
			before := state(t, e)
			report, err := sync(t, e, open(t, settings(d, func(s *provision.LDAP) { s.BindDN = blind }), d.Password))
			if !errors.Is(err, tt.want) || report.ProblemCount != 8 {
				t.Errorf("%+v, %v, want %v", report, err, tt.want)
			}
			if diff := gocmp.Diff(before, state(t, e)); diff != "" {
				t.Errorf("people (-before +after):\n%s", diff)
			}
		})
	}
}
