package provision

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/ldapdn"
	"github.com/scimjit/provision/internal/preset"
)

// Bounds of the settings of a directory. Package jit/ldap has the same.
const (
	maxLDAPURLs        = 10
	maxLDAPURL         = 300 // bytes, as of all names of servers
	maxBases           = 20
	maxDN              = 1000 // bytes
	maxLDAPFilter      = 2000 // bytes: nested filters cost a client memory by their square
	maxLDAPFilterDepth = 16
	maxPEM             = 200 << 10 // bytes
	maxLDAPName        = 200       // bytes of an attribute or a field

	leastSyncInterval = 300           // seconds
	mostSyncInterval  = 7 * 24 * 3600 // seconds
)

// wrongSetting makes the error about a field.
type wrongSetting func(field, value, reason string) error

// check checks the settings of a directory as far as they can be without it. What has
// one form of its own becomes that. Secrets are checked where they are stored.
func (l *LDAP) check(wrong wrongSetting) error {
	name, known := preset.CanonicalDirectory(l.Preset)
	if !known {
		return wrong("ldap.preset", shorten(l.Preset), preset.DirectoryHint(l.Preset))
	}
	if l.Preset != "" {
		l.Preset = name
	}
	if s := l.IntervalSeconds; s != 0 && s != neverSync && (s < leastSyncInterval || s > mostSyncInterval) {
		return wrong("ldap.intervalSeconds", strconv.Itoa(s), fmt.Sprintf("it must be %d to %d, 0 for every hour, or -1 for never", leastSyncInterval, mostSyncInterval))
	}
	for _, check := range []func(wrongSetting) error{l.checkServers, l.checkCertificates, l.checkNames, l.checkSearches, l.checkMapping} {
		if err := check(wrong); err != nil {
			return err
		}
	}
	return nil
}

func (l *LDAP) checkServers(wrong wrongSetting) error {
	const field = "ldap.urls"
	switch n := len(l.URLs); {
	case n == 0:
		return wrong(field, "", "there must be the address of a server, such as ldaps://dc1.example:636")
	case n > maxLDAPURLs:
		return wrong(field, "", fmt.Sprintf("there are %d, and at most %d are allowed", n, maxLDAPURLs))
	}
	plain := false
	for i, text := range l.URLs {
		if reason := wrongLDAPURL(text); reason != "" {
			return wrong(field, shownURL(text), reason)
		}
		if slices.Contains(l.URLs[:i], text) {
			return wrong(field, shorten(text), "it is there twice")
		}
		plain = plain || strings.HasPrefix(text, "ldap://")
	}
	switch {
	case l.StartTLS && l.InsecureNoTLS:
		return wrong("ldap.insecureNoTLS", "", "it contradicts startTLS: choose one of the two")
	case plain && !l.StartTLS && !l.InsecureNoTLS:
		return wrong(field, "", "an ldap:// address needs startTLS; or use ldaps://")
	case !plain && l.StartTLS:
		return wrong("ldap.startTLS", "", "it is for ldap:// addresses, and there is none: ldaps:// has TLS from the start")
	case !plain && l.InsecureNoTLS:
		return wrong("ldap.insecureNoTLS", "", "it is for ldap:// addresses, and there is none")
	}
	if l.ServerName != "" && !isHostName(l.ServerName) {
		return wrong("ldap.serverName", shorten(l.ServerName), "it must be the name of a host, as it stands in the certificate of the server")
	}
	return nil
}

// wrongLDAPURL says what is wrong with the address of a server, or "". It never quotes
// the address, which may have a password in it.
func wrongLDAPURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxLDAPURL || u.Scheme != "ldap" && u.Scheme != "ldaps" || !strings.HasPrefix(text, u.Scheme+"://") {
		return fmt.Sprintf("it must be ldaps://host or ldap://host, with :port where that is another one than usual, and at most %d bytes", maxLDAPURL)
	}
	switch {
	case u.User != nil:
		return "it must have no user and no password: they are bindDN and bindPassword"
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "it must have nothing after host and port: what to read is said by baseDNs and filter"
	case u.Path == "/":
		return "it must end with the host or the port"
	case !isHostName(u.Hostname()):
		return "it must name a host or an IP address"
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "the port must be a number from 1 to 65535"
		}
	}
	return ""
}

