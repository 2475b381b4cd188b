package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readDirectory has the directory of a connection read; the first sync may still run.
func (r *running) readDirectory(connection string) string {
	r.t.Helper()
	for range 500 {
		status, got := r.do("POST", "/sync?connection="+connection, operatorToken, "")
		if status == http.StatusOK {
			return got
		}
		if status != http.StatusConflict {
			r.t.Fatalf("the sync: %d %s", status, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatal("the sync does not end")
	return ""
}

// The three people of the demo directory are there, and log in by their password; with the
// demo identity provider they are the same people. A start later they are who they were.
func TestDemoDirectory(t *testing.T) {
	args := []string{"-db", filepath.Join(t.TempDir(), "test.db"), "-operator-token", operatorToken, "-demo-ldap"}
	ids := map[string]string{}
	for _, more := range [][]string{nil, {"-demo-idp"}, nil} {
		s := start(t, append(args, more...)...)
		if got := s.find(`(?m)^Demo login by a password: (.*)$`); got != s.base+"/ldap/demo/login" {
			t.Errorf("announced %q", got)
		}
		if got := s.readDirectory("demo"); !strings.Contains(got, `"problemCount":0`) || !strings.Contains(got, `"seen":3`) {
			t.Errorf("the sync: %s", got)
		}
		statuses := map[string]string{"ann": "active", "bob": "active", "eve": "staged"}
		for _, a := range s.people("demo") {
			if id := ids[a.UserName]; id != "" && id != a.ID || string(a.Status) != statuses[a.UserName] {
				t.Errorf("%s is %s with the id %s, which was %q", a.UserName, a.Status, a.ID, id)
			}
			ids[a.UserName] = a.ID
		}
		for _, login := range []struct {
			name, password string
			status         int
		}{{"ann", demoPassword, http.StatusOK}, {"Bob", demoPassword, http.StatusOK}, {"eve", demoPassword, http.StatusForbidden}, {"ann", "wrong", http.StatusForbidden}, {"*", demoPassword, http.StatusForbidden}} {
			page := newBrowser(t).do(http.MethodPost, s.base+"/ldap/demo/login", url.Values{"username": {login.name}, "password": {login.password}})
			if page.status != login.status || login.status == http.StatusOK && !strings.Contains(page.body, ids[strings.ToLower(login.name)]) {
				t.Errorf("login of %s with %s: %d %s", login.name, login.password, page.status, page.body)
			}
		}
		if more != nil {
			if page := newBrowser(t).login(s.base, demoLoginPath, "ann"); page.status != http.StatusOK || !strings.Contains(page.body, ids["ann"]) {
				t.Errorf("login of ann by SAML: %d %s", page.status, page.body)
			}
		}
		if strings.Contains(s.log.String(), demoPassword) {
			t.Error("the log has a password")
		}
		s.stop()
	}
	if len(ids) != 3 {
		t.Errorf("people %v", ids)
	}
}
