package ldap_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	gosync "sync"
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/ldap"
)

// door is a host with a login by a directory.
type door struct {
	t       testing.TB
	engine  *provision.Engine
	servers *ldap.Servers
	handler *ldap.Handler
	log     *buffer
	account *provision.Account // of the last login
	jar     []*http.Cookie
}

// buffer is a log.
type buffer struct {
	mu gosync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newDoor(t testing.TB, s provision.LDAP, password string) *door {
	t.Helper()
	s.Login, s.BindPassword = true, provision.NewSecret(password)
	keys, err := provision.NewSecretKeys(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, log: &buffer{}}
	logger := slog.New(slog.NewTextHandler(d.log, nil))
	d.engine = newEngine(t, func(c *provision.Connection) { c.LDAP = &s }, func(e *provision.Engine) {
		e.Outbound.AllowPrivate = true
		e.Secrets, e.Logger = keys, logger
	})
	d.servers = &ldap.Servers{Engine: d.engine, Logger: logger}
	t.Cleanup(d.servers.Close)
	login := &jit.LoginHandler{Engine: d.engine, Logger: logger, OnLogin: func(w http.ResponseWriter, _ *http.Request, a *provision.Account, returnTo string) {
		d.account = a
		_, _ = io.WriteString(w, "hello "+a.UserName+" "+returnTo)
	}}
	d.handler = &ldap.Handler{Servers: d.servers, Login: login, BaseURL: func(c string) string { return "https://app.example.com/ldap/" + c }}
	return d
}

// post sends the form, with the cookies of the browser where it is one.
func (d *door) post(name, password string, edit func(*http.Request)) *httptest.ResponseRecorder {
	d.t.Helper()
	form := url.Values{"username": {name}, "password": {password}, "return": {"/inbox"}}
	r := httptest.NewRequest(http.MethodPost, "https://app.example.com/ldap/dir/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range d.jar {
		r.AddCookie(c)
	}
	if edit != nil {
		edit(r)
	}
	d.account = nil
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r.WithContext(d.t.Context()))
	return w
}

var code = regexp.MustCompile(`<code>\w+</code>`)

// ldapPeople are some people with passwords, and groups in groups.
const ldapPeople = `
dn: uid=ada,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: shadowAccount
uid: ada
cn: Ada Lovelace
sn: Lovelace
mail: ada@example.com
uidNumber: 1001
gidNumber: 1001
homeDirectory: /home/ada
userPassword: correct horse

dn: cn=Zoë\, Jr. \+ Co,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: zoe
cn: Zoë, Jr. + Co
sn: Zoë
userPassword:  staple 

dn: uid=gone,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: posixAccount
objectClass: shadowAccount
uid: gone
cn: Gone
sn: Gone
uidNumber: 1002
gidNumber: 1002
homeDirectory: /home/gone
shadowExpire: 1
userPassword: correct horse

dn: uid=twin,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin
uid: twin2
cn: Twin
sn: Twin
userPassword: correct horse

dn: uid=twin2,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin2
cn: Twin 2
sn: Twin
userPassword: correct horse

dn: cn=inner,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: inner
member: uid=ada,ou=people,dc=example,dc=com
member: cn=outer,ou=groups,dc=example,dc=com

dn: cn=outer,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: outer
member: cn=inner,ou=groups,dc=example,dc=com

dn: cn=unix,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: unix
gidNumber: 2000
memberUid: ada
memberUid: nobody

`

func TestLoginOnSlapd(t *testing.T) {
	logins(t, ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: people()}))
}

// people are those of ldapPeople as a server takes them.
func people() string {
	return strings.ReplaceAll(strings.ReplaceAll(ldapPeople, "Zoë", "Zoe"), "userPassword:  staple ", "userPassword:: IHN0YXBsZSA=")
}

