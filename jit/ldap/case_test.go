package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// slapdCases are faults of a real server: each fails the sync with a code, and leaves
// everybody. The first settings and rules are good.
var slapdCases = []struct {
	name     string
	database string // rules of the server
	edit     func(*provision.LDAP)
	password string
	code     ldap.Code
}{
	{name: "rights were lost: success without entries", database: `access to dn.children="ou=people,dc=example,dc=com" by dn.exact="cn=reader,dc=example,dc=com" none by * none
access to * by * read`, code: ldap.CodeEmpty},
	{name: "the base DN may not be seen", database: `access to dn.subtree="ou=people,dc=example,dc=com" by * none
access to * by * read`, code: ldap.CodeBase},
	{name: "groups may not be seen", database: `access to dn.children="ou=groups,dc=example,dc=com" by * none
access to * by * read`, code: ldap.CodeEmpty},
	{name: "a limit over all pages", database: `limits dn.exact="cn=reader,dc=example,dc=com" size.soft=unlimited size.hard=unlimited size.prtotal=15`, code: ldap.CodeSizeLimit},
	{name: "paging is forbidden", database: `limits dn.exact="cn=reader,dc=example,dc=com" size.prtotal=disabled`, code: ldap.CodeSizeLimit},
	{name: "a wrong password of the service account", password: "wrong", code: ldap.CodeBind},
	{name: "one of two bases is gone", edit: func(s *provision.LDAP) { s.BaseDNs = append(s.BaseDNs, "ou=gone,dc=example,dc=com") }, code: ldap.CodeBase},
	{name: "one of two bases has nobody", edit: func(s *provision.LDAP) { s.BaseDNs = append(s.BaseDNs, "ou=groups,dc=example,dc=com") }, code: ldap.CodeEmpty},
	{name: "a filter with a typing error", edit: func(s *provision.LDAP) { s.Filter = "(objectClas=inetOrgPerson)" }, code: ldap.CodeEmpty},
	{name: "a filter that finds nobody", edit: func(s *provision.LDAP) { s.Filter = "(uid=none*)" }, code: ldap.CodeEmpty},
}

func TestSlapdCasesTakeNobodyOut(t *testing.T) {
	for _, tt := range slapdCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			people := ldaptest.LDIF(20, 2, 5)
			good := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: people})
			e := newEngine(t, nil)
			if _, err := sync(t, e, open(t, settings(good), good.Password)); err != nil {
				t.Fatal(err)
			}
			before := state(t, e)
			bad, s := good, settings(good)
			if tt.database != "" {
				bad = ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: people, Database: tt.database})
				s = settings(bad)
			}
			if tt.edit != nil {
				tt.edit(&s)
			}
			password := bad.Password
			if tt.password != "" {
				password = tt.password
			}
			report, err := sync(t, e, open(t, s, password))
			var wrong *ldap.Error
			if !errors.As(err, &wrong) || wrong.Code != tt.code {
				t.Errorf("%v, want the code %s", err, tt.code)
			}
			if strings.Contains(fmt.Sprint(err), good.Password) {
				t.Errorf("the error has the password: %v", err)
			}
			if after := state(t, e); len(after) != len(before) || report.Users.Absent != 0 {
				t.Errorf("%d were active, and %d are; report %+v", len(before), len(after), report)
			}
		})
	}
}

// One whose attributes cannot be written is there all the same, and the report says why.
func TestProblemsAreThere(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(4, 1, 2)})
	byNumber := func(s *provision.LDAP) { s.Mapping = map[string]string{"id": "employeeNumber"} }
	for i := range 4 {
		d.Replace(t, fmt.Sprintf("uid=user%d,ou=people,dc=example,dc=com", i), "employeeNumber", fmt.Sprint(max(i, 1)))
	}
	got := mustRead(t, open(t, settings(d, byNumber), d.Password), "")
	want := map[string]string{"user0": ldap.ProblemSameID, "user1": ldap.ProblemSameID, "user2": "", "user3": ""}
	for name, problem := range want {
		if u := got.users[name]; u.Problem != problem {
			t.Errorf("%s has the problem %q, want %q", name, u.Problem, problem)
		}
	}
	d.Replace(t, "uid=user2,ou=people,dc=example,dc=com", "employeeNumber")
	if u := mustRead(t, open(t, settings(d, byNumber), d.Password), "").users["user2"]; u.Problem != ldap.ProblemNoID || u.Key == "" {
		t.Errorf("without the id: %+v", u)
	}
}

// A sync that is canceled ends at once, closes its connection, and says so.
func TestCanceled(t *testing.T) {
	f := ldaptest.NewFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	good := fakeDirectory{people: 10}
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		if page, ok := isPeople(m); ok && page == "2" {
			cancel() // and no answer
			return
		}
		good.search(m, a)
	}
	src, err := open(t, fakeSettings(f), "x").Source(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	n, last := 0, error(nil)
	for _, err := range src.Users(ctx) {
		n, last = n+1, err
	}
	if !errors.Is(last, context.Canceled) || n != 6 {
		t.Errorf("%d people, then %v", n, last)
	}
	for _, err := range src.Users(ctx) {
		last = err
	}
	if last == nil || errors.Is(last, context.Canceled) {
		t.Errorf("a source is read twice: %v", last)
	}
}

