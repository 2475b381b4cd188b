package ldap_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// fakeDirectory answers as a good server does: people in two pages, one group.
type fakeDirectory struct {
	people int
	group  map[string][]string
}

func (d fakeDirectory) search(m *gldap.SearchMessage, a *ldaptest.Answer) {
	cookie, paged := ldaptest.Cookie(m)
	switch {
	case m.Scope == gldap.BaseObject:
		a.Entry(m.BaseDN, map[string][]string{"objectClass": {"organizationalUnit"}})
		a.Done(gldap.ResultSuccess)
	case !paged && !slices.Contains(m.Attributes, "1.1"):
		a.Done(gldap.ResultUnwillingToPerform)
	case strings.Contains(m.Filter, "groupOfNames"):
		if d.group != nil {
			a.Entry("cn=all,ou=groups,dc=example,dc=com", d.group)
		}
		a.Page("")
	default:
		from, next := 0, "2"
		if cookie == "2" {
			from, next = d.people/2, ""
		}
		for i := from; i < from+d.people/2; i++ {
			a.Entry(ldaptest.Person(i))
		}
		a.Page(next)
	}
}

// isPeople reports whether a search is for people, and which page.
func isPeople(m *gldap.SearchMessage) (page string, ok bool) {
	cookie, paged := ldaptest.Cookie(m)
	return cookie, paged && m.Scope != gldap.BaseObject && !strings.Contains(m.Filter, "groupOfNames")
}

// faults are what goes wrong in a directory. Each fails the sync, with a code, and takes
// nobody out.
var faults = []struct {
	name   string
	code   ldap.Code
	search func(good fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool // false: answer well
}{
	{"a size limit at the first page", ldap.CodeSizeLimit, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "", gldap.ResultSizeLimitExceeded)
	}},
	{"a size limit at the second page", ldap.CodeSizeLimit, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "2", gldap.ResultSizeLimitExceeded)
	}},
	{"a time limit", ldap.CodeTimeLimit, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "2", gldap.ResultTimeLimitExceeded)
	}},
	{"no rights", ldap.CodeRights, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "", gldap.ResultInsufficientAccessRights)
	}},
	{"busy", ldap.CodeBusy, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "2", gldap.ResultBusy)
	}},
	{"a referral", ldap.CodeReferral, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "", gldap.ResultReferral)
	}},
	{"paging is not supported", ldap.CodePaging, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "", gldap.ResultUnavailableCriticalExtension)
	}},
	{"an answer without the paging control", ldap.CodePaging, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		return endPeople(m, a, "2", gldap.ResultSuccess)
	}},
	{"success without entries", ldap.CodeEmpty, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		_, ok := isPeople(m)
		if ok {
			a.Page("")
		}
		return ok
	}},
	{"a page that comes again", ldap.CodePaging, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		_, ok := isPeople(m)
		if ok {
			a.Entry(ldaptest.Person(0))
			a.Page("2")
		}
		return ok
	}},
	{"a page that comes again under another cookie", ldap.CodePaging, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		page, ok := isPeople(m)
		if ok {
			a.Entry(ldaptest.Person(0))
			a.Page(page + "2")
		}
		return ok
	}},
	{"empty pages without an end", ldap.CodePaging, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		page, ok := isPeople(m)
		if ok {
			a.Page(page + "2")
		}
		return ok
	}},
	{"cut in the middle of a page", ldap.CodeIncomplete, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		page, ok := isPeople(m)
		if !ok || page != "2" {
			return false
		}
		a.Entry(ldaptest.Person(5))
		a.Cut()
		return true
	}},
	{"a base DN that is gone", ldap.CodeBase, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		if m.Scope != gldap.BaseObject || !strings.HasPrefix(m.BaseDN, "ou=people") {
			return false
		}
		a.Done(gldap.ResultNoSuchObject)
		return true
	}},
	{"a base DN that may not be read", ldap.CodeBase, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		if m.Scope != gldap.BaseObject || !strings.HasPrefix(m.BaseDN, "ou=people") {
			return false
		}
		a.Done(gldap.ResultSuccess)
		return true
	}},
	{"groups fail", ldap.CodeRights, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		if _, people := isPeople(m); people || m.Scope == gldap.BaseObject {
			return false
		}
		a.Done(gldap.ResultInsufficientAccessRights)
		return true
	}},
	{"groups are not to be seen", ldap.CodeEmpty, func(_ fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		if _, people := isPeople(m); people || m.Scope == gldap.BaseObject {
			return false
		}
		a.Page("")
		return true
	}},
	{"groups are cut", ldap.CodeIncomplete, func(good fakeDirectory, m *gldap.SearchMessage, a *ldaptest.Answer) bool {
		if _, people := isPeople(m); people || m.Scope == gldap.BaseObject || slices.Contains(m.Attributes, "1.1") {
			return false
		}
		a.Entry("cn=all,ou=groups,dc=example,dc=com", good.group)
		a.Cut()
		return true
	}},
}

