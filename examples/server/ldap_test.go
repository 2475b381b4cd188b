package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/ldaptest"
)

// A directory of the configuration is kept, with its password sealed: the server starts
// again with the same file, and nothing has changed.
func TestLDAPOfConfiguration(t *testing.T) {
	dir := t.TempDir()
	config, db := filepath.Join(dir, "config.json"), filepath.Join(dir, "test.db")
	const text = `{"connections":[{"id":"ad","ldap":{"url":"ldaps://dc1.example:636","bindDN":"AD\\reader","bindPassword":"hunter2hunter2",
		"baseDN":"DC=ad,DC=example","preset":"ad","login":true,"interval":"30m"}}]}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := start(t, "-db", db, "-config", config, "-operator-token", operatorToken)
		got := s.get("/connections?connection=ad", operatorToken)
		if !strings.Contains(got, `"bindPassword":{"set":true}`) || !strings.Contains(got, `"intervalSeconds":1800`) || !strings.Contains(got, `"version":1`) {
			t.Errorf("the connection is %s", got)
		}
		events := s.get("/events?connection=ad", operatorToken)
		s.stop()
		for what, shown := range map[string]string{"answer": got, "events": events, "log": s.log.String(), "output": s.out.String()} {
			if strings.Contains(shown, "hunter2") {
				t.Errorf("the %s has the password", what)
			}
		}
	}
	info, err := os.Stat(db + ".secret-key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the key: %v, %v", info, err)
	}
}

// A key is replaced: the new one first, all is sealed anew, and the old one goes.
func TestReseal(t *testing.T) {
	dir := t.TempDir()
	config, db, key := filepath.Join(dir, "config.json"), filepath.Join(dir, "test.db"), filepath.Join(dir, "key")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, `{"connections":[{"id":"ad","ldap":{"url":"ldaps://dc1.example:636","bindDN":"CN=a","bindPassword":"hunter2hunter2","baseDN":"DC=ad","interval":"off"}}]}`)
	old, fresh := string(freshSecretKey()), string(freshSecretKey())
	write(key, old)
	start(t, "-db", db, "-config", config, "-secret-key", key).stop()
	for _, step := range []struct {
		keys string
		want string // of the output, or of the error
	}{
		{fresh, "cannot be opened"},
		{fresh + old, "1 secrets are sealed by the first key."},
		{fresh, "1 secrets are sealed by the first key."},
		{old, "cannot be opened"},
	} {
		write(key, step.keys)
		var out bytes.Buffer
		err := run(t.Context(), []string{"-db", db, "-secret-key", key, "-reseal"}, &out, io.Discard)
		if got := out.String() + fmt.Sprint(err); !strings.Contains(got, step.want) {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
}

// What is wrong with a directory or with the keys stops the server at start.
func TestWrongLDAPOfConfiguration(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ ldap, want string }{
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","interval":"often"`, `connections[0].ldap.interval: "often"`},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","interval":"1m"`, `connections[0].ldap.intervalSeconds: "60"`},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","caFile":"none.pem"`, `connections[0].ldap.caFile: `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","clientKeyFile":"none.pem"`, `connections[0].ldap.clientKeyFile: `},
		{`"url":"ldaps://dc1.example","urls":["ldaps://dc2.example"],"baseDN":"DC=a"`, `connections[0].ldap.url: `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","baseDNs":["DC=b"]`, `connections[0].ldap.baseDN: `},
		{`"url":"ldap://dc1.example","baseDN":"DC=a"`, `connections[0].ldap.urls: `},
		{`"urls":["ldaps://dc1.example"]`, `connections[0].ldap.baseDNs: `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","filter":"(cn)"`, `connections[0].ldap.filter: `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","mapping":{"mial":"mail"}`, `connections[0].ldap.mapping: "mial": `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","bindDN":"CN=reader"`, `connections[0].ldap.bindPassword: `},
	} {
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, []byte(`{"connections":[{"id":"ad","ldap":{`+test.ldap+`}}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(file, false); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", test.ldap, err, test.want)
		}
	}
	for name, text := range map[string]string{"empty": "", "short": "aHVudGVyMg==", "no base64": "hunter2"} {
		file := filepath.Join(dir, "key")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSecretKeys(options{secretKey: file, db: ":memory:"}, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The server reads a directory on request and lets its people in, without writing a
// password anywhere.
func TestDirectory(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(3, 1, 2)})
	d.Replace(t, "uid=user1,"+d.People, "userPassword", d.Password)
	dir := t.TempDir()
	config := filepath.Join(dir, "config.json")
	text := fmt.Sprintf(`{"connections":[{"id":"corp","ldap":{"url":%q,"caFile":"ca.pem","bindDN":%q,"bindPassword":%q,
		"baseDN":%q,"groupBaseDN":%q,"preset":"openldap","login":true},"policy":{"requiredGroups":"group0"}}]}`,
		d.SecureURL, d.Reader, d.Password, d.People, d.Groups)
	for file, content := range map[string]string{config: text, filepath.Join(dir, "ca.pem"): d.CA} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, "-db", ":memory:", "-config", config, "-operator-token", operatorToken, "-allow-private")
	sync := func() (status int, got string) {
		for range 500 { // the first one runs when the server starts
			if status, got = s.do("POST", "/sync?connection=corp", operatorToken, ""); status != http.StatusConflict {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		return status, got
	}
	if _, got := sync(); !strings.Contains(got, `"users":{"seen":3,`) || !strings.Contains(got, `"problemCount":0`) {
		t.Errorf("the sync: %s", got)
	}
	if got := s.get("/accounts?connection=corp", operatorToken); strings.Count(got, `"status":"active"`) != 2 {
		t.Errorf("the accounts: %s", got)
	}
	for _, login := range []struct {
		name, password string
		status         int
		want           string
	}{
		{"user1", d.Password, http.StatusOK, "user1"},
		{"user1", "wrong", http.StatusForbidden, ""},
		{"nobody", d.Password, http.StatusForbidden, ""},
	} {
		resp, err := http.PostForm(s.base+"/ldap/corp/login", url.Values{"username": {login.name}, "password": {login.password}})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != login.status || !strings.Contains(string(body), login.want) {
			t.Errorf("login of %s: %d %s %v", login.name, resp.StatusCode, body, err)
		}
	}
	if events := s.get("/events?connection=corp", operatorToken); strings.Contains(events, d.Password) || strings.Contains(s.log.String(), d.Password) {
		t.Error("the events or the log have a password")
	}
	d.Stop(t)
	if status, got := sync(); status != http.StatusBadGateway || !strings.Contains(got, "ldap_connect") {
		t.Errorf("the sync without a directory: %d %s", status, got)
	}
}
