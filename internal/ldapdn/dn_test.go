package ldapdn

import "testing"

// Names that mean the same entry have the same key.
func TestKeys(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{"CN=Ada,DC=example", "cn=ada,dc=EXAMPLE", true},
		{"CN=Ada, DC=example", "cn = Ada ,dc=example", true},
		{`CN=Zimmer\, Jr.,DC=x`, `cn=zimmer\2C jr.,dc=x`, true},
		{`CN=Zimmer\, Jr.,DC=x`, `cn=zimmer,cn=jr.,dc=x`, false},
		{`CN=Sales\+CN=x,DC=x`, `CN=Sales+CN=x,DC=x`, false},
		{"CN=Ada  Lovelace,DC=x", "CN=Ada Lovelace,DC=x", true},
		{`CN=Ada\20,DC=x`, "CN=Ada,DC=x", true}, // blanks at the ends mean nothing (RFC 4518)
		{"2.5.4.3=Ada,0.9.2342.19200300.100.1.25=x", "cn=Ada,dc=x", true},
		{"OID.2.5.4.3=Ada,DC=x", "cn=Ada,dc=x", true},
		{"CN=Straße,DC=x", "CN=STRASSE,DC=x", true},
		{"CN=Jos\u00e9,DC=x", "CN=JOSE\u0301,DC=x", true},
		{`CN=Jos\C3\A9,DC=x`, "CN=jos\u00e9,DC=x", true},
		{"CN=a+UID=b,DC=x", "uid=B+cn=A,DC=x", true},
		{"CN=a;DC=x", "CN=a,DC=x", true},
		{"CN=Ada,DC=example", "CN=Ada,DC=example,DC=com", false},
		{"CN=Ada,DC=example", "CN=Adam,DC=example", false},
		{"CN=İ,DC=x", "CN=i,DC=x", false},
		{"not a DN", "not a DN, either", false},
		{`CN=Ada\,DC=x`, `CN=Ada,DC=x`, false},
	}
	for _, tt := range tests {
		if got := Key(tt.a) == Key(tt.b); got != tt.same {
			t.Errorf("%q and %q: same is %t, want %t", tt.a, tt.b, got, tt.same)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"Ada", "CN=Ada,", `CN=Ada\`, `CN=Ada\zz`, "=x", "CN Ada=x", "CN=\xff,DC=x", `CN=\FF,DC=x`} {
		if d, ok := Parse(text); ok {
			t.Errorf("%q is read as %q", text, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`CN=Zimmer\, Jr.,DC=x`, "CN=a+UID=b,DC=x", `CN=\C3\A9`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := Parse(s)
		if !ok || len(d) == 0 {
			return
		}
		// What is written is read as the same, as long as it has no further escapes.
		joined := ""
		for i, part := range d {
			if i > 0 {
				joined += ","
			}
			joined += part
		}
		if Key(s) != d.Key() {
			t.Errorf("%q has two keys", s)
		}
		if again, ok := Parse(joined); ok && len(again) != len(d) {
			t.Errorf("%q has %d parts, and written %q %d", s, len(d), joined, len(again))
		}
	})
}
