package samlname_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/samlname"
)

func TestNames(t *testing.T) {
	tests := []struct {
		text string
		of   func(string) (string, string)
		full string
		hint string // a part of it
	}{
		{"persistent", samlname.Format, "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", ""},
		{"EMAILADDRESS", samlname.Format, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", ""},
		{"urn:oasis:names:tc:SAML:2.0:nameid-format:transient", samlname.Format, "urn:oasis:names:tc:SAML:2.0:nameid-format:transient", ""},
		{"emailAdress", samlname.Format, "", `did you mean "emailAddress"?`},
		{"urn:oasis:names:tc:SAML:2.0:nameid-format:persistnt", samlname.Format, "", `did you mean "persistent"?`},
		{"urn:oasis:names:tc:SAML:2.0:nameid-format:emailAddress", samlname.Format, "", "emailAddress"},
		{"x", samlname.Format, "", "it must be one of unspecified, emailAddress, persistent"},
		{"", samlname.Format, "", "it must be one of"},
		{"encrypted", samlname.Format, "", "the format of the name itself"},

		{"password", samlname.AuthnContext, "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", ""},
		{"refeds-mfa", samlname.AuthnContext, "https://refeds.org/profile/mfa", ""},
		{"urn:oasis:names:tc:SAML:2.0:ac:classes:X509", samlname.AuthnContext, "urn:oasis:names:tc:SAML:2.0:ac:classes:X509", ""},
		{"https://example.com/loa/3", samlname.AuthnContext, "https://example.com/loa/3", ""},
		{"urn:example:loa:3", samlname.AuthnContext, "urn:example:loa:3", ""},
		{"urn:oasis:names:tc:SAML:2.0:ac:classes:Passwort", samlname.AuthnContext, "", `did you mean "Password"?`},
		{"Smartcart", samlname.AuthnContext, "", `did you mean "Smartcard"?`},
		{"mfa please", samlname.AuthnContext, "", "it must be one of REFEDS-MFA"},
		{"https://example.com/a b", samlname.AuthnContext, "", "it must be one of"},
		{"", samlname.AuthnContext, "", "it must be one of"},
	}
	for _, tt := range tests {
		full, hint := tt.of(tt.text)
		if full != tt.full || !strings.Contains(hint, tt.hint) || (full == "") != (hint != "") {
			t.Errorf("%q: %q, %q", tt.text, full, hint)
		}
	}
}
