package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/console"
)

// What a configuration should be seen to is logged at start, and shown by the
// operator's endpoints.
func TestWarningsAtStart(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef-"
	file := filepath.Join(t.TempDir(), "config.json")
	config := `{"connections":[
		{"id":"good","dialect":"Okta","scim":{"token":"` + secret + `good","expires":"2099-12-31"}},
		{"id":"forever","scim":{"basic":{"username":"idp","password":"` + secret + `forever"}},"policy":{"link":"email"}},
		{"id":"past","scim":{"token":"` + secret + `past","expires":"2020-01-01"},"policy":{"defaultGroups":["Nobody's"]}}]}`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "-db", ":memory:", "-config", file, "-operator-token", operatorToken)
	for _, want := range []string{
		`connection=forever code=credential_never_expires`, `connection=forever code=link_without_domains`,
		`connection=past code=credential_expired`, `connection=past code=default_group_missing`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, s.log)
		}
	}
	if strings.Contains(s.log.String(), "connection=good code=") || strings.Contains(s.log.String(), secret) {
		t.Errorf("the log warns of what is right, or has a secret:\n%s", s.log)
	}

	var list []console.Overview
	if err := json.Unmarshal([]byte(s.get("/connections", operatorToken)), &list); err != nil {
		t.Fatal(err)
	}
	byID := map[string]console.Overview{}
	for _, c := range list {
		byID[c.ID] = c
	}
	if c := byID["good"]; c.Dialect != "okta" || c.Expired != 0 || len(c.Warnings) != 0 || c.Credentials[0].Expires != time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC) {
		t.Errorf("good is %+v", c)
	}
	if c := byID["forever"]; c.Credentials[0].UserName != "idp" || c.Credentials[0].Method != "basic" || len(c.Warnings) != 2 {
		t.Errorf("forever is %+v", c)
	}
	if c := byID["past"]; c.Expired != 1 || len(c.Warnings) != 2 {
		t.Errorf("past is %+v", c)
	}
	if got := s.get("/connections", operatorToken); strings.Contains(got, secret) {
		t.Errorf("a secret is shown: %s", got)
	}

	if status, _ := s.do("GET", "/scim/v2/Users", secret+"past", ""); status != 401 {
		t.Errorf("an expired token: %d, want 401", status)
	}
	if status, body := s.do("POST", "/scim/v2/Users", secret+"good", newUser); status != 201 {
		t.Fatalf("creating a user: %d %s", status, body)
	}
}

// A date counts to its end, a time is a time, and anything else is neither.
func TestExpiry(t *testing.T) {
	for text, want := range map[string]string{
		"2030-01-01":                "2030-01-01T23:59:59Z",
		"2028-02-29":                "2028-02-29T23:59:59Z",
		"2030-01-01T12:00:00Z":      "2030-01-01T12:00:00Z",
		"2030-01-01T00:30:00+01:00": "2029-12-31T23:30:00Z",
		"2030-1-1":                  "", "2030-02-30": "", "01.01.2030": "", "2030-01-01 12:00": "", "": "", "never": "",
	} {
		got, err := parseExpiry(text)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), `"`+text+`"`) {
				t.Errorf("%q: %v, %v", text, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q is %v, %v, want %s", text, got, err, want)
		}
	}
}

// A flag that is misspelled is refused with the nearest one.
func TestNearestFlag(t *testing.T) {
	for arg, want := range map[string]string{"-adr": "did you mean -addr?", "-operator-tokn": "did you mean -operator-token?", "-klingon": "klingon"} {
		_, err := parseFlags([]string{arg, "x"}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}
