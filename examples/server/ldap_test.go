package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// What is wrong with a directory or with the keys stops the server at start.
func TestWrongLDAPOfConfiguration(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ ldap, want string }{
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","interval":"often"`, `connections[0].ldap.interval: "often"`},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","interval":"1m"`, `connections[0].ldap.intervalSeconds: "60"`},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","caFile":"none.pem"`, `connections[0].ldap.caFile: `},
		{`"url":"ldaps://dc1.example","urls":["ldaps://dc2.example"],"baseDN":"DC=a"`, `connections[0].ldap.url: `},
		{`"url":"ldaps://dc1.example","baseDN":"DC=a","baseDNs":["DC=b"]`, `connections[0].ldap.baseDN: `},
		{`"url":"ldap://dc1.example","baseDN":"DC=a"`, `connections[0].ldap.urls: `},
		{`"urls":["ldaps://dc1.example"]`, `connections[0].ldap.baseDNs: `},
	} {
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, []byte(`{"connections":[{"id":"ad","ldap":{`+test.ldap+`}}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(file); err == nil || !strings.Contains(err.Error(), test.want) {
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
