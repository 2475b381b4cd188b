package ldap_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		if diff := cmp.Diff(tt.want, codes(r)); diff != "" || r.People != tt.people {
			t.Errorf("%s: %d people (-want +got):\n%s\n%s", tt.name, r.People, diff, fmt.Sprint(r.Findings))
		}
	}
}