// shownURL returns an address without what may be a password.
func shownURL(text string) string {
	if strings.Contains(text, "@") {
		return ""
	}
	return shorten(text)
}

// isHostName reports whether a text can be a name in the DNS or an IP address.
func isHostName(text string) bool {
	return text != "" && len(text) <= 253 && !strings.ContainsFunc(text, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.', r == ':', r == '%':
			return false
		}
		return true
	})
}

func (l *LDAP) checkCertificates(wrong wrongSetting) error {
	for _, f := range []struct{ field, text string }{
		{"ldap.ca", l.CA}, {"ldap.clientCertificate", l.ClientCertificate},
	} {
		if reason := wrongCertificates(f.text); reason != "" {
			return wrong(f.field, "", reason)
		}
	}
	return nil
}

// wrongCertificates says what is wrong with certificates in PEM, or "". It quotes
// nothing: somebody may have pasted a key.
func wrongCertificates(text string) string {
	if text == "" {
		return ""
	}
	if len(text) > maxPEM {
		return fmt.Sprintf("it has more than %d bytes", maxPEM)
	}
	rest, count := []byte(text), 0
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("it must have certificates alone, and there is a %s", shorten(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("certificate %d cannot be read: %v", count+1, err)
		}
		rest, count = after, count+1
	}
	if count == 0 || strings.TrimSpace(string(rest)) != "" {
		return "it must be certificates in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
	}
	return ""
}

func (l *LDAP) checkNames(wrong wrongSetting) error {
	if l.BindDN != "" {
		if reason := l.wrongBindDN(); reason != "" {
			return wrong("ldap.bindDN", shorten(l.BindDN), reason)
		}
	}
	if len(l.BaseDNs) == 0 {
		return wrong("ldap.baseDNs", "", "there must be one, such as OU=People,DC=example,DC=com")
	}
	for _, f := range []struct {
		field string
		names []string
	}{{"ldap.baseDNs", l.BaseDNs}, {"ldap.groupBaseDNs", l.GroupBaseDNs}} {
		if len(f.names) > maxBases {
			return wrong(f.field, "", fmt.Sprintf("there are %d, and at most %d are allowed", len(f.names), maxBases))
		}
		if name, reason := wrongBase(f.names); reason != "" {
			return wrong(f.field, shorten(name), reason)
		}
	}
	return nil
}

// wrongBase says which of some base DNs is wrong, and why. One below another would be
// read twice.
func wrongBase(names []string) (name, reason string) {
	parsed := make([]ldapdn.DN, 0, len(names))
	for _, name := range names {
		if reason := wrongDN(name); reason != "" {
			return name, reason
		}
		base, ok := ldapdn.Parse(name)
		if !ok {
			return name, "it is not a DN, such as OU=People,DC=example,DC=com"
		}
		for i, other := range parsed {
			if other.Has(base) || base.Has(other) {
				return name, fmt.Sprintf("it is %q, or lies in it, or the other way around", shorten(names[i]))
			}
		}
		parsed = append(parsed, base)
	}
	return "", ""
}

