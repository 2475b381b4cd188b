package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
	"github.com/scimjit/provision/internal/naming"
	kinds "github.com/scimjit/provision/internal/preset"
)

// Bounds of the settings, which are those of saving them.
const (
	maxURLs   = 10
	maxBases  = 20
	maxFilter = 2000 // bytes; the library takes a thousand times as much memory
	maxDepth  = 16   // of a filter
)

// settings are those of a connection, ready to use.
type settings struct {
	provision.LDAP
	hosts   []host
	roots   *x509.CertPool
	preset  *preset
	mapping *mapping

	people, groups           string // filters
	peopleBases, groupsBases []string
}

// host is one server.
type host struct {
	address  string // host:port
	name     string // that its certificate must have
	tls      bool   // from the first byte
	startTLS bool
}

// Validate checks settings before they are saved. The error is a
// [*provision.ConnectionError] that names the setting.
func Validate(connection string, s provision.LDAP) error {
	_, err := compile(connection, s)
	return err
}

// compile checks settings and makes what a [Server] uses.
func compile(connection string, from provision.LDAP) (*settings, error) {
	wrong := func(field, value, reason string, args ...any) error {
		return &provision.ConnectionError{Connection: connection, Field: "ldap." + field, Value: plain(value), Reason: fmt.Sprintf(reason, args...)}
	}
	s := &settings{LDAP: from, peopleBases: from.BaseDNs, groupsBases: from.GroupBaseDNs}
	for _, step := range []func(func(string, string, string, ...any) error) error{s.readURLs, s.readCertificates, s.readBases, s.readPreset, s.readFilters} {
		if err := step(wrong); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *settings) readURLs(wrong func(string, string, string, ...any) error) error {
	if len(s.URLs) == 0 || len(s.URLs) > maxURLs {
		return wrong("urls", "", "there are %d addresses, and 1 to %d are allowed", len(s.URLs), maxURLs)
	}
	plain := slices.ContainsFunc(s.URLs, func(text string) bool { return strings.HasPrefix(text, "ldap://") })
	for _, text := range s.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return wrong("urls", text, "it must be like ldaps://dc1.example.com:636")
		}
		h := host{name: u.Hostname(), tls: u.Scheme == "ldaps"}
		if s.ServerName != "" {
			h.name = s.ServerName
		}
		port := u.Port()
		switch {
		case h.tls && s.StartTLS && !plain:
			return wrong("startTLS", text, "ldaps:// has TLS from the first byte: use ldap:// with StartTLS, or leave it off")
		case h.tls:
			if port == "" {
				port = goldap.DefaultLdapsPort
			}
		case u.Scheme != "ldap":
			return wrong("urls", text, "it must begin with ldaps:// or ldap://")
		case !s.StartTLS && !s.InsecureNoTLS:
			return wrong("urls", text, "ldap:// without StartTLS sends passwords in clear: use ldaps:// or StartTLS, or allow it by insecureNoTLS")
		case port == "":
			port = goldap.DefaultLdapPort
		}
		h.startTLS = s.StartTLS && !h.tls
		h.address = net.JoinHostPort(u.Hostname(), port)
		s.hosts = append(s.hosts, h)
	}
	return nil
}

func (s *settings) readCertificates(wrong func(string, string, string, ...any) error) error {
	if s.CA != "" {
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM([]byte(s.CA)) {
			return wrong("ca", "", "there is no certificate in it, in PEM")
		}
	}
	if s.ClientCertificate == "" {
		return nil
	}
	if !strings.Contains(s.ClientCertificate, "-----BEGIN CERTIFICATE-----") {
		return wrong("clientCertificate", "", "there is no certificate in it, in PEM")
	}
	if strings.Contains(s.ClientCertificate, "PRIVATE KEY") {
		return wrong("clientCertificate", "", "the key does not belong here: it is a secret")
	}
	return nil
}