// logins has the people of ldapPeople log in.
func logins(t *testing.T, s *ldaptest.Server) {
	t.Helper()
	tests := []struct {
		name, password string
		status         int
		user           string
	}{
		{"ada", "correct horse", http.StatusOK, "ada"},
		{"ADA", "correct horse", http.StatusOK, "ada"}, // who was found counts, not what was typed
		{"zoe", " staple ", http.StatusOK, "zoe"},
		{"zoe", "staple", http.StatusForbidden, ""}, // it is not trimmed
		{"ada", "wrong", http.StatusForbidden, ""},
		{"ada", "", http.StatusForbidden, ""}, // an unauthenticated bind would succeed
		{"nobody", "correct horse", http.StatusForbidden, ""},
		{"gone", "correct horse", http.StatusForbidden, ""},
		{"twin2", "correct horse", http.StatusForbidden, ""}, // two have the name
		{"*", "correct horse", http.StatusForbidden, ""},
		{"ada)(uid=*", "correct horse", http.StatusForbidden, ""},
		{"ada\x00", "correct horse", http.StatusForbidden, ""},
		{"ada\u200b", "correct horse", http.StatusForbidden, ""},
		{"ada@example.com", "correct horse", http.StatusForbidden, ""},
	}
	d := newDoor(t, settings(s), s.Password)
	refusals := map[string]bool{}
	for i, tt := range tests {
		w := d.post(tt.name, tt.password, func(r *http.Request) { r.RemoteAddr = "192.0.2." + string(rune('0'+i%10)) + ":1" })
		if w.Code != tt.status || (d.account == nil) != (tt.user == "") {
			t.Errorf("%q with %q: status %d, account %v\n%s", tt.name, tt.password, w.Code, d.account, w.Body)
		}
		if d.account != nil && (d.account.UserName != tt.user || w.Body.String() != "hello "+tt.user+" /inbox") {
			t.Errorf("%q is %q: %s", tt.name, d.account.UserName, w.Body)
		}
		if w.Code != http.StatusOK {
			refusals[code.ReplaceAllString(w.Body.String(), "")] = true
		}
	}
	if len(refusals) != 1 {
		t.Errorf("there are %d answers to those who are refused, and they must look alike", len(refusals))
	}
	if log := d.log.String(); strings.Contains(log, "correct horse") || strings.Contains(log, s.Password) || !strings.Contains(log, "ldap_ambiguous") || !strings.Contains(log, "disabled or expired") {
		t.Errorf("the log has a password, or lacks the reasons:\n%s", log)
	}
	d.post("ada", "correct horse", nil)
	if got := state(t, d.engine)["ada"]; !strings.Contains(strings.Join(got, ","), "inner,outer,unix") {
		t.Errorf("ada has %q", got)
	}
}

// People by a sync are the people who log in, and the groups of the sync stay.
func TestLoginAfterSync(t *testing.T) {
	s := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: strings.ReplaceAll(strings.ReplaceAll(ldapPeople, "Zoë", "Zoe"), "  staple ", " staple")})
	d := newDoor(t, settings(s), s.Password)
	server := open(t, settings(s), s.Password)
	if _, err := sync(t, d.engine, server); err != nil {
		t.Fatal(err)
	}
	before := state(t, d.engine)
	s.Move(t, "uid=ada,ou=people,dc=example,dc=com", "uid=countess", "")
	if w := d.post("countess", "correct horse", nil); w.Code != http.StatusOK || d.account.ExternalID == "" {
		t.Fatalf("status %d\n%s", w.Code, d.log)
	}
	after := state(t, d.engine)
	if len(after) != len(before) {
		t.Errorf("active were %v and are %v", before, after)
	}
	if _, err := sync(t, d.engine, server); err != nil {
		t.Fatal(err)
	}
	if got := state(t, d.engine); len(got) != len(before) || got["countess"] == nil {
		t.Errorf("after the sync: %v", got)
	}
}

// loginFake has one person, uid0 with the password "right", and counts who is bound.
func loginFake(t testing.TB) (f *ldaptest.Fake, bound func() []string) {
	f = ldaptest.NewFake(t)
	var mu gosync.Mutex
	var list []string
	f.Bind = func(dn, password string) int {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, dn)
		if person, _ := ldaptest.Person(0); dn == person && password == "right" || strings.HasPrefix(dn, "cn=reader,") {
			return gldap.ResultSuccess
		}
		return gldap.ResultInvalidCredentials
	}
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		if strings.Contains(m.Filter, "(uid=uid0)") || strings.Contains(m.Filter, "(sn=uid0)") {
			a.Entry(ldaptest.Person(0))
		}
		a.Done(gldap.ResultSuccess)
	}
	return f, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), list...)
	}
}

func TestLoginCostsAlike(t *testing.T) {
	for _, tt := range []struct {
		id   string
		want [2]int64 // searches and binds
	}{{"entryUUID", [2]int64{1, 1}}, {"sn", [2]int64{2, 1}}} { // whether nobody shares an id of one's own
		f, _ := loginFake(t)
		s := fakeSettings(f)
		s.Mapping = map[string]string{"id": tt.id}
		d := newDoor(t, s, "x")
		if w := d.post("uid0", "right", nil); w.Code != http.StatusOK { // warms up
			t.Fatalf("status %d\n%s", w.Code, d.log)
		}
		cost := func(name string) [2]int64 {
			searches, binds := f.Searches.Load(), f.Binds.Load()
			d.post(name, "wrong", nil)
			return [2]int64{f.Searches.Load() - searches, f.Binds.Load() - binds}
		}
		for range 6 { // the last ones are throttled
			for _, name := range []string{"uid0", "nobody"} {
				if got := cost(name); got != tt.want {
					t.Errorf("id %s: a wrong password of %q costs %v searches and binds, want %v", tt.id, name, got, tt.want)
				}
			}
		}
	}
}

