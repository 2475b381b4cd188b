package ldap_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// TestSamba has one server for all scenarios of Active Directory, as it takes seconds to
// start. They go in this order.
func TestSamba(t *testing.T) {
	d := ldaptest.Samba(t)
	zimmer := `CN=Zimmer\, Jr.,` + d.People
	d.AddUser(t, zimmer, "zimmer", map[string][]string{"mail": {"z@ad.example"}, "displayName": {"Zoë Zimmer"}, "company": {"ACME"}})
	d.AddUser(t, "CN=ada,"+d.People, "ada", nil)
	d.AddUser(t, "CN=disabled,"+d.People, "disabled", map[string][]string{"userAccountControl": {"514"}})
	d.AddUser(t, "CN=expired,"+d.People, "expired", map[string][]string{"accountExpires": {"129000000000000000"}})
	d.AddUser(t, "CN=mustchange,"+d.People, "mustchange", map[string][]string{"pwdLastSet": {"0"}})
	d.Add(t, "CN=pc,"+d.People, map[string][]string{"objectClass": {"computer"}, "sAMAccountName": {"pc$"}, "userAccountControl": {"4096"}})
	group := func(name string, members ...string) {
		d.Add(t, "CN="+name+","+d.Groups, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "member": members})
	}
	group("inner", zimmer, "CN=disabled,"+d.People)
	group("outer", "CN=inner,"+d.Groups)
	d.Replace(t, "CN=inner,"+d.Groups, "member", zimmer, "CN=outer,"+d.Groups, "CN=disabled,"+d.People) // a cycle
	for _, scenario := range []struct {
		name string
		run  func(*testing.T, *ldaptest.Server)
	}{{"source", sambaSource}, {"primary group", sambaPrimary}, {"logins", sambaLogins}, {"changes", sambaChanges}, {"TLS", sambaTLS}, {"check", sambaCheck}, {"moved and renamed", sambaMoves}} {
		t.Run(scenario.name, func(t *testing.T) { scenario.run(t, d) })
	}
}

func sambaSource(t *testing.T, d *ldaptest.Server) {
	got := mustRead(t, open(t, settings(d), d.Password), "")
	active := map[string]bool{"zimmer": true, "ada": true, "mustchange": true, "disabled": false, "expired": false}
	if len(got.users) != len(active) {
		t.Errorf("users %v", got.users)
	}
	for name, want := range active {
		u := got.users[name+"@ad.example"]
		if u.Problem != "" || strings.Contains(string(u.Content.Document), `"active":true`) != want {
			t.Errorf("%s: problem %q, %s", name, u.Problem, u.Content.Document)
		}
		if id := text(u.Content, "externalId"); id != d.GUID(t, name) {
			t.Errorf("%s has the id %q, and Samba says %q", name, id, d.GUID(t, name))
		}
	}
	zimmer := got.users["zimmer@ad.example"]
	if !strings.Contains(string(zimmer.Content.Document), `"organization":"ACME"`) || !strings.Contains(string(zimmer.Content.Document), "Zoë Zimmer") {
		t.Errorf("document %s", zimmer.Content.Document)
	}
	if g := got.groups["inner"]; len(g.Members) != 3 || !slices.Contains(g.Members, zimmer.Key) || !slices.Contains(g.Members, got.groups["outer"].Key) {
		t.Errorf("members of inner %q", g.Members)
	}
}

// The whole domain as base: there are references to other parts of it, and Domain Users
// has its members by their primary group.
func sambaPrimary(t *testing.T, d *ldaptest.Server) {
	got := mustRead(t, open(t, settings(d, func(s *provision.LDAP) { s.BaseDNs, s.GroupBaseDNs = []string{d.Base}, nil }), d.Password), "")
	if g := got.groups["Domain Users"]; !slices.Contains(g.Members, got.users["zimmer@ad.example"].Key) {
		t.Errorf("Domain Users has %d members, and zimmer is not one", len(g.Members))
	}
	if len(got.groups) < 10 || len(got.users) < 7 {
		t.Errorf("%d groups and %d users", len(got.groups), len(got.users))
	}
}

