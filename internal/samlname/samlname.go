// Package samlname knows the names that SAML has for formats of a NameID (SAML core
// section 8.3) and for classes of authentication contexts (SAML authentication
// context section 3.4), so that whoever saves a connection can check them, and may
// write the short ones.
package samlname

import (
	"net/url"
	"strings"

	"github.com/scimjit/provision/internal/spelling"
)

const (
	classes  = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
	formats1 = "urn:oasis:names:tc:SAML:1.1:nameid-format:"
	formats2 = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
)

// name is a short name and what it means.
type name struct{ short, full string }

// formats are those of names that come as text.
var formats = []name{
	{"unspecified", formats1 + "unspecified"},
	{"emailAddress", formats1 + "emailAddress"},
	{"persistent", formats2 + "persistent"},
	{"transient", formats2 + "transient"},
	{"X509SubjectName", formats1 + "X509SubjectName"},
	{"WindowsDomainQualifiedName", formats1 + "WindowsDomainQualifiedName"},
	{"kerberos", formats2 + "kerberos"},
	{"entity", formats2 + "entity"},
}

// contexts begin with those that identity providers have at all.
var contexts = append([]name{
	{"REFEDS-MFA", "https://refeds.org/profile/mfa"},
	{"Microsoft-MFA", "http://schemas.microsoft.com/claims/multipleauthn"},
}, standard(
	"PasswordProtectedTransport", "Password", "X509", "Kerberos", "Smartcard", "SmartcardPKI", "SoftwarePKI",
	"TimeSyncToken", "TLSClient", "MobileOneFactorUnregistered", "MobileTwoFactorUnregistered",
	"MobileOneFactorContract", "MobileTwoFactorContract", "InternetProtocol", "InternetProtocolPassword",
	"PreviousSession", "PGP", "SPKI", "XMLDSig", "Telephony", "NomadTelephony", "PersonalTelephony",
	"AuthenticatedTelephony", "SecureRemotePassword", "unspecified",
)...)

func standard(short ...string) []name {
	var out []name
	for _, s := range short {
		out = append(out, name{s, classes + s})
	}
	return out
}

// Format returns the URN of a format, which may be written short and in any case,
// or how an error about an unknown one goes on.
func Format(text string) (full, hint string) {
	if full := lookup(formats, text); full != "" {
		return full, ""
	}
	if strings.EqualFold(text, "encrypted") || strings.HasSuffix(text, "nameid-format:encrypted") {
		return "", "ask for the format of the name itself: whether it is encrypted is for the identity provider to say"
	}
	return "", hintOf(formats, text, formats1, formats2)
}

// AuthnContext returns the URI of a class, which may be written short and in any
// case, or how an error about an unknown one goes on. Every other absolute URI is a
// class of somebody's own.
func AuthnContext(text string) (full, hint string) {
	if full := lookup(contexts, text); full != "" {
		return full, ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" || strings.ContainsAny(text, " \t\r\n") || strings.HasPrefix(text, classes) {
		return "", hintOf(contexts, text, classes)
	}
	return text, ""
}

func lookup(names []name, text string) string {
	for _, n := range names {
		if strings.EqualFold(text, n.short) || text == n.full {
			return n.full
		}
	}
	return ""
}

// hintOf compares the last part of a URN, as people mistype that.
func hintOf(names []name, text string, prefixes ...string) string {
	var words []string
	for _, n := range names {
		words = append(words, n.short)
	}
	for _, p := range prefixes {
		text = strings.TrimPrefix(text, p)
	}
	return spelling.Hint(words, text)
}
