package scim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/schema"
)

// README shows the table of dialects as it is.
func TestReadmeShowsTheDialects(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, d := range scim.Dialects() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", d.Name, d.Description)
	}
	if !strings.Contains(string(readme), table.String()) {
		t.Errorf("README.md does not have this table:\n%s", &table)
	}
	for _, name := range scim.Dialects()[0].Tolerances.Names() {
		if !strings.Contains(string(readme), "\n| `"+name+"` | ") {
			t.Errorf("README.md has no row for the tolerance %s", name)
		}
	}
}

// The tolerances of the table have the meaning of package schema: "auto" has all
// of them, "rfc" none.
func TestTolerancesOfTheDialects(t *testing.T) {
	for name, want := range map[string]schema.Tolerance{"auto": schema.BareText<<1 - 1, "okta": schema.BareText<<1 - 1, "rfc": 0} {
		if d, _ := scim.LookupDialect(name); d.Tolerances != want {
			t.Errorf("dialect %s tolerates %v, want %v", name, d.Tolerances.Names(), want.Names())
		}
	}
}

func TestLookupDialect(t *testing.T) {
	for name, want := range map[string]string{"": "auto", "auto": "auto", "OKTA": "okta", "rfc": "rfc"} {
		if d, ok := scim.LookupDialect(name); !ok || d.Name != want {
			t.Errorf("LookupDialect(%q) is %q, %t, want %q", name, d.Name, ok, want)
		}
	}
	if _, ok := scim.LookupDialect("klingon"); ok {
		t.Error("an unknown dialect was found")
	}
}