func endPeople(m *gldap.SearchMessage, a *ldaptest.Answer, page string, code int) bool {
	at, ok := isPeople(m)
	if !ok || at != page {
		return false
	}
	a.Entry(ldaptest.Person(len(page) * 5))
	a.Done(code)
	return true
}

func TestFaultsTakeNobodyOut(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			good := fakeDirectory{people: 10, group: map[string][]string{
				"cn": {"all"}, "objectClass": {"groupOfNames"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"},
				"member": {"uid=uid0,ou=people,dc=example,dc=com", "UID=uid1, OU=People,dc=example,dc=COM"},
			}}
			f := ldaptest.NewFake(t)
			f.Search = good.search
			server := open(t, fakeSettings(f), "x")
			e := newEngine(t, func(c *provision.Connection) { c.Policy.RequiredGroups = policy.Patterns{"all"} })
			if _, err := sync(t, e, server); err != nil {
				t.Fatal(err)
			}
			before := active(t, e)
			if len(before) != 2 {
				t.Fatalf("%d are active, want 2", len(before))
			}
			f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
				if !fault.search(good, m, a) {
					good.search(m, a)
				}
			}
			report, err := sync(t, e, server)
			var wrong *ldap.Error
			if !errors.As(err, &wrong) || wrong.Code != fault.code {
				t.Errorf("the error is %v, want the code %s", err, fault.code)
			}
			if after := active(t, e); !slices.Equal(after, before) || report.Users.Absent != 0 {
				t.Errorf("active were %q and are %q; absent %d", before, after, report.Users.Absent)
			}
			// Repaired: nothing is written.
			f.Search = good.search
			report, err = sync(t, e, server)
			if err != nil || report.Users.Updated+report.Users.Created+report.Users.Returned != 0 || report.Users.Unchanged != 10 {
				t.Errorf("after the repair: %+v, %v", report, err)
			}
		})
	}
}

func fakeSettings(f *ldaptest.Fake) provision.LDAP {
	return provision.LDAP{
		URLs: []string{f.URL}, InsecureNoTLS: true, Preset: "openldap", BindDN: "cn=reader,dc=example,dc=com", BindPassword: provision.NewSecret("x"),
		BaseDNs: []string{"ou=people,dc=example,dc=com"}, GroupBaseDNs: []string{"ou=groups,dc=example,dc=com"},
	}
}

// sync syncs the connection with all of a directory.
func sync(t testing.TB, e *provision.Engine, server *ldap.Server) (provision.SyncReport, error) {
	t.Helper()
	src, err := server.Source(context.WithoutCancel(t.Context()), "")
	if err != nil {
		t.Fatal(err)
	}
	return e.Directory("dir").Sync(t.Context(), src, provision.SyncOptions{})
}

// active lists the user names of the accounts that are active.
func active(t testing.TB, e *provision.Engine) []string {
	t.Helper()
	list, err := e.Directory("dir").Accounts(t.Context(), store.AccountQuery{Statuses: []string{"active"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range list {
		names = append(names, a.UserName)
	}
	slices.Sort(names)
	return names
}
