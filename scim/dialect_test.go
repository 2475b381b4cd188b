package scim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim"
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