// wrongBindDN says what is wrong with the name of the account that reads the directory,
// or "". Active Directory knows it by two forms that are no DN.
func (l *LDAP) wrongBindDN() string {
	if l.Preset == "ad" && !strings.Contains(l.BindDN, "=") && strings.ContainsAny(l.BindDN, `@\`) {
		if !isPlainText(l.BindDN, maxDN) {
			return fmt.Sprintf("it must be text of at most %d bytes without control characters", maxDN)
		}
		return ""
	}
	return wrongDN(l.BindDN)
}

// wrongDN says what is wrong with the form of a distinguished name (RFC 4514 section
// 3), or "".
func wrongDN(text string) string {
	if !isPlainText(text, maxDN) {
		return fmt.Sprintf("it must be text of 1 to %d bytes without control characters", maxDN)
	}
	for _, rdn := range splitDN(text, ",;") {
		for _, pair := range splitDN(rdn, "+") {
			attribute, value, ok := strings.Cut(pair, "=")
			switch attribute = strings.Trim(attribute, " "); {
			case !ok || !isAttributeName(attribute):
				return fmt.Sprintf("it must be attribute=value with commas between, such as DC=example,DC=com; %q is not", shorten(strings.TrimSpace(pair)))
			case wrongDNValue(value):
				return fmt.Sprintf("the value of %s has a quote or a backslash that stands for nothing: a comma in a value is written \\,", attribute)
			}
		}
	}
	return ""
}

// splitDN divides a name where one of some separators is not escaped.
func splitDN(text, separators string) (parts []string) {
	begin := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case strings.IndexByte(separators, c) >= 0:
			parts, begin = append(parts, text[begin:i]), i+1
		}
	}
	return append(parts, text[begin:])
}

// wrongDNValue reports whether there is a quote, or a backslash that is not followed by
// what it may be. Values in quotes are of RFC 1779.
func wrongDNValue(value string) bool {
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			return true
		case '\\':
			rest := value[i+1:]
			switch {
			case rest != "" && strings.IndexByte(` "#+,;<=>\`, rest[0]) >= 0:
				i++
			case len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]):
				i += 2
			default:
				return true
			}
		}
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isAttributeName reports whether a text can be the name or the OID of an attribute,
// without options (RFC 4512 section 1.4).
func isAttributeName(text string) bool {
	if text == "" || len(text) > maxLDAPName {
		return false
	}
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		default:
			return false
		}
	}
	return true
}

func (l *LDAP) checkSearches(wrong wrongSetting) error {
	for _, f := range []struct{ field, text string }{{"ldap.filter", l.Filter}, {"ldap.groupFilter", l.GroupFilter}} {
		if reason := wrongLDAPFilter(f.text); reason != "" {
			return wrong(f.field, shorten(f.text), reason)
		}
	}
	return nil
}

// wrongLDAPFilter says what is wrong with the form of a filter (RFC 4515), or "". What
// is between the parentheses is read by package jit/ldap.
func wrongLDAPFilter(text string) string {
	switch {
	case text == "":
		return ""
	case len(text) > maxLDAPFilter || !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return fmt.Sprintf("it must be text of at most %d bytes", maxLDAPFilter)
	case text[0] != '(':
		return "it must begin with a parenthesis, such as (objectClass=person)"
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		switch {
		case depth > maxLDAPFilterDepth:
			return fmt.Sprintf("it has more than %d parentheses within each other", maxLDAPFilterDepth)
		case depth <= 0 && i < len(text)-1:
			return "it ends before its last character: several conditions are joined by (&...)"
		}
	}
	if depth != 0 {
		return "it has more opening parentheses than closing ones; one in a value is written \\28 or \\29"
	}
	return ""
}

func (l *LDAP) checkMapping(wrong wrongSetting) error {
	const field = "ldap.mapping"
	if len(l.Mapping) > maxMapping {
		return wrong(field, "", fmt.Sprintf("there are %d fields, and at most %d are allowed", len(l.Mapping), maxMapping))
	}
	for name, attribute := range l.Mapping {
		switch {
		case !isPlainText(name, maxLDAPName):
			return wrong(field, shorten(name), fmt.Sprintf("a field must be text of 1 to %d bytes", maxLDAPName))
		case attribute != "" && !isAttributeName(attribute): // empty: there is none
			return wrong(field, shorten(attribute), fmt.Sprintf("the attribute of the field %s must be a name such as mail or an OID, without options", name))
		}
	}
	return nil
}
