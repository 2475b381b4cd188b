package ldaptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// SlapdOptions are the settings of a [Slapd]. The zero value is the usual server.
type SlapdOptions struct {
	// Global are lines of slapd.conf before the database, and Database those of it, such
	// as access rules.
	Global, Database string

	// LDIF is what the server has when it starts, below Base.
	LDIF string
}

// Slapd starts OpenLDAP with the suffix dc=example,dc=com, which has ou=people, ou=groups and
// the account cn=reader, who may read what the access rules allow. Its password is that of
// the admin; the certificate of [Server.Pair] is that of the reader, too.
func Slapd(t testing.TB, o SlapdOptions) *Server {
	t.Helper()
	slapd, slapadd := program(t, "slapd"), program(t, "slapadd")
	directory := temporary(t)
	s := &Server{Base: "dc=example,dc=com", Admin: "cn=admin,dc=example,dc=com", Password: password, directory: directory, Preset: "openldap",
		People: "ou=people,dc=example,dc=com", Groups: "ou=groups,dc=example,dc=com", Reader: "cn=reader,dc=example,dc=com"}
	plain, secure := freeAddress(t), freeAddress(t)
	s.URL, s.SecureURL = "ldap://localhost:"+port(plain), "ldaps://localhost:"+port(secure)
	certificate, key, authority := Certificate(t, "localhost")
	s.CA, s.Pair = authority, certificate+key
	data := filepath.Join(directory, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := write(t, filepath.Join(directory, "slapd.conf"), fmt.Sprintf(slapdConf,
		write(t, filepath.Join(directory, "ca.pem"), authority), write(t, filepath.Join(directory, "cert.pem"), certificate),
		write(t, filepath.Join(directory, "key.pem"), key), filepath.Join(directory, "pid"), o.Global, s.Base, s.Admin, password, data, o.Database))
	run(t, fmt.Sprintf(slapdLDIF, password)+strings.TrimLeft(o.LDIF, "\n"), slapadd, "-q", "-f", conf)
	s.start = func(testing.TB, *Server) *exec.Cmd {
		return exec.Command(slapd, "-h", fmt.Sprintf("ldap://%s ldaps://%s", plain, secure), "-f", conf, "-d", "0") //nolint:noctx // it ends with the test
	}
	t.Cleanup(func() { s.Stop(t) })
	s.Start(t)
	return s
}

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
moduleload syncprov
TLSCACertificateFile %s
TLSCertificateFile %s
TLSCertificateKeyFile %s
TLSVerifyClient try
authz-regexp "^cn=directory of tests$" "cn=reader,dc=example,dc=com"
sizelimit unlimited
pidfile %s
%s
database mdb
suffix %s
rootdn %s
rootpw %s
directory %s
maxsize 2147483648
dbnosync
index objectClass,uid,mail,entryUUID,member,memberUid,modifyTimestamp eq
%s
`

const slapdLDIF = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: cn=reader,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: %s

`
