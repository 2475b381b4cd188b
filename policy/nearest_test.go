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
				if got, ok := policy.Nearest(test.text, test.words, few); got != want || ok != (want != "") {
					t.Errorf("of few %v: got %q, %v, want %q", few, got, ok, want)
				}
			}
		})
	}
}
