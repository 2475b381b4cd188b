package ldap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// The certificate of the client is the service account, without a DN and without a
// password.
func TestClientCertificate(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(3, 1, 2), Database: `access to dn.subtree="dc=example,dc=com" by dn.exact="cn=reader,dc=example,dc=com" read by anonymous auth by * none`})
	certificate, key, _ := strings.Cut(d.Pair, "-----BEGIN PRIVATE")
	key = "-----BEGIN PRIVATE" + key
	foreign, foreignKey, _ := ldaptest.Certificate(t, "localhost")
	shown := func(s *provision.LDAP) {
		s.BindDN, s.BindPassword = "", provision.SecretText{}
		s.ClientCertificate, s.ClientKey = certificate, provision.NewSecret(key)
	}
	for _, tt := range []struct {
		name string
		edit func(*provision.LDAP)
		key  string // or the password
		code ldap.Code
	}{
		{"alone", func(*provision.LDAP) {}, key, ""},
		{"with StartTLS", func(s *provision.LDAP) { s.URLs, s.StartTLS = []string{d.URL}, true }, key, ""},
		{"with a DN", func(s *provision.LDAP) { s.BindDN = d.Reader }, key, ""},
		{"of another authority", func(s *provision.LDAP) { s.ClientCertificate = foreign }, foreignKey, ldap.CodeTLS},
		{"with the key of another one", func(*provision.LDAP) {}, foreignKey, ldap.CodeSetting},
		{"none", func(s *provision.LDAP) { s.ClientCertificate, s.ClientKey = "", provision.SecretText{} }, "", ldap.CodeRights},
	} {
		server := open(t, settings(d, shown, tt.edit), tt.key)
		got, err := read(t, server, "")
		wantCode(t, tt.name, err, tt.code)
		if tt.code != "" {
			continue
		}
		if len(got.users) != 3 {
			t.Errorf("%s: %d people", tt.name, len(got.users))
		}
		if r, err := server.Check(t.Context()); err != nil || !r.OK || slices.Contains(codes(r), ldap.FindingAnonymous) {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}