func TestThrottle(t *testing.T) {
	f, bound := loginFake(t)
	d := newDoor(t, fakeSettings(f), "x")
	person, _ := ldaptest.Person(0)
	asked := func() (n int) {
		for _, dn := range bound() {
			if dn == person {
				n++
			}
		}
		return n
	}
	if w := d.post("uid0", "right", nil); w.Code != http.StatusOK {
		t.Fatal(w.Code)
	} else {
		d.jar = w.Result().Cookies()
	}
	if len(d.jar) != 1 || !d.jar[0].HttpOnly || !d.jar[0].Secure {
		t.Fatalf("cookies %v", d.jar)
	}
	own := d.jar
	d.jar = nil
	start := asked()
	var wg gosync.WaitGroup
	stranger := *d
	for range 20 {
		wg.Go(func() {
			mine := stranger
			mine.handler = &ldap.Handler{Servers: d.servers, Login: d.handler.Login, BaseURL: d.handler.BaseURL}
			mine.post("uid0", "wrong", nil)
		})
	}
	wg.Wait()
	if n := asked() - start; n != 3 {
		t.Errorf("%d wrong passwords reached the directory, want 3", n)
	}
	if w := d.post("uid0", "right", nil); w.Code == http.StatusOK {
		t.Error("a stranger's browser is let in after too many wrong passwords")
	}
	d.jar = []*http.Cookie{{Name: own[0].Name, Value: own[0].Value[:len(own[0].Value)-2] + "xx"}}
	if w := d.post("uid0", "right", nil); w.Code == http.StatusOK {
		t.Error("a forged cookie is taken")
	}
	d.jar = own
	if w := d.post("uid0", "right", nil); w.Code != http.StatusOK {
		t.Errorf("the person's own browser: status %d\n%s", w.Code, d.log)
	}
	for i := range 5 {
		d.post("uid0", "wrong", nil)
		if n := asked() - start; n > 3+1+min(i+1, 3) {
			t.Errorf("%d wrong passwords of the own browser: %d binds", i+1, n)
		}
	}
}

func TestOutage(t *testing.T) {
	s := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: strings.ReplaceAll(ldapPeople, "Zoë", "Zoe")})
	d := newDoor(t, settings(s), s.Password)
	if w := d.post("ada", "correct horse", nil); w.Code != http.StatusOK {
		t.Fatalf("status %d\n%s", w.Code, d.log)
	}
	s.Stop(t)
	for range 5 { // more than wrong passwords are allowed
		w := d.post("ada", "correct horse", nil)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("during the outage: status %d", w.Code)
		}
	}
	s.Start(t)
	if w := d.post("ada", "correct horse", nil); w.Code != http.StatusOK {
		t.Errorf("after the outage: status %d\n%s", w.Code, d.log)
	}
}

// A server that is busy has counted no password.
func TestBusyCountsNothing(t *testing.T) {
	f, _ := loginFake(t)
	good, busy := f.Bind, true
	f.Bind = func(dn, password string) int {
		if code := good(dn, password); strings.HasPrefix(dn, "cn=reader,") || !busy {
			return code
		}
		return gldap.ResultBusy
	}
	d := newDoor(t, fakeSettings(f), "x")
	for range 5 {
		if w := d.post("uid0", "right", nil); w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d", w.Code)
		}
	}
	busy = false
	if w := d.post("uid0", "right", nil); w.Code != http.StatusOK {
		t.Errorf("afterwards: status %d\n%s", w.Code, d.log)
	}
}

