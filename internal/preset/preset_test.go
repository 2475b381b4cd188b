package preset_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/preset"
)

func TestNamesAreCanonical(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range preset.All() {
		if p.Name == "" || p.Name != strings.ToLower(p.Name) || seen[p.Name] || p.Title == "" {
			t.Errorf("the row %q has no name of its own in lower case, or no title", p.Name)
		}
		seen[p.Name] = true
	}
}

func TestCanonical(t *testing.T) {
	for name, want := range map[string]string{"": "generic", "okta": "okta", "SimpleSAMLphp": "simplesamlphp", "oktaa": "", "nope": ""} {
		if got, ok := preset.Canonical(name); got != want || ok != (want != "") {
			t.Errorf("Canonical(%q) is %q, %t, want %q", name, got, ok, want)
		}
	}
}

func TestHint(t *testing.T) {
	for name, want := range map[string]string{
		"oktaa": `it must be one of okta, entra, onelogin, adfs, google, keycloak, shibboleth, jumpcloud, simplesamlphp, auth0, samlidp, generic; did you mean "okta"?`,
		"nope":  "it must be one of okta, entra, onelogin, adfs, google, keycloak, shibboleth, jumpcloud, simplesamlphp, auth0, samlidp, generic",
	} {
		if got := preset.Hint(name); got != want {
			t.Errorf("Hint(%q) is %q, want %q", name, got, want)
		}
	}
}
