package ldap_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// Test389 has one server for the scenarios of 389 Directory Server, as it takes seconds to
// start. They go in this order; the logins have people of their own.
func Test389(t *testing.T) {
	d := ldaptest.DS389(t, ldaptest.DS389Options{LDIF: ldaptest.LDIF(2500, 3, 10)})
	for _, scenario := range []struct {
		name string
		run  func(*testing.T, *ldaptest.Server)
	}{{"source", source389}, {"locked", locked389}, {"TLS", tls389}, {"moved and renamed", moves389}, {"rights", rights389}, {"limits", limits389}} {
		t.Run(scenario.name, func(t *testing.T) { scenario.run(t, d) })
	}
}

func TestLoginOn389(t *testing.T) {
	d := ldaptest.DS389(t, ldaptest.DS389Options{LDIF: people()})
	logins(t, d)
	d.Replace(t, "uid=ada,"+d.People, "nsAccountLock", "true")
	h := newDoor(t, settings(d), d.Password)
	if w := h.post("ada", "correct horse", nil); w.Code != http.StatusForbidden || !strings.Contains(h.log.String(), "disabled or expired") {
		t.Errorf("locked: status %d\n%s", w.Code, h.log)
	}
}

func TestChangesOf389(t *testing.T) {
	changes(t, ldaptest.DS389(t, ldaptest.DS389Options{LDIF: ldaptest.LDIF(20, 3, 5)}))
}

// All pages of a search have the same cookie.
func source389(t *testing.T, d *ldaptest.Server) {
	got := mustRead(t, open(t, settings(d), d.Password), "")
	if len(got.users) != 2500 || len(got.groups) != 3 || got.mark == "" {
		t.Fatalf("%d users, %d groups, mark %q", len(got.users), len(got.groups), got.mark)
	}
	u := got.users["user7"]
	if id := text(u.Content, "externalId"); id != "00000000-00004000-80000000-00000007" || u.Problem != "" {
		t.Errorf("externalId %q, problem %q", id, u.Problem)
	}
	if g := got.groups["group1"]; len(g.Members) != 10 || g.Members[0] != got.users["user10"].Key || len(text(g.Content, "externalId")) != 35 {
		t.Errorf("group1: %q, %s", g.Members, g.Content.Document)
	}
}

func locked389(t *testing.T, d *ldaptest.Server) {
	e, server := newEngine(t, nil), open(t, settings(d), d.Password)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		values []string
		active int
	}{{[]string{"true"}, 2499}, {nil, 2500}} {
		d.Replace(t, "uid=user7,"+d.People, "nsAccountLock", step.values...)
		report, err := sync(t, e, server)
		if got := state(t, e); err != nil || len(got) != step.active || report.Users.Updated != 1 || report.Users.Unchanged != 2499 {
			t.Errorf("nsAccountLock %q: %d are active; %+v, %v", step.values, len(got), report, err)
		}
	}
}

func tls389(t *testing.T, d *ldaptest.Server) {
	for _, tt := range []struct {
		name string
		edit func(*provision.LDAP)
		code ldap.Code // empty: it works
	}{
		{"StartTLS", func(s *provision.LDAP) { s.URLs, s.StartTLS = []string{d.URL}, true }, ""},
		{"another name", func(s *provision.LDAP) { s.ServerName = "dc.example" }, ldap.CodeTLS},
		{"another authority", func(s *provision.LDAP) { _, _, s.CA = ldaptest.Certificate(t, "localhost") }, ldap.CodeTLS},
		{"no such base", func(s *provision.LDAP) { s.BaseDNs = []string{"ou=gone," + d.Base} }, ldap.CodeBase},
		{"a filter that finds nobody", func(s *provision.LDAP) { s.Filter = "(uid=none*)" }, ldap.CodeEmpty},
	} {
		_, err := read(t, open(t, settings(d, tt.edit), d.Password), "")
		wantCode(t, tt.name, err, tt.code)
	}
	_, err := read(t, open(t, settings(d), "wrong"), "")
	wantCode(t, "a wrong password", err, ldap.CodeBind)
}