func TestRequests(t *testing.T) {
	f, _ := loginFake(t)
	d := newDoor(t, fakeSettings(f), "x")
	asJSON := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(strings.NewReader(body))
		}
	}
	tests := []struct {
		name   string
		edit   func(*http.Request)
		status int
		json   bool
	}{
		{"JSON", asJSON(`{"username":"uid0","password":"right"}`), http.StatusOK, false},
		{"JSON, wrong", asJSON(`{"username":"uid0","password":"wrong"}`), http.StatusForbidden, true},
		{"JSON, unknown field", asJSON(`{"user":"uid0","password":"right"}`), http.StatusBadRequest, true},
		{"JSON, more", asJSON(`{"username":"uid0","password":"right"}{}`), http.StatusBadRequest, true},
		{"another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusBadRequest, false},
		{"another origin", func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		}, http.StatusBadRequest, false},
		{"own origin behind a proxy", func(r *http.Request) {
			r.Host = "10.0.0.1"
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://app.example.com")
		}, http.StatusOK, false},
		{"too large", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("username=" + strings.Repeat("x", 20<<10)))
		}, http.StatusBadRequest, false},
		{"two names", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("username=uid0&username=uid1&password=right"))
		}, http.StatusBadRequest, false},
		{"another media type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, http.StatusBadRequest, false},
		{"another connection", func(r *http.Request) { r.URL.Path = "/ldap/other/login" }, http.StatusNotFound, false},
		{"another address", func(r *http.Request) { r.URL.Path = "/ldap/dir/logout" }, http.StatusNotFound, false},
		{"another method", func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed, false},
		{"the form", func(r *http.Request) { r.Method = http.MethodGet }, http.StatusOK, false},
	}
	for _, tt := range tests {
		w := d.post("uid0", "right", tt.edit)
		var body map[string]string
		isJSON := json.Unmarshal(w.Body.Bytes(), &body) == nil && body["error"] != ""
		if w.Code != tt.status || isJSON != tt.json {
			t.Errorf("%s: status %d, want %d; JSON %t\n%s", tt.name, w.Code, tt.status, isJSON, w.Body)
		}
	}
}