func sambaLogins(t *testing.T, d *ldaptest.Server) {
	h := newDoor(t, settings(d, func(s *provision.LDAP) { s.GroupBaseDNs = []string{d.Base} }), d.Password)
	for i, tt := range []struct {
		name, password string
		status         int
		log            string
	}{
		{"zimmer", d.Password, http.StatusOK, ""},
		{"zimmer@ad.example", d.Password, http.StatusOK, ""},
		{`ADEX\zimmer`, d.Password, http.StatusOK, ""},
		{"zimmer", "wrong", http.StatusForbidden, "the password is wrong"},
		{"zimmer\x00", d.Password, http.StatusForbidden, "invisible character"}, // whom Samba finds
		{"disabled", d.Password, http.StatusForbidden, "disabled or expired"},
		{"mustchange", d.Password, http.StatusForbidden, "the password must be changed first"},
		{"reader", d.Password, http.StatusForbidden, "nobody has the name"}, // not below the base DN
		{"pc$", d.Password, http.StatusForbidden, "nobody has the name"},
	} {
		w := h.post(tt.name, tt.password, func(r *http.Request) { r.RemoteAddr = "192.0.2." + string(rune('0'+i)) + ":1" })
		if w.Code != tt.status || !strings.Contains(h.log.String(), tt.log) {
			t.Errorf("%q: status %d, and the log must have %q\n%s", tt.name, w.Code, tt.log, h.log)
		}
	}
	if got := strings.Join(state(t, h.engine)["zimmer@ad.example"], ","); !strings.Contains(got, "Domain Users,Users,") || !strings.Contains(got, "inner,outer") {
		t.Errorf("zimmer is in %s", got)
	}
	// The primary group is not below the base DN, and is seen all the same.
	h = newDoor(t, settings(d), d.Password)
	for name, want := range map[string]int{"zimmer": 2, "ada": 0} {
		if w := h.post(name, d.Password, nil); w.Code != http.StatusOK || len(h.account.Groups) != want || strings.Contains(h.log.String(), "not known") {
			t.Errorf("%s, with %s as the base: status %d, %+v\n%s", name, d.Groups, w.Code, h.account, h.log)
		}
	}
}

func sambaChanges(t *testing.T, d *ldaptest.Server) {
	server := open(t, settings(d), d.Password)
	whole := mustRead(t, server, "")
	none := mustRead(t, server, whole.mark)
	if len(none.users)+len(none.groups) != 0 || none.mark != whole.mark {
		t.Errorf("without a change: %v, %v, mark %s after %s", none.users, none.groups, none.mark, whole.mark)
	}
	d.Replace(t, "CN=ada,"+d.People, "displayName", "Ada")
	d.Replace(t, "CN=outer,"+d.Groups, "member", "CN=inner,"+d.Groups, "CN=ada,"+d.People)
	got := mustRead(t, server, whole.mark)
	if len(got.users) != 1 || len(got.groups) != 1 {
		t.Fatalf("%d users and %d groups, want one of each", len(got.users), len(got.groups))
	}
	want := []string{d.GUID(t, "ada"), d.GUID(t, "inner")}
	if members := got.groups["outer"].Members; len(members) != 2 || !slices.Contains(members, want[0]) || !slices.Contains(members, want[1]) {
		t.Errorf("outer has %q, want %q", members, want)
	}
	if again := mustRead(t, server, got.mark); len(again.users)+len(again.groups) != 0 {
		t.Errorf("again: %v, %v", again.users, again.groups)
	}
	other := strings.Replace(whole.mark, "NTDS Settings", "NTDS Other", 1)
	if _, err := server.Source(t.Context(), other); !errors.Is(err, provision.ErrSyncMark) {
		t.Errorf("the mark of another server: %v", err)
	}
	later := strings.ReplaceAll(whole.mark, `"at":"`, `"at":"9`)
	if _, err := server.Source(t.Context(), later); !errors.Is(err, provision.ErrSyncMark) {
		t.Errorf("a mark from before a restore: %v", err)
	}
}