// clientCertificate returns the certificate with its key.
func (s *settings) clientCertificate(key string) (tls.Certificate, error) {
	return tls.X509KeyPair([]byte(s.ClientCertificate), []byte(key))
}

func (s *settings) readBases(wrong func(string, string, string, ...any) error) error {
	if len(s.BaseDNs) == 0 {
		return wrong("baseDNs", "", "there is none")
	}
	if len(s.groupsBases) == 0 {
		s.groupsBases = s.peopleBases
	}
	for _, list := range []struct {
		field string
		dns   []string
	}{{"baseDNs", s.BaseDNs}, {"groupBaseDNs", s.GroupBaseDNs}} {
		if len(list.dns) > maxBases {
			return wrong(list.field, "", "there are %d, and at most %d are allowed", len(list.dns), maxBases)
		}
		var parsed []ldapdn.DN
		for _, text := range list.dns {
			d, ok := ldapdn.Parse(text)
			if !ok || len(d) == 0 {
				return wrong(list.field, text, "it is not a DN, such as OU=People,DC=example,DC=com")
			}
			if i := slices.IndexFunc(parsed, func(other ldapdn.DN) bool { return other.Has(d) || d.Has(other) }); i >= 0 {
				return wrong(list.field, text, "it lies in %q, or the other way around", list.dns[i])
			}
			parsed = append(parsed, d)
		}
	}
	if s.BindDN == "" && s.BindPassword.Set() {
		return wrong("bindDN", "", "there is a password and no DN for it")
	}
	if s.BindDN != "" && !s.BindPassword.Set() && s.ClientCertificate == "" {
		return wrong("bindPassword", "", "it is missing: a bind without one is anonymous whatever the DN")
	}
	return nil
}

func (s *settings) readPreset(wrong func(string, string, string, ...any) error) error {
	p, ok := presetNamed(s.Preset)
	if !ok {
		return wrong("preset", s.Preset, "%s", kinds.DirectoryHint(s.Preset))
	}
	m, field, reason := p.mapping(s.Mapping)
	if reason != "" {
		return wrong("mapping", field, "%s", reason)
	}
	s.preset, s.mapping = p, m
	return nil
}

func (s *settings) readFilters(wrong func(string, string, string, ...any) error) error {
	for _, f := range []struct {
		field, text, preset string
		to                  *string
	}{{"filter", s.Filter, s.preset.people, &s.people}, {"groupFilter", s.GroupFilter, s.preset.groups, &s.groups}} {
		*f.to = f.preset
		if f.text == "" {
			continue
		}
		if reason := wrongFilter(f.text); reason != "" {
			return wrong(f.field, f.text, "%s", reason)
		}
		*f.to = f.text
	}
	return nil
}

// wrongFilter says what is wrong with a filter (RFC 4515), or "". It looks before the
// library does.
func wrongFilter(text string) string {
	if len(text) > maxFilter {
		return fmt.Sprintf("it has %d bytes, and at most %d are allowed", len(text), maxFilter)
	}
	if strings.ContainsFunc(text, naming.Control) {
		return "it has control characters"
	}
	depth, deepest := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			depth--
		}
	}
	if deepest > maxDepth {
		return fmt.Sprintf("it is nested in %d levels, and at most %d are allowed", deepest, maxDepth)
	}
	if !strings.HasPrefix(text, "(") {
		return "it must begin with a parenthesis, such as (objectClass=person)"
	}
	if _, err := goldap.CompileFilter(text); err != nil {
		return "it has a mistake: " + err.Error()
	}
	return ""
}

// equals is a filter for a value of somebody's own (RFC 4515 section 3).
func equals(attribute, value string) string {
	return "(" + attribute + "=" + goldap.EscapeFilter(value) + ")"
}

// anyOf is a filter for any of several.
func anyOf(filters ...string) string {
	if len(filters) == 1 {
		return filters[0]
	}
	return "(|" + strings.Join(filters, "") + ")"
}

func allOf(filters ...string) string { return "(&" + strings.Join(filters, "") + ")" }
