package policy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

func TestPattern(t *testing.T) {
	var tests []struct {
		Pattern     string
		Match, Miss []string
	}
	readData(t, "testdata/patterns.json", &tests)
	for _, test := range tests {
		t.Run(test.Pattern, func(t *testing.T) {
			for want, names := range map[bool][]string{true: test.Match, false: test.Miss} {
				for _, name := range names {
					got, err := policy.MatchPattern(test.Pattern, policy.Group{ID: "1", ExternalID: "2", Name: name})
					if err != nil {
						t.Fatal(err)
					}
					if got != want {
						t.Errorf("%q: got %v, want %v", name, got, want)
					}
				}
			}
		})
	}
}

func TestParsePatterns(t *testing.T) {
	var tests []struct {
		Text     string
		Patterns []string
	}
	readData(t, "testdata/lists.json", &tests)
	for _, test := range tests {
		got, err := policy.ParsePatterns(test.Text)
		if err != nil {
			t.Errorf("%q: %v", test.Text, err)
			continue
		}
		if diff := cmp.Diff(policy.Patterns(test.Patterns), got); diff != "" && len(got)+len(test.Patterns) > 0 {
			t.Errorf("%q (-want +got)\n%s", test.Text, diff)
		}
	}
}

// TestParsePatternsErrors is for what testdata/errors.json does not reach: the
// error has no option.
func TestParsePatternsErrors(t *testing.T) {
	for text, want := range map[string]policy.ConfigError{
		`IT, "open`:  {Value: `IT, "open`, Offset: 4},
		`,`:          {Value: `,`},
		`""`:         {Value: `""`},
		`a, b\c`:     {Value: `b\c`, Offset: 1},
		"a, \xff":    {Value: "\xff"},
		"id:":        {Value: "id:", Offset: 3},
		"\"a\"\n\"b": {Value: "\"a\"\n\"b", Offset: 4},
	} {
		_, err := policy.ParsePatterns(text)
		var fault *policy.ConfigError
		if !errors.As(err, &fault) {
			t.Errorf("%q: got %v, want a ConfigError", text, err)
			continue
		}
		got := *fault
		got.Code, got.Detail = "", ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func TestPatternsJSON(t *testing.T) {
	var got policy.Patterns
	if err := json.Unmarshal([]byte(`"a, b"`), &got); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil || string(data) != `["a","b"]` {
		t.Errorf("got %s, %v", data, err)
	}
	for _, wrong := range []string{`",,"`, `["a\\b"]`, `[""]`, `7`, `[7]`} {
		if err := json.Unmarshal([]byte(wrong), &got); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
	if diff := cmp.Diff(policy.Patterns{"a", "b"}, got); diff != "" {
		t.Errorf("a failed UnmarshalJSON changed the list (-want +got)\n%s", diff)
	}
}

// matchReference is the meaning of a pattern as a recursion over characters. It
// is given a pattern that compiles and no id.
func matchReference(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	switch p := pattern[0]; {
	case p == "*":
		return matchReference(pattern[1:], name) || len(name) > 0 && matchReference(pattern, name[1:])
	case len(name) == 0:
		return false
	case p == "?":
		return matchReference(pattern[1:], name[1:])
	case p == `\`:
		return pattern[1] == name[0] && matchReference(pattern[2:], name[1:])
	default:
		return policy.Lower(p) == policy.Lower(name[0]) && matchReference(pattern[1:], name[1:])
	}
}

// characters splits a text into characters, of which invalid bytes are each one.
func characters(s string) []string {
	var all []string
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		all = append(all, s[:n])
		s = s[n:]
	}
	return all
}

// FuzzPattern compares the matcher with its meaning. The recursion is
// exponential, so that inputs are short.
func FuzzPattern(f *testing.F) {
	f.Add("*a?b*", "xxaabyy")
	f.Add("**?*", "ä")
	f.Add("a*b*c", "abcabc")
	f.Add(`\*?\\*`, `*x\y`)
	f.Add("\u212a*ſ", "kS")
	f.Add("?", "\xff")
	f.Add("*?\xc3", "\xc3\xa9")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 16 || strings.HasPrefix(pattern, "id:") {
			return
		}
		got, err := policy.MatchPattern(pattern, policy.Group{Name: name})
		if err != nil {
			return
		}
		if want := matchReference(characters(pattern), characters(name)); got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, name, got, want)
		}
		if folded, _ := policy.MatchPattern(pattern, policy.Group{Name: policy.Lower(name)}); folded != got {
			t.Errorf("%q on %q: got %v, on the name in lower case %v", pattern, name, got, folded)
		}
	})
}

// FuzzParsePatterns checks that a list that is read, formatted and read again is
// the same list, as text and as JSON, and that errors point into the text.
func FuzzParsePatterns(f *testing.F) {
	f.Add("IT, \"Sales, EMEA\"\n\"a\"\"b\"")
	f.Add("\" x \", \"\n\",\u00a0y")
	f.Add(",,")
	f.Add(`"open`)
	f.Fuzz(func(t *testing.T, text string) {
		patterns, err := policy.ParsePatterns(text)
		if err != nil {
			var fault *policy.ConfigError
			if !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(fault.Value) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if (len(patterns) == 0) != (text == "") {
			t.Errorf("%q is read as %q: no text must become an empty list", text, patterns)
		}
		again, err := policy.ParsePatterns(patterns.String())
		if diff := cmp.Diff(patterns, again); diff != "" || err != nil {
			t.Errorf("%q, formatted %q: %v (-want +got)\n%s", text, patterns, err, diff)
		}
		data, err := json.Marshal(patterns)
		if err != nil {
			t.Fatal(err)
		}
		var decoded policy.Patterns
		if err := json.Unmarshal(data, &decoded); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(patterns, decoded); diff != "" && len(patterns) > 0 {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	})
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p := compile(t, policy.Config{RequiredGroups: policy.Patterns{"none", "*n?one*", "id:none"}})
	facts := policy.Facts{Groups: []policy.Group{{ID: "1", Name: "Ärzte und Ärztinnen"}, {ID: "2", Name: "Site Admins"}}}
	// The grants and the reasons.
	if got := testing.AllocsPerRun(100, func() { p.Decide(facts) }); got > 2 {
		t.Errorf("got %v allocations", got)
	}
}

// TestMatchIsLinear would not end if the time were exponential in the runs.
func TestMatchIsLinear(t *testing.T) {
	name := strings.Repeat("a", 1<<16)
	for _, pattern := range []string{
		strings.Repeat("*a", 127) + "*b",
		"*" + strings.Repeat("a", 250) + "b*",
		"*" + strings.Repeat("?", 250) + "b*",
	} {
		if got, err := policy.MatchPattern(pattern, policy.Group{Name: name}); got || err != nil {
			t.Errorf("%.10s...: got %v, %v", pattern, got, err)
		}
	}
}
