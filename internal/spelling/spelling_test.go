package spelling_test

import (
	"testing"

	"github.com/scimjit/provision/internal/spelling"
)

var words = []string{"auto", "rfc", "okta", "entra", "onelogin", "jumpcloud", "givenName"}

func TestHint(t *testing.T) {
	for text, want := range map[string]string{
		"oktaa":   `it must be one of auto, rfc, okta, entra, onelogin, jumpcloud, givenName; did you mean "okta"?`,
		"klingon": "it must be one of auto, rfc, okta, entra, onelogin, jumpcloud, givenName",
	} {
		if got := spelling.Hint(words, text); got != want {
			t.Errorf("Hint(%q) is %q, want %q", text, got, want)
		}
	}
}
