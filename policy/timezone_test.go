package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/policy"
)

func TestTimeZone(t *testing.T) {
	var tests []struct{ Name, Want string }
	readData(t, "testdata/timezones.json", &tests)
	for _, test := range tests {
		got, ok := policy.TimeZone(test.Name)
		if got != test.Want || ok != (test.Want != "") {
			t.Errorf("%q: got %q, %v, want %q", test.Name, got, ok, test.Want)
		}
	}
}

// TestTimeZoneTables checks that each name is found, that what it stands for can
// be loaded, and that no two names differ only in case.
func TestTimeZoneTables(t *testing.T) {
	iana, rails := policy.IANAZones(), policy.RailsZones()
	if len(iana) < 590 || len(rails) != 152 {
		t.Errorf("got %d IANA and %d Rails names", len(iana), len(rails))
	}
	for _, name := range iana {
		if got, ok := policy.TimeZone(name); !ok || got != name {
			t.Errorf("%q: got %q, %v", name, got, ok)
		}
		if _, err := time.LoadLocation(name); err != nil {
			t.Error(err)
		}
	}
	for name, zone := range rails {
		if slices.Contains(iana, name) {
			zone = name
		}
		if !slices.Contains(iana, zone) {
			t.Errorf("%q stands for %q, which is no IANA name", name, zone)
		}
		for _, name := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if got, ok := policy.TimeZone(name); !ok || got != zone {
				t.Errorf("%q: got %q, %v, want %q", name, got, ok, zone)
			}
		}
	}
}
