package dialect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/dialect"
)

func TestNamesAreCanonical(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range dialect.All() {
		if d.Name == "" || d.Name != strings.ToLower(d.Name) || seen[d.Name] || d.Description == "" {
			t.Errorf("the row %q has no name of its own in lower case, or no description", d.Name)
		}
		seen[d.Name] = true
	}
}

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{"": "auto", "auto": "auto", "okta": "okta", "OKTA": "okta", "RFC": "rfc", "oktaa": "", "klingon": ""} {
		d, ok := dialect.Lookup(name)
		if d.Name != want || ok != (want != "") {
			t.Errorf("Lookup(%q) is %q, %t, want %q", name, d.Name, ok, want)
		}
		if got, ok := dialect.Canonical(name); got != want || ok != (want != "") {
			t.Errorf("Canonical(%q) is %q, %t, want %q", name, got, ok, want)
		}
		if want == "" {
			want = "auto"
		}
		if got := dialect.Of(name).Name; got != want {
			t.Errorf("Of(%q) is %q, want %q", name, got, want)
		}
	}
}

// What the engine asks of a dialect.
func TestRows(t *testing.T) {
	immutable, notUnique := []string{}, []string{}
	for _, d := range dialect.All() {
		if d.ImmutableExternalID {
			immutable = append(immutable, d.Name)
		}
		if !d.UniqueGroupNames {
			notUnique = append(notUnique, d.Name)
		}
	}
	if diff := cmp.Diff([]string{"okta", "jumpcloud"}, immutable); diff != "" {
		t.Errorf("externalId is immutable (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"rfc"}, notUnique); diff != "" {
		t.Errorf("group names are not unique (-want +got):\n%s", diff)
	}
}

func TestHint(t *testing.T) {
	for name, want := range map[string]string{
		"oktaa":   `it must be one of auto, rfc, okta, entra, onelogin, jumpcloud, google, ping; did you mean "okta"?`,
		"klingon": "it must be one of auto, rfc, okta, entra, onelogin, jumpcloud, google, ping",
	} {
		if got := dialect.Hint(name); got != want {
			t.Errorf("Hint(%q) is %q, want %q", name, got, want)
		}
	}
}

// The table cannot be changed from outside.
func TestAllIsACopy(t *testing.T) {
	dialect.All()[0].Name = "changed"
	if got := dialect.Names()[0]; got != "auto" {
		t.Errorf("the first dialect is %q, want auto", got)
	}
}
