package ldaptest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// Samba starts Samba as a domain controller of Active Directory, of the domain
// DC=ad,DC=example. It has OU=People, OU=Groups and the account CN=reader in CN=Users. It
// takes some seconds, and root: its ports are those of LDAP, at an address of loopback of
// its own.
func Samba(t testing.TB) *Server {
	t.Helper()
	samba, tool := program(t, "samba"), program(t, "samba-tool")
	if os.Getuid() != 0 {
		t.Skip("SKIP-EXTERNAL: Samba needs root")
	}
	directory := temporary(t)
	address := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // so that servers do not meet
	s := &Server{
		Base: "DC=ad,DC=example", Admin: "CN=Administrator,CN=Users,DC=ad,DC=example", Password: password, directory: directory, Preset: "ad",
		People: "OU=People,DC=ad,DC=example", Groups: "OU=Groups,DC=ad,DC=example", Reader: "CN=reader,CN=Users,DC=ad,DC=example",
		URL: "ldap://" + address + ":389", SecureURL: "ldaps://" + address + ":636",
	}
	certificate, key, authority := Certificate(t, "localhost")
	s.CA = authority
	files := []string{}
	for _, f := range []struct{ option, name, text string }{{"tls cafile", "ca.pem", authority}, {"tls certfile", "cert.pem", certificate}, {"tls keyfile", "key.pem", key}} {
		files = append(files, "--option="+f.option+"="+write(t, filepath.Join(directory, f.name), f.text))
	}
	target := filepath.Join(directory, "samba")
	network := []string{"--option=interfaces=" + address + "/8", "--option=bind interfaces only=yes"}
	provision := append([]string{"domain", "provision", "--targetdir=" + target, "--realm=AD.EXAMPLE", "--domain=ADEX", "--server-role=dc",
		"--dns-backend=SAMBA_INTERNAL", "--adminpass=" + password, "--host-ip=" + address}, append(network, files...)...)
	run(t, "", tool, provision...)
	s.start = func(t testing.TB, _ *Server) *exec.Cmd {
		command := exec.Command(samba, append([]string{"-i", "-M", "single", "-s", filepath.Join(target, "etc", "smb.conf"), "--option=server services=ldap"}, append(network, files...)...)...) //nolint:noctx // it ends with the test
		if _, err := command.StdinPipe(); err != nil {                                                                                                                                           // where it ends, so does Samba
			t.Fatal(err)
		}
		return command
	}
	t.Cleanup(func() { s.Stop(t) })
	s.Start(t)
	for _, ou := range []string{s.People, s.Groups} {
		s.Add(t, ou, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	s.AddUser(t, s.Reader, "reader", nil)
	return s
}

// AddUser adds a user of Active Directory with the password of the tests.
func (s *Server) AddUser(t testing.TB, dn, account string, attributes map[string][]string) {
	t.Helper()
	all := map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {account}, "userPrincipalName": {account + "@ad.example"},
		"userAccountControl": {"512"}, "unicodePwd": {unicodePassword(s.Password)},
	}
	for name, values := range attributes {
		all[name] = values
	}
	s.Add(t, dn, all)
}

// GUID returns the objectGUID of a user or group as Samba itself writes it.
func (s *Server) GUID(t testing.TB, account string) string {
	t.Helper()
	command := exec.Command(program(t, "ldbsearch"), "-H", filepath.Join(s.directory, "samba", "private", "sam.ldb"), "(sAMAccountName="+account+")", "objectGUID") //nolint:noctx // it ends at once
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), "objectGUID: ")
	text, _, _ := strings.Cut(rest, "\n")
	return text
}

// unicodePassword is a password as Active Directory takes it (MS-ADTS section
// 3.1.1.3.1.5.1).
func unicodePassword(password string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}
