package provision_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision"
)

// The settings of a directory are refused with the field and the reason, and never with a
// password that somebody put in the wrong place.
func TestLDAPSettings(t *testing.T) {
	data, err := os.ReadFile("testdata/ldap_settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var tests []struct {
		Name     string         `json:"name"`
		Settings provision.LDAP `json:"settings"`
		Field    string         `json:"field"`  // that is refused; empty: none
		Reason   string         `json:"reason"` // a part of it
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&tests); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		l := test.Settings
		if l.URLs == nil {
			l.URLs = []string{"ldaps://dc1.example:636"}
		}
		if l.BaseDNs == nil {
			l.BaseDNs = []string{"DC=example"}
		}
		err := provision.Connection{ID: "acme", LDAP: &l}.Validate()
		var wrong *provision.ConnectionError
		switch {
		case test.Field == "" && err != nil:
			t.Errorf("%s: %v", test.Name, err)
		case test.Field != "" && (!errors.As(err, &wrong) || wrong.Field != test.Field || !strings.Contains(wrong.Reason, test.Reason)):
			t.Errorf("%s: error %v, want one of %s that says %q", test.Name, err, test.Field, test.Reason)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error has the password: %v", test.Name, err)
		}
	}
	for name, l := range map[string]provision.LDAP{
		"ldap.urls":    {URLs: []string{}, BaseDNs: []string{"DC=example"}},
		"ldap.baseDNs": {URLs: []string{"ldaps://dc1.example"}},
	} {
		err := provision.Connection{ID: "acme", LDAP: &l}.Validate()
		var wrong *provision.ConnectionError
		if !errors.As(err, &wrong) || wrong.Field != name {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// The settings that were given stay as they are, and those that are stored share nothing
// with them.
func TestLDAPSettingsAreCopied(t *testing.T) {
	l := bound(provision.SecretText{})
	l.Preset, l.Mapping = "AD", map[string]string{"email": "mail"}
	conn := provision.Connection{ID: "acme", LDAP: &l}
	c := conn.Clone()
	c.LDAP.URLs[0], c.LDAP.Mapping["email"] = "x", "y"
	if err := conn.Validate(); err != nil || l.Preset != "AD" || l.URLs[0] == "x" || l.Mapping["email"] == "y" {
		t.Errorf("the settings became %+v, %v", l, err)
	}
}
