package spelling_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/spelling"
)

var words = []string{"auto", "rfc", "okta", "entra", "onelogin", "jumpcloud", "givenName"}

func TestNearest(t *testing.T) {
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
			if got := spelling.Nearest(words, test.text); got != test.want {
				t.Errorf("Nearest(%q) is %q, want %q", test.text, got, test.want)
			}
		})
	}
}

// Of two words that are equally near, the first counts; a nearer one comes before
// both.
func TestNearestOfSeveral(t *testing.T) {
	for text, want := range map[string]string{"groupz": "groups", "grouped": "grouper", "groupers": "grouper"} {
		if got := spelling.Nearest([]string{"groups", "group", "grouper"}, text); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	for text, want := range map[string]string{
		"oktaa":   `did you mean "okta"?`,
		"klingon": "it must be one of auto, rfc, okta, entra, onelogin, jumpcloud, givenName",
	} {
		if got := spelling.Hint(words, text); got != want {
			t.Errorf("Hint(%q) is %q, want %q", text, got, want)
		}
	}
}