// What cannot be told of groups leaves what is known of them: a search that fails, and
// nothing at all where the service account sees no members of groups.
func TestUnknownGroupsKeep(t *testing.T) {
	f, _ := loginFake(t)
	groups := "hers"
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		anybody := strings.Contains(m.Filter, "(member=*)")
		switch {
		case strings.Contains(m.Filter, "(uid=uid0)"):
			a.Entry(ldaptest.Person(0))
		case groups == "fail", groups == "fail late" && anybody:
			a.Done(gldap.ResultUnavailable)
			return
		case groups == "hers" && strings.Contains(m.Filter, "member=uid=uid0"), groups == "others'" && anybody:
			a.Entry("cn=all,ou=groups,dc=example,dc=com", map[string][]string{"cn": {"all"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"}})
		}
		a.Done(gldap.ResultSuccess)
	}
	d := newDoor(t, fakeSettings(f), "x")
	for _, step := range []struct {
		groups   string
		want     int
		searches int64 // for groups; 0 is any number
	}{{"hers", 1, 0}, {"fail", 1, 0}, {"fail late", 1, 0}, {"others'", 0, 2}, {"hers", 1, 0}, {"none", 1, 2}, {"none", 1, 1}} {
		groups = step.groups
		before := f.Searches.Load()
		if w := d.post("uid0", "right", nil); w.Code != http.StatusOK || len(d.account.Groups) != step.want {
			t.Errorf("groups %s: status %d, %d groups, want %d\n%s", step.groups, w.Code, len(d.account.Groups), step.want, d.log)
		}
		if n := f.Searches.Load() - before - 1; step.searches != 0 && n != step.searches {
			t.Errorf("groups %s: %d searches, want %d", step.groups, n, step.searches)
		}
	}
}

// The primary group of Active Directory is one of everybody's: where it is not to be seen,
// nothing is known of groups.
func TestUnknownPrimaryGroupKeeps(t *testing.T) {
	const sid = "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"
	dn, _ := ldaptest.Person(0)
	person := map[string][]string{
		"objectGUID": {"0123456789abcdef"}, "sAMAccountName": {"uid0"}, "objectSid": {sid + "\x50\x04\x00\x00"}, "primaryGroupID": {"513"},
	}
	group := map[string][]string{"cn": {"hers"}, "objectGUID": {"fedcba9876543210"}, "objectSid": {sid + "\x51\x04\x00\x00"}}
	users := map[string][]string{"cn": {"Domain Users"}, "objectGUID": {"0123456789ABCDEF"}, "objectSid": {sid + "\x01\x02\x00\x00"}}
	f, _ := loginFake(t)
	var shown []map[string][]string // groups of the person
	outside := false                // the primary group is not below the base DNs
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		switch {
		case strings.HasPrefix(m.BaseDN, "<SID=0105") && !outside:
			a.Done(gldap.ResultNoSuchObject)
			return
		case strings.HasPrefix(m.BaseDN, "<SID=0105"):
			a.Entry("cn=Domain Users", nil)
		case strings.Contains(m.Filter, "(sAMAccountName=uid0)"):
			a.Entry(dn, person)
		case strings.Contains(m.Filter, "(member=*)"):
			a.Entry("cn=anything", nil)
		case strings.Contains(m.Filter, "uid=uid0"):
			for _, g := range shown {
				a.Entry("cn="+g["cn"][0]+",ou=groups,dc=example,dc=com", g)
			}
		}
		a.Done(gldap.ResultSuccess)
	}
	s := fakeSettings(f)
	s.Preset = "ad"
	d := newDoor(t, s, "x")
	for _, step := range []struct {
		name    string
		shown   []map[string][]string
		outside bool
		want    int
	}{
		{"both", []map[string][]string{users, group}, false, 2},
		{"the primary group is not to be seen", []map[string][]string{group}, false, 2},
		{"none is to be seen", nil, false, 2},
		{"the primary group is outside", []map[string][]string{group}, true, 1},
		{"none but the one outside", nil, true, 0},
		{"both again", []map[string][]string{users, group}, false, 2},
		{"which group is not to be read", []map[string][]string{group}, true, 2},
	} {
		shown, outside = step.shown, step.outside
		if step.name == "which group is not to be read" {
			person = map[string][]string{"objectGUID": person["objectGUID"], "sAMAccountName": {"uid0"}, "objectSid": person["objectSid"]}
		}
		if w := d.post("uid0", "right", nil); w.Code != http.StatusOK || len(d.account.Groups) != step.want {
			t.Errorf("%s: status %d, account %+v, want %d groups\n%s", step.name, w.Code, d.account, step.want, d.log)
		}
	}
}

// Where the id is an attribute of one's own, two who share one are both refused, whoever
// logs in first.
func TestSharedIDIsRefused(t *testing.T) {
	s := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: strings.ReplaceAll(strings.ReplaceAll(ldapPeople, "Zoë", "Zoe"), "  staple ", " staple")})
	ada, zoe, inner := "uid=ada,"+s.People, `cn=Zoe\, Jr. \+ Co,`+s.People, []string{"inner", "outer", "unix"}
	s.Replace(t, ada, "employeeNumber", "7*")
	s.Replace(t, zoe, "employeeNumber", "8")
	d := newDoor(t, settings(s, func(l *provision.LDAP) { l.Mapping = map[string]string{"id": "employeeNumber"} }), s.Password)
	for _, step := range []struct {
		name, password, number string // of Zoe
		status                 int
	}{
		{"ada", "correct horse", "8", http.StatusOK},
		{"zoe", "staple", "8", http.StatusOK},
		{"zoe", "staple", "7*", http.StatusForbidden},
		{"ada", "correct horse", "7*", http.StatusForbidden},
		{"ada", "correct horse", "8", http.StatusOK},
	} {
		s.Replace(t, zoe, "employeeNumber", step.number)
		if w := d.post(step.name, step.password, nil); w.Code != step.status {
			t.Errorf("%s, where Zoe has %s: status %d, want %d\n%s", step.name, step.number, w.Code, step.status, d.log)
		}
	}
	if got := state(t, d.engine)["ada"]; len(got) != 2+len(inner) {
		t.Errorf("ada has %q", got)
	}
	if log := d.log.String(); !strings.Contains(log, "ldap_ambiguous") {
		t.Errorf("the log lacks the reason:\n%s", log)
	}
}

// What is typed as a name may be a password.
func TestTypedNamesAreNotLogged(t *testing.T) {
	f, _ := loginFake(t)
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		switch {
		case strings.Contains(m.Filter, "(uid=uid0)"):
			a.Entry(ldaptest.Person(0))
		case strings.Contains(m.Filter, "(uid=hunter2-twice)"):
			a.Entry(ldaptest.Person(1))
			a.Entry(ldaptest.Person(2))
		}
		a.Done(gldap.ResultSuccess)
	}
	d := newDoor(t, fakeSettings(f), "x")
	for _, name := range []string{"hunter2-nobody", "hunter2-twice", "hunter2\x00", "hunter2" + strings.Repeat("x", 2000)} {
		for range 4 { // the last is throttled
			d.post(name, "wrong", nil)
		}
	}
	for range 4 {
		d.post("uid0", "wrong", nil)
	}
	person, _ := ldaptest.Person(0)
	log := d.log.String()
	for _, want := range []string{"ldap_ambiguous", "ldap_throttled", "a name of 14 bytes", "too many wrong passwords for the entry", person} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("the log has what was typed:\n%s", log)
	}
}
