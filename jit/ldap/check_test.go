package ldap_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	gosync "sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// codes are those of the findings, with "!" after what is fatal.
func codes(r *ldap.Report) (list []string) {
	for _, f := range r.Findings {
		c := f.Code
		if f.Fatal {
			c += "!"
		}
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

func TestCheckOfSlapd(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(30, 3, 4), Database: `limits dn.exact="cn=admin,dc=example,dc=com" size=unlimited
access to dn.base="cn=group1,ou=groups,dc=example,dc=com" attrs=member by dn.exact="cn=reader,dc=example,dc=com" none by * read
access to dn.base="uid=user2,ou=people,dc=example,dc=com" attrs=entryUUID by dn.exact="cn=reader,dc=example,dc=com" none by * read
access to * by * read`})
	d.Replace(t, "uid=user1,ou=people,dc=example,dc=com", "mail")
	for _, tt := range []struct {
		name     string
		edit     func(*provision.LDAP)
		password string
		want     []string
		people   int
	}{
		{"as it is", func(*provision.LDAP) {}, d.Password, []string{ldap.ProblemMembers, ldap.FindingNoEmail, ldap.ProblemNoID}, 30},
		{"in clear, with another id", func(s *provision.LDAP) {
			s.URLs, s.InsecureNoTLS, s.Mapping = []string{d.URL}, true, map[string]string{"id": "sn"}
		}, d.Password, []string{ldap.ProblemMembers, ldap.FindingNoEmail, ldap.FindingNoTLS, ldap.FindingOwnID}, 30},
		{"anonymous", func(s *provision.LDAP) { s.BindDN, s.BindPassword = "", provision.SecretText{} }, "", []string{ldap.FindingAnonymous, ldap.FindingNoEmail}, 30},
		{"a wrong password", func(*provision.LDAP) {}, "wrong", []string{"ldap_bind!"}, 0},
		{"a server that is away", func(s *provision.LDAP) { s.URLs = append(s.URLs, "ldaps://127.0.0.1:1") }, d.Password, []string{"ldap_connect", ldap.ProblemMembers, ldap.FindingNoEmail, ldap.ProblemNoID}, 30},
		{"no groups", func(s *provision.LDAP) { s.GroupBaseDNs = nil }, d.Password, []string{ldap.FindingNoEmail, ldap.FindingNoGroups, ldap.ProblemNoID}, 30},
	} {
		r, err := open(t, settings(d, tt.edit), tt.password).Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(tt.want)
		if diff := cmp.Diff(tt.want, codes(r)); diff != "" || r.People != tt.people || r.OK != (tt.people > 0) {
			t.Errorf("%s: %d people (-want +got):\n%s\n%s", tt.name, r.People, diff, fmt.Sprint(r.Findings))
		}
	}
}

// What an API answers with: the names in it are there to stay.
func TestCheckAsJSON(t *testing.T) {
	f := ldaptest.NewFake(t)
	release, asked := make(chan struct{}), make(chan struct{})
	good := fakeDirectory{people: 10, group: map[string][]string{"cn": {"all"}, "objectClass": {"groupOfNames"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"}}}
	var once gosync.Once
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		once.Do(func() { close(asked); <-release })
		good.search(m, a)
	}
	d := newDoor(t, fakeSettings(f), "x")
	c, err := d.engine.Directory("dir").Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan error, 1)
	go func() {
		r, err := d.servers.Check(t.Context(), c)
		got, _ := json.Marshal(r)
		const want = `{"ok":true,"people":10,"inactive":0,"groups":1,"members":0,"lockoutThreshold":0,"changes":false,"findings":[` +
			`{"code":"ldap_without_tls","fatal":false,"count":0,"text":"passwords, also those of people who log in, cross the network in clear"},` +
			`{"code":"ldap_members","fatal":false,"count":1,"text":"1 entries have no members that can be read: give the service account the right to read them; one is \"all\""},` +
			`{"code":"ldap_no_changes","fatal":false,"count":0,"text":"the server does not say when entries were changed: changes are found by whole syncs alone"}]}`
		if diff := cmp.Diff(want, string(got)); diff != "" {
			err = errors.Join(err, fmt.Errorf("(-want +got):\n%s", diff))
		}
		first <- err
	}()
	<-asked
	_, err = d.servers.Check(t.Context(), c)
	wantCode(t, "a second check", err, ldap.CodeBusy)
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	wrong := c.Clone()
	wrong.LDAP.Filter = "(cn"
	var setting *provision.ConnectionError
	if _, err = d.servers.Check(t.Context(), wrong); !errors.As(err, &setting) || setting.Field != "ldap.filter" {
		t.Errorf("a wrong filter: %v", err)
	}
	wrong.LDAP = nil
	_, err = d.servers.Check(t.Context(), wrong)
	wantCode(t, "no directory", err, ldap.CodeConnection)
	gone := c.Clone()
	gone.LDAP.BaseDNs = []string{"ou=people,dc=example,dc=com"}
	f.Search = func(_ *gldap.SearchMessage, a *ldaptest.Answer) { a.Done(gldap.ResultNoSuchObject) }
	if r, err := d.servers.Check(t.Context(), gone); err != nil || r.OK || !r.Findings[0].Fatal {
		t.Errorf("a base DN that is gone: %+v, %v", r, err)
	}
}