// The first server that can be reached is asked, and a dead one is set aside.
func TestServersInOrder(t *testing.T) {
	a, b := ldaptest.NewFake(t), ldaptest.NewFake(t)
	a.Search, b.Search = fakeDirectory{people: 10}.search, fakeDirectory{people: 6}.search
	s := fakeSettings(a)
	s.GroupBaseDNs = nil
	s.URLs = []string{"ldap://127.0.0.1:1", a.URL, b.URL}
	got := mustRead(t, open(t, s, "x"), "")
	if len(got.users) != 10 || b.Searches.Load() != 0 {
		t.Errorf("%d people; the last server was asked %d times", len(got.users), b.Searches.Load())
	}
	s.URLs = s.URLs[:1]
	_, err := read(t, open(t, s, "x"), "")
	var wrong *ldap.Error
	if !errors.As(err, &wrong) || wrong.Code != ldap.CodeConnect {
		t.Errorf("no server: %v", err)
	}
	strict, err := ldap.NewServer(ldap.Options{Connection: "dir", Settings: fakeSettings(a), Secret: func(context.Context, string) (string, error) { return "x", nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, strict, ""); !errors.Is(err, provision.ErrOutbound) {
		t.Errorf("an address of this machine without AllowPrivate: %v", err)
	}
}

// Active Directory gives 1,500 members at a time.
func TestRanges(t *testing.T) {
	const all = 4000
	member := func(from, to int) (list []string) {
		for i := from; i < to; i++ {
			dn, _ := ldaptest.Person(i)
			list = append(list, dn)
		}
		return list
	}
	large := slices.Repeat([]string{strings.Repeat("x", 2<<20)}, 8) // 16 MiB in a part
	for _, tt := range []struct {
		name string
		next func(from int) (attribute string, values []string)
		code ldap.Code
	}{
		{"to the last", func(from int) (string, []string) {
			if from+1500 >= all {
				return fmt.Sprintf("member;range=%d-*", from), member(from, all)
			}
			return fmt.Sprintf("member;range=%d-%d", from, from+1499), member(from, from+1500)
		}, ""},
		{"no next part", func(from int) (string, []string) {
			if from > 0 {
				return "cn", []string{"all"}
			}
			return "member;range=0-1499", member(0, 1500)
		}, ldap.CodeIncomplete},
		{"too many", func(from int) (string, []string) {
			switch {
			case from == 0:
				return "member;range=0-1499", member(0, 1500)
			case from > 1500+8*12:
				return fmt.Sprintf("member;range=%d-*", from), large
			}
			return fmt.Sprintf("member;range=%d-%d", from, from+7), large
		}, ldap.CodeSizeLimit},
		{"the same part again", func(int) (string, []string) { return "member;range=0-1499", member(0, 1500) }, ldap.CodeIncomplete},
	} {
		f := ldaptest.NewFake(t)
		f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
			good := fakeDirectory{people: 10, group: map[string][]string{"cn": {"all"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"}}}
			if m.Scope == gldap.BaseObject && strings.HasPrefix(m.BaseDN, "cn=all") {
				var from int
				if _, err := fmt.Sscanf(m.Attributes[0], "member;range=%d-*", &from); err != nil {
					t.Errorf("asked for %q", m.Attributes)
				}
				name, values := tt.next(from)
				a.Entry(m.BaseDN, map[string][]string{name: values})
				a.Done(gldap.ResultSuccess)
				return
			}
			name, values := tt.next(0)
			good.group[name] = values
			good.search(m, a)
		}
		got, err := read(t, open(t, fakeSettings(f), "x"), "")
		var wrong *ldap.Error
		if errors.As(err, &wrong) != (tt.code != "") || wrong != nil && wrong.Code != tt.code {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
		if members := got.groups["all"].Members; tt.code == "" && (len(members) != all || !slices.Contains(members, got.users["uid9"].Key)) {
			t.Errorf("%s: %d members", tt.name, len(members))
		}
	}
}

// A directory without groups says nothing about groups.
func TestNoGroups(t *testing.T) {
	f := ldaptest.NewFake(t)
	f.Search = fakeDirectory{people: 10}.search
	s := fakeSettings(f)
	s.GroupBaseDNs = nil
	if got := mustRead(t, open(t, s, "x"), ""); !got.silent {
		t.Errorf("groups %v", got.groups)
	}
}

func TestValidate(t *testing.T) {
	good := provision.LDAP{URLs: []string{"ldaps://dc.example"}, BaseDNs: []string{"DC=example"}, BindDN: "CN=a", BindPassword: provision.NewSecret("x")}
	if err := ldap.Validate("dir", good); err != nil {
		t.Fatal(err)
	}
	both := good
	both.URLs, both.StartTLS = []string{"ldaps://dc1.example", "ldap://dc2.example"}, true
	if err := ldap.Validate("dir", both); err != nil {
		t.Error(err)
	}
	for field, edit := range map[string]func(*provision.LDAP){
		"ldap.urls":         func(s *provision.LDAP) { s.URLs = []string{"ldap://dc.example"} },
		"ldap.startTLS":     func(s *provision.LDAP) { s.StartTLS = true },
		"ldap.ca":           func(s *provision.LDAP) { s.CA = "nothing" },
		"ldap.baseDNs":      func(s *provision.LDAP) { s.BaseDNs = []string{"DC=example", "ou=a, dc=EXAMPLE"} },
		"ldap.groupBaseDNs": func(s *provision.LDAP) { s.GroupBaseDNs = []string{"nothing"} },
		"ldap.preset":       func(s *provision.LDAP) { s.Preset = "adx" },
		"ldap.mapping":      func(s *provision.LDAP) { s.Mapping = map[string]string{"mial": "mail"} },
		"ldap.filter":       func(s *provision.LDAP) { s.Filter = "(cn=a" },
		"ldap.groupFilter":  func(s *provision.LDAP) { s.GroupFilter = strings.Repeat("(!", 17) + "(cn=a)" + strings.Repeat(")", 17) },
		"ldap.bindPassword": func(s *provision.LDAP) { s.BindPassword = provision.SecretText{} },
	} {
		s := good
		edit(&s)
		var wrong *provision.ConnectionError
		if err := ldap.Validate("dir", s); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