// Samba takes simple binds by TLS alone.
func sambaTLS(t *testing.T, d *ldaptest.Server) {
	for _, tt := range []struct {
		name string
		edit func(*provision.LDAP)
		code ldap.Code // empty: it works
	}{
		{"ldaps", func(*provision.LDAP) {}, ""},
		{"StartTLS", func(s *provision.LDAP) { s.URLs, s.StartTLS = []string{d.URL}, true }, ""},
		{"none", func(s *provision.LDAP) { s.URLs, s.InsecureNoTLS = []string{d.URL}, true }, ldap.CodeNeedsTLS},
		{"another name", func(s *provision.LDAP) { s.ServerName = "dc.example" }, ldap.CodeTLS},
		{"another authority", func(s *provision.LDAP) { _, _, s.CA = ldaptest.Certificate(t, "localhost") }, ldap.CodeTLS},
		{"StartTLS, another name", func(s *provision.LDAP) { s.URLs, s.StartTLS, s.ServerName = []string{d.URL}, true, "dc.example" }, ldap.CodeTLS},
	} {
		_, err := read(t, open(t, settings(d, tt.edit), d.Password), "")
		var wrong *ldap.Error
		if errors.As(err, &wrong) != (tt.code != "") || wrong != nil && wrong.Code != tt.code {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
	}
	_, err := read(t, open(t, settings(d), "wrong"), "")
	var wrong *ldap.Error
	if !errors.As(err, &wrong) || wrong.Code != ldap.CodeBind {
		t.Errorf("a wrong password of the service account: %v", err)
	}
}

// Whoever is moved and renamed stays who they are.
func sambaMoves(t *testing.T, d *ldaptest.Server) {
	server := open(t, settings(d), d.Password)
	e := newEngine(t, nil)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	before := state(t, e)
	d.Add(t, "OU=Berlin,"+d.People, map[string][]string{"objectClass": {"organizationalUnit"}})
	d.Move(t, `CN=Zimmer\, Jr.,`+d.People, "CN=Z", "OU=Berlin,"+d.People)
	d.Replace(t, "CN=Z,OU=Berlin,"+d.People, "userPrincipalName", "zora@ad.example")
	report, err := sync(t, e, server)
	if err != nil || report.Users.Updated != 1 || report.Users.Created+report.Users.Absent+report.MembersAdded+report.MembersRemoved != 0 {
		t.Errorf("report %+v, %v", report, err)
	}
	after := state(t, e)
	if !slices.Equal(after["zora@ad.example"], before["zimmer@ad.example"]) || len(after) != len(before) {
		t.Errorf("before %v, after %v", before, after)
	}
	d.Move(t, "CN=Z,OU=Berlin,"+d.People, "CN=Z", d.Groups) // out of the base DN
	if report, err = sync(t, e, server); err != nil || report.Users.Absent != 1 {
		t.Errorf("moved out: %+v, %v", report, err)
	}
}

func sambaCheck(t *testing.T, d *ldaptest.Server) {
	defer d.Replace(t, d.Base, "lockoutThreshold", "0")
	defer d.Replace(t, d.Base, "lockOutObservationWindow", "-18000000000")
	for _, tt := range []struct {
		threshold int
		window    string
		warned    bool
	}{{0, "-18000000000", false}, {7, "-18000000000", false}, {6, "-18000000000", true}, {7, "-36000000000", true}} {
		d.Replace(t, d.Base, "lockoutThreshold", strconv.Itoa(tt.threshold))
		d.Replace(t, d.Base, "lockOutObservationWindow", tt.window)
		r, err := open(t, settings(d), d.Password).Check(t.Context())
		if err != nil || r.LockoutThreshold != tt.threshold || r.People != 5 || r.Inactive != 2 || r.Groups != 2 || !r.Changes {
			t.Errorf("%+v, %v", r, err)
		}
		want := []string{ldap.FindingLockout, ldap.FindingNoEmail}
		if !tt.warned {
			want = want[1:]
		}
		if got := codes(r); !slices.Equal(got, want) {
			t.Errorf("threshold %d, window %s: findings %q, want %q", tt.threshold, tt.window, got, want)
		}
	}
}
