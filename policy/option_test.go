package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// The beginning of a settings form.
func ExampleOptions() {
	section := ""
	for _, o := range policy.Options()[:4] {
		if o.Section != section {
			section = o.Section
			fmt.Println(section)
		}
		fmt.Printf("  %s: %s, %s by default\n", o.Label, o.Kind, o.Default)
		for _, c := range o.Choices {
			fmt.Printf("    %s\n", c.Label)
		}
	}
	// Output:
	// Who gets an account
	//   Automatically provision users on first login: choice, "auto" by default
	//     Only where SCIM is not set up
	//     Always
	//     Never
	//   Only provision users in these groups: patterns, [] by default
	//   If a login tells nothing of groups: choice, "keep" by default
	//     Keep what was known
	//     Take it for no groups
	//     Refuse the login
	// Who is this?
	//   Link people to existing accounts: choice, "deny" by default
	//     Never
	//     By e-mail address
	//     By user name
}

// What the descriptions say of values is what a policy takes.
func TestOptionsAndConfigAgree(t *testing.T) {
	for _, o := range policy.Options() {
		t.Run(o.Key, func(t *testing.T) {
			if got := written(t, o.Key, string(o.Default)); got != defaultJSON {
				t.Errorf("the default %s is written as\n%s", o.Default, got)
			}
			right, wrong := examplesOf(o)
			for _, value := range right {
				if err := tryOption(o.Key, value); err != nil {
					t.Errorf("%s is refused: %v", value, err)
				}
			}
			for _, value := range wrong {
				if tryOption(o.Key, value) == nil {
					t.Errorf("%s is accepted", value)
				}
			}
		})
	}
}

// examplesOf returns values, as JSON, that the kind of an option says are right
// and wrong.
func examplesOf(o policy.Option) (right, wrong []string) {
	switch o.Kind {
	case policy.KindSwitch:
		return []string{`true`, `false`}, []string{`null`, `"true"`, `1`, `[]`}
	case policy.KindChoice:
		for _, c := range o.Choices {
			right = append(right, string(c.Value))
		}
		return right, []string{`"none of them"`, `1`, `[]`}
	case policy.KindNumber:
		return []string{fmt.Sprint(o.Range.Min), fmt.Sprint(o.Range.Max)},
			[]string{fmt.Sprint(o.Range.Min - 1), fmt.Sprint(o.Range.Max + 1), `1.5`, `"1"`, `null`}
	case policy.KindText:
		return []string{`""`, `"x"`}, []string{`null`, `1`, `[]`}
	case policy.KindTimeZone:
		return []string{`""`, `"UTC"`, `"Hawaii"`}, []string{`"nowhere"`, `null`, `1`}
	case policy.KindPatterns:
		return []string{`[]`, `""`, `"a, b"`, `["a*", "id:1"]`}, []string{`["\\x"]`, `[""]`, `",,"`, `[1]`, `null`, `{}`}
	case policy.KindNames:
		return []string{`[]`, `""`, `"a, b"`, `["\\x", "*"]`}, []string{`[""]`, `",,"`, `[1]`, `null`, `{}`}
	case policy.KindDomains:
		return []string{`[]`, `""`, `"a.example, b"`, `["a.example"]`}, []string{`["a@b"]`, `["*.b"]`, `[""]`, `",,"`, `null`}
	case policy.KindPermissions:
		return []string{`{}`, `{"ftp": true, "webdav": false, "api": null}`}, []string{`{"ftp": "yes"}`, `{"": true}`, `[]`, `null`}
	case policy.KindRoles:
		return []string{`[]`, `[{"role": "x"}, {"role": "y", "groups": "a, b"}]`},
			[]string{`[{"groups": ["a"]}]`, `[{"role": "x", "users": []}]`, `["x"]`, `{}`, `null`}
	}
	return nil, []string{`"a kind without examples"`}
}

func tryOption(key, value string) error {
	config, err := policy.Parse(fmt.Appendf(nil, `{%q: %s}`, key, value))
	if err == nil {
		_, err = config.Compile("api", strings.Repeat("ä", policy.MaxPatternLength))
	}
	return err
}

// written returns the policy object that sets one option, in full.
func written(t *testing.T, key, value string) string {
	t.Helper()
	config, err := policy.Parse(fmt.Appendf(nil, `{%q: %s}`, key, value))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// People can read the descriptions, and a form can be made of them.
func TestOptions(t *testing.T) {
	var keys, sections, operatorOnly []string
	labels := map[string]string{}
	for _, o := range policy.Options() {
		keys = append(keys, o.Key)
		if len(sections) == 0 || sections[len(sections)-1] != o.Section {
			sections = append(sections, o.Section)
		}
		if o.OperatorOnly {
			operatorOnly = append(operatorOnly, o.Key)
		}
		if other, twice := labels[o.Label]; twice || o.Label == "" || o.Label == o.Key {
			t.Errorf("%s and %s have the label %q", o.Key, other, o.Label)
		}
		labels[o.Label] = o.Key
		if n := strings.Count(o.Help+" ", ". "); n < 1 || n > 2 || !strings.HasSuffix(o.Help, ".") {
			t.Errorf("%s: the help is no sentence or two: %s", o.Key, o.Help)
		}
		if isChoice := o.Kind == policy.KindChoice; isChoice != (len(o.Choices) > 1) || isChoice && string(o.Choices[0].Value) != string(o.Default) {
			t.Errorf("%s: kind %s, default %s, choices %s", o.Key, o.Kind, o.Default, o.Choices)
		}
		if (o.Kind == policy.KindNumber) != (o.Range != nil) {
			t.Errorf("%s: kind %s, range %v", o.Key, o.Kind, o.Range)
		}
	}
	if diff := cmp.Diff(documentedOptions, keys); diff != "" {
		t.Errorf("keys (-want +got)\n%s", diff)
	}
	if twice := len(sections) - len(slices.Compact(slices.Sorted(slices.Values(sections)))); twice > 0 {
		t.Errorf("a section comes twice: %v", sections)
	}
	if diff := cmp.Diff([]string{"link", "emailDomains", "externalIdImmutable", "allowEveryoneAdmin"}, operatorOnly); diff != "" {
		t.Errorf("for operators only (-want +got)\n%s", diff)
	}
}

func TestOptionsAreCopies(t *testing.T) {
	want, got := policy.Options(), policy.Options()
	for i := range got {
		got[i].Key = "changed"
		got[i].Default[0] = 'x'
		if got[i].Range != nil {
			got[i].Range.Max = 0
		}
		for j := range got[i].Choices {
			got[i].Choices[j] = policy.Choice{}
		}
	}
	if diff := cmp.Diff(want, policy.Options()); diff != "" {
		t.Errorf("a change reached the table (-before +after)\n%s", diff)
	}
}
