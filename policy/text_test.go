package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// What a form shows of a config is read as the same config.
func TestTexts(t *testing.T) {
	for _, document := range []string{
		`{}`,
		`{"requiredGroups":["Sales, EMEA","a\\*b*","say \"hi\"","id:7"],"deleteAfterDays":30,"deprovisionMethod":"delete"}`,
		`{"deprovisionUsers":false,"provisionOnFirstLogin":true,"externalIdImmutable":false,"company":"Ümlaut & \"Co\"","timeZone":"Europe/Berlin"}`,
		`{"defaultGroups":["a*b","c, d"],"emailDomains":["example.com","example.org"],"roles":[{"groups":["x"],"role":"r"}]}`,
	} {
		want, err := policy.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		for _, o := range policy.Options() {
			texts[o.Key] = o.Text(want)
		}
		got, err := policy.ParseTexts(func(key string) string { return texts[key] })
		if err != nil {
			t.Errorf("%s: %v", document, err)
		}
		for _, o := range policy.Options() {
			if diff := cmp.Diff(o.Text(want), o.Text(got)); diff != "" {
				t.Errorf("%s: %s:\n%s", document, o.Key, diff)
			}
		}
	}
}

func TestTextsOfAForm(t *testing.T) {
	for _, test := range []struct{ name, key, text, want string }{
		{"a list", "requiredGroups", "Sales\r\nIT, \"a, b\"", `Sales, IT, "a, b"`},
		{"a missing field is the default", "requiredGroups", "", ""},
		{"a switch", "deprovisionUsers", "false", "false"},
		{"a missing switch is the default", "deprovisionUsers", "", "true"},
		{"a choice", "deprovisionMethod", `"delete"`, `"delete"`},
		{"a text that looks like JSON", "company", "true", "true"},
		{"no JSON", "deleteAfterDays", "{", `policy option "deleteAfterDays": "{" is not JSON`},
		{"a wrong value", "deleteAfterDays", "91", "wrong"},
		{"an unbalanced quote", "requiredGroups", `"a`, "wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := policy.ParseTexts(func(key string) string {
				if key == test.key {
					return test.text
				}
				return ""
			})
			var wrong *policy.ConfigError
			if errors.As(err, &wrong) {
				if wrong.Option != test.key || test.want != "wrong" && !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("error %v of option %q", err, wrong.Option)
				}
				return
			}
			if got := (policy.Option{Key: test.key, Kind: kindOf(test.key)}).Text(c); err != nil || got != test.want {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func kindOf(key string) policy.Kind {
	for _, o := range policy.Options() {
		if o.Key == key {
			return o.Kind
		}
	}
	return ""
}