// wantCode demands an error with a code, or none.
func wantCode(t *testing.T, name string, err error, code ldap.Code) {
	t.Helper()
	var wrong *ldap.Error
	if errors.As(err, &wrong) != (code != "") || wrong != nil && wrong.Code != code {
		t.Errorf("%s: %v, want %q", name, err, code)
	}
}

func moves389(t *testing.T, d *ldaptest.Server) {
	e, server := newEngine(t, nil), open(t, settings(d), d.Password)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	before := state(t, e)
	d.Move(t, "uid=user100,"+d.People, "uid=renamed", d.Groups)
	d.Move(t, "uid=renamed,"+d.Groups, "uid=renamed", d.People)
	report, err := sync(t, e, server)
	if after := state(t, e); err != nil || report.Users.Updated != 1 || report.Users.Created+report.Users.Absent != 0 || !slices.Equal(after["renamed"], before["user100"]) {
		t.Errorf("report %+v, %v", report, err)
	}
	d.Move(t, "uid=renamed,"+d.People, "uid=renamed", d.Groups) // out of the base DN
	if report, err = sync(t, e, server); err != nil || report.Users.Absent != 1 {
		t.Errorf("moved out: %+v, %v", report, err)
	}
}

// Rights that are lost, or never were given, take nobody out.
func rights389(t *testing.T, d *ldaptest.Server) {
	e, server := newEngine(t, nil), open(t, settings(d), d.Password)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	before := state(t, e)
	const reader = `userdn="ldap:///cn=reader,dc=example,dc=com";)`
	for _, tt := range []struct {
		name, right string
		code        ldap.Code
		problems    int
		unchanged   int
	}{
		{"none", `(targetattr="telephoneNumber")(version 3.0; acl "a"; allow (read, search) ` + reader, ldap.CodeBase, 0, 0},
		{"people are not to be seen", `(targetattr="*")(target!="ldap:///uid=*,ou=people,dc=example,dc=com")(version 3.0; acl "a"; allow (read, search) ` + reader, ldap.CodeEmpty, 0, 0},
		{"without the id", `(targetattr!="nsUniqueId")(version 3.0; acl "a"; allow (read, search) ` + reader, "", len(before) + 3, 0},
		{"without the e-mail, which stays", `(targetattr!="mail")(version 3.0; acl "a"; allow (read, search) ` + reader, "", 0, len(before)},
	} {
		d.Replace(t, d.Base, "aci", tt.right)
		report, err := sync(t, e, server)
		wantCode(t, tt.name, err, tt.code)
		if after := state(t, e); len(after) != len(before) || report.ProblemCount != tt.problems || report.Users.Absent != 0 || report.Users.Unchanged != tt.unchanged {
			t.Errorf("%s: %d were active, and %d are; %+v, %v", tt.name, len(before), len(after), report, err)
		}
	}
	d.Replace(t, d.Base, "aci", ldaptest.DS389Rights)
	if report, err := sync(t, e, server); err != nil || report.Users.Unchanged != len(before) {
		t.Errorf("repaired: %+v, %v", report, err)
	}
}

// The limits of the account, or of the server, cut an answer also in pages.
func limits389(t *testing.T, d *ldaptest.Server) {
	for _, tt := range []struct {
		name, attribute, value string
		code                   ldap.Code
	}{
		{"entries", "nsSizeLimit", "100", ldap.CodeSizeLimit},
		{"entries in pages", "nsPagedSizeLimit", "100", ldap.CodeSizeLimit},
		{"entries that are looked at", "nsPagedLookThroughLimit", "100", ldap.CodeSizeLimit},
	} {
		d.Replace(t, d.Reader, tt.attribute, tt.value)
		_, err := read(t, open(t, settings(d), d.Password), "")
		wantCode(t, tt.name, err, tt.code)
		d.Replace(t, d.Reader, tt.attribute)
	}
	r, err := open(t, settings(d), d.Password).Check(t.Context())
	if err != nil || r.People != 2499 || r.Groups != 3 || !r.Changes || len(r.Findings) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
