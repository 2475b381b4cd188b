package policy_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/policy"
)

func TestNearest(t *testing.T) {
	long := strings.Repeat("a", 65)
	tests := []struct {
		name, text    string
		words         []string
		ofFew, ofMany string // empty for none
	}{
		{"one letter replaced", "delate", []string{"disable", "delete"}, "delete", "delete"},
		{"one letter missing", "dlete", []string{"disable", "delete"}, "delete", "delete"},
		{"one letter too many", "deletes", []string{"disable", "delete"}, "delete", "delete"},
		{"case", "DELETE", []string{"disable", "delete"}, "delete", "delete"},
		{"a third of the letters", "abcdef", []string{"abcdxy"}, "abcdxy", "abcdxy"},
		{"half of the letters", "abcdef", []string{"abcxyz"}, "abcxyz", ""},
		{"two thirds of the letters", "remove", []string{"disable", "delete"}, "delete", ""},
		{"more", "remove", []string{"disable"}, "", ""},
		{"the first of two", "abx", []string{"aby", "abz"}, "aby", "aby"},
		{"the nearer of two", "site", []string{"suites", "sites"}, "sites", "sites"},
		{"characters, not bytes", "äöü", []string{"äöx"}, "äöx", "äöx"},
		{"no text", "", []string{"a"}, "", ""},
		{"no words", "a", nil, "", ""},
		{"text that is too long", long, []string{long[1:]}, "", ""},
		{"text that is not", long[1:], []string{long}, long, long},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for few, want := range map[bool]string{true: test.ofFew, false: test.ofMany} {
				if got, ok := policy.NearestOf(test.text, test.words, few); got != want || ok != (want != "") {
					t.Errorf("of few %v: got %q, %v, want %q", few, got, ok, want)
				}
			}
		})
	}
}

var shortWords = []string{"auto", "rfc", "okta", "entra", "onelogin", "jumpcloud", "givenName"}

func TestNearestWord(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"the word", "okta", "okta"},
		{"another case", "ENTRA", "entra"},
		{"a letter more", "oktaa", "okta"},
		{"a letter less", "ota", "okta"},
		{"another letter", "akta", "okta"},
		{"letters swapped", "otka", "okta"},
		{"swapped at the start", "kota", "okta"},
		{"two steps of nine", "jumpclowed", "jumpcloud"},
		{"four steps of nine", "jumpxxxx", ""},
		{"a mark inside", "one-login", "onelogin"},
		{"one step of three", "rfx", "rfc"},
		{"two steps of three", "abc", ""},
		{"mixed case", "givenname", "givenName"},
		{"no letter", "", ""},
		{"another word", "klingon", ""},
		{"no ASCII", "öktä", ""},
		{"a long text", strings.Repeat("okta", 1<<20), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := policy.Nearest(test.text, shortWords); got != test.want {
				t.Errorf("Nearest(%q) is %q, want %q", test.text, got, test.want)
			}
		})
	}
}

// Of two words that are equally near, the first counts; a nearer one comes before
// both.
func TestNearestOfSeveralWords(t *testing.T) {
	for text, want := range map[string]string{"groupz": "groups", "grouped": "grouper", "groupers": "grouper"} {
		if got := policy.Nearest(text, []string{"groups", "group", "grouper"}); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", text, got, want)
		}
	}
}
