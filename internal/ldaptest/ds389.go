package ldaptest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// DS389Options are the settings of a [DS389].
type DS389Options struct {
	// Rights are the rules of the suffix (aci); none means that the reader may read
	// everything, also what is operational.
	Rights []string

	// Referint has the server take names that are gone, and write new ones, in groups.
	Referint bool

	// LDIF is what the server has when it starts, below Base. An entryUUID becomes the
	// nsUniqueId.
	LDIF string
}

// DS389Rights let the reader read everything.
const DS389Rights = `(targetattr="*")(version 3.0; acl "reader"; allow (read, search, compare) userdn="ldap:///cn=reader,dc=example,dc=com";)`

// DS389 starts 389 Directory Server with what a [Slapd] has. It is made of the templates of
// the package, which leaves out what takes its own set-up most of its time, and runs as
// whoever runs the test.
func DS389(t testing.TB, o DS389Options) *Server {
	t.Helper()
	slapd, openssl := program(t, "ns-slapd"), program(t, "openssl")
	directory := temporary(t)
	s := &Server{Base: "dc=example,dc=com", Admin: "cn=Directory Manager", Password: password, directory: directory, Preset: "389ds",
		People: "ou=people,dc=example,dc=com", Groups: "ou=groups,dc=example,dc=com", Reader: "cn=reader,dc=example,dc=com"}
	plain, secure := port(freeAddress(t)), port(freeAddress(t))
	s.URL, s.SecureURL = "ldap://localhost:"+plain, "ldaps://localhost:"+secure
	// The server calls what it shares in memory by the name of this folder, and leaves it.
	name := filepath.Base(directory)
	conf := filepath.Join(directory, name)
	t.Cleanup(func() { _ = os.Remove("/dev/shm/sem." + name + ".stats") })
	for _, name := range []string{name, name + "/schema", "db", "db/userRoot", "log", "run"} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(conf, "schema", "99user.ldif"), "dn: cn=schema\n") // beside that of the package
	write(t, filepath.Join(conf, "slapd-collations.conf"), "")
	s.CA = ds389Keys(t, openssl, conf)
	write(t, filepath.Join(conf, "dse.ldif"), ds389Settings(t, conf, plain, secure, o.Referint))
	run(t, "", slapd, "ldif2db", "-D", conf, "-n", "userRoot", "-i", write(t, filepath.Join(directory, "people.ldif"), o.entries()))
	s.start = func(testing.TB, *Server) *exec.Cmd {
		return exec.Command(slapd, "-D", conf, "-i", filepath.Join(directory, "run", "pid"), "-d", "0") //nolint:noctx // it ends with the test
	}
	t.Cleanup(func() { s.Stop(t) })
	s.Start(t)
	return s
}

// ds389Small keeps the database from taking a part of the memory of the machine.
const ds389Small = "nsslapd-cache-autosize: 0\nnsslapd-import-cache-autosize: 0\nnsslapd-import-cachesize: 4000000\nnsslapd-dbcachesize: 4000000\nnsslapd-db-durable-transaction: off\n"

// ds389Settings fills the templates that come with the server.
func ds389Settings(t testing.TB, conf, plain, secure string, referint bool) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(password + "salt"))
	hashed := "{SSHA256}" + base64.StdEncoding.EncodeToString(append(sum[:], "salt"...))
	in := func(name string) string { return filepath.Join(filepath.Dir(conf), name) }
	values := []string{
		"%schema_dir%", filepath.Join(conf, "schema"), "%cert_dir%", conf, "%config_dir%", conf,
		"%lock_dir%", in("run"), "%run_dir%", in("run"), "%inst_dir%", in("run"), "%tmp_dir%", in("run"), "%ldif_dir%", in("run"), "%bak_dir%", in("run"),
		"%log_dir%", in("log"), "%fqdn%", "localhost", "%ds_user%", me.Username, "%ds_port%", plain,
		"%rootdn%", "cn=Directory Manager", "%ds_passwd%", hashed, "%ldapi_enabled%", "off", "%ldapi%", in("run/socket"), "%ldapi_autobind%", "off",
		"%ds_suffix%", "dc=example,dc=com", "%ds_bename%", "userRoot", "%db_dir%", in("db"), "%db_home_dir%", in("db"), "%db_lib%", "bdb",
	}
	var b strings.Builder
	for _, name := range []string{"template-dse.ldif", "template-suffix-db.ldif"} {
		text, err := os.ReadFile(filepath.Join("/usr/share/dirsrv/data", name)) //nolint:gosec // of the package
		if err != nil {
			t.Fatal(err)
		}
		_, entries, _ := strings.Cut("\n"+string(text), "\ndn: ") // comments come before
		b.WriteString("dn: " + strings.NewReplacer(values...).Replace(strings.TrimRight(entries, "\n")) + "\n\n")
	}
	more := fmt.Sprintf("cn: config\nnsslapd-security: on\nnsslapd-secureport: %s\nnsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\nnsslapd-accesslog-logging-enabled: off\n", secure)
	text := strings.Replace(b.String(), "cn: config\n", more, 1)
	text = strings.Replace(text, "nsslapd-mode: 600\n", "nsslapd-mode: 600\n"+ds389Small, 1)
	if before, plugin, ok := strings.Cut(text, "\ndn: cn=referential integrity"); ok && referint {
		text = before + "\ndn: cn=referential integrity" + strings.Replace(plugin, "pluginenabled: off", "pluginenabled: on", 1)
	}
	return text
}

// ds389Keys makes the database of keys that the server reads, with no password, and
// returns the authority.
func ds389Keys(t testing.TB, openssl, conf string) (authority string) {
	t.Helper()
	certificate, key, authority := Certificate(t, "localhost")
	file := func(name, text string) string { return write(t, filepath.Join(conf, name), text) }
	together, pair := file("pair.pem", certificate+key), filepath.Join(conf, "pair.p12")
	run(t, "", openssl, "pkcs12", "-export", "-in", together, "-name", "Server-Cert", "-passout", "pass:", "-out", pair)
	run(t, "", program(t, "certutil"), "-N", "-d", "sql:"+conf, "--empty-password")
	run(t, "", program(t, "certutil"), "-A", "-d", "sql:"+conf, "-n", "CA", "-t", "CT,,", "-i", file("ca.pem", authority))
	run(t, "", program(t, "pk12util"), "-d", "sql:"+conf, "-K", "", "-i", pair, "-W", "")
	return authority
}

var entryUUIDs = regexp.MustCompile(`(?m)^entryUUID: (.{8})-(.{4})-(.{4})-(.{4})-(.{4})(.{8})$`)

// entries returns what the server has when it starts.
func (o DS389Options) entries() string {
	rights := o.Rights
	if rights == nil {
		rights = []string{DS389Rights}
	}
	base, rest, _ := strings.Cut(fmt.Sprintf(slapdLDIF, password), "\n\n")
	for _, right := range rights {
		base += "\naci: " + right
	}
	text := base + "\n\n" + rest + strings.TrimLeft(o.LDIF, "\n")
	return entryUUIDs.ReplaceAllString(text, "nsUniqueId: $1-$2$3-$4$5-$6")
}
