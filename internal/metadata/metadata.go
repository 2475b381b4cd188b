// Package metadata reads the metadata document of a SAML identity provider (SAML
// metadata, section 2) as administrators come by it.
//
// A document is read part by part: what is good is taken, what is not is left out
// and told of, and the whole is refused only when nothing usable is left. That is
// safe, since who vouches for a document is asked before, and a part that is left
// out can only make fewer logins possible.
package metadata

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/scimjit/provision/internal/xsd"
)

// Limits of a document. Federations publish documents of many megabytes; that of
// one identity provider has a few kilobytes.
const (
	MaxBytes        = 1 << 20
	MaxCertificates = 10
	MaxEntityID     = 1024 // SAML core section 8.3.6

	maxDepth    = 64
	maxElements = 50_000
	maxProblems = 20
)

const (
	namespace = "urn:oasis:names:tc:SAML:2.0:metadata"
	protocol  = "urn:oasis:names:tc:SAML:2.0:protocol"

	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// IdentityProvider is what a document says about one identity provider.
type IdentityProvider struct {
	EntityID string

	// Redirect and POST are where requests for authentication go.
	Redirect, POST string

	// LogoutRedirect and LogoutPOST are where messages about logouts go, each
	// empty where there is none. Answers to requests for a logout go to the
	// others where the document has them.
	LogoutRedirect, LogoutPOST                 string
	LogoutRedirectResponse, LogoutPOSTResponse string

	// Certificates are those that may sign, at most MaxCertificates.
	Certificates []*x509.Certificate

	// Keys are those that may sign and have no certificate, at most
	// MaxCertificates. They do not end.
	Keys []crypto.PublicKey

	// WantAuthnRequestsSigned says that requests must be signed.
	WantAuthnRequestsSigned bool

	// ValidUntil is when the document asks to be replaced, the earliest of all
	// that concern the identity provider; zero means never. CacheDuration is how
	// long it asks to be kept at most; zero means that it does not say.
	ValidUntil    time.Time
	CacheDuration time.Duration

	// Problems say what was left out, in words for an administrator.
	Problems []string
}

// Parse reads the document. entityID names the identity provider that is meant;
// it may be empty where the document has one. The error is for an administrator,
// and says what the document is instead where that is plain.
func Parse(data []byte, entityID string) (*IdentityProvider, error) {
	root, problems, err := read(data)
	if err != nil {
		return nil, err
	}
	idp, err := choose(entities(root), xsd.Collapse(entityID))
	if err != nil {
		return nil, err
	}
	idp.Problems = append(problems, idp.Problems...)
	if len(idp.Problems) > maxProblems {
		idp.Problems = append(idp.Problems[:maxProblems], "and more")
	}
	return idp, nil
}

// CheckForm makes sure that a document is metadata by its form, whatever it says.
// The error is as that of [Parse].
func CheckForm(data []byte) error {
	_, _, err := read(data)
	return err
}

// read returns the root of a document.
func read(data []byte) (root *node, problems []string, err error) {
	if len(data) > MaxBytes {
		return nil, nil, fmt.Errorf("it has %d bytes, and at most %d are allowed: use the metadata of the one identity provider, not of a whole federation", len(data), MaxBytes)
	}
	text := Text(data)
	if reason := mistaken(text); reason != "" {
		return nil, nil, errors.New(reason)
	}
	root, problems, err = parseXML(text)
	if err != nil {
		return nil, nil, err
	}
	if reason := wrongRoot(root); reason != "" {
		return nil, nil, errors.New(reason)
	}
	return root, problems, nil
}

// entity is an EntityDescriptor with what the lists around it say of it.
type entity struct {
	node  *node
	above []*node
}

func (e entity) id() string { return xsd.Collapse(e.node.attr("entityID")) }

// entities returns the entities of a node, those of nested lists too.
func entities(n *node, above ...*node) []entity {
	switch {
	case n.is("EntityDescriptor"):
		return []entity{{node: n, above: above}}
	case !n.is("EntitiesDescriptor"):
		return nil
	}
	var out []entity
	for _, c := range n.children {
		out = append(out, entities(c, append(slices.Clone(above), n)...)...)
	}
	return out
}

// roles returns the descriptors of an identity provider for SAML 2.0. One that
// does not say for what it is has the benefit of the doubt.
func (e entity) roles() []*node {
	var out []*node
	for _, n := range e.node.children {
		protocols := xsd.Fields(n.attr("protocolSupportEnumeration"))
		if n.is("IDPSSODescriptor") && (len(protocols) == 0 || slices.Contains(protocols, protocol)) {
			out = append(out, n)
		}
	}
	return out
}

// choose returns the one identity provider that is meant.
func choose(all []entity, entityID string) (*IdentityProvider, error) {
	var idps []entity
	var ids []string
	for _, e := range all {
		if len(e.roles()) > 0 {
			idps = append(idps, e)
			ids = append(ids, e.id())
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("it has no EntityDescriptor of the namespace %s", namespace)
	case len(ids) == 0:
		return nil, errors.New(without(all))
	case entityID != "":
		idps = slices.DeleteFunc(idps, func(e entity) bool { return e.id() != entityID })
		if len(idps) == 0 {
			return nil, fmt.Errorf("it has no identity provider %q, but %s", shorten(entityID), quoted(ids))
		}
	case len(ids) > 1:
		return nil, fmt.Errorf("it has %d identity providers: name the one that is meant by its entity id (setting idpEntityID): %s", len(ids), quoted(ids))
	}
	var refused error
	for _, e := range idps {
		idp, err := e.read()
		if err == nil {
			if len(idps) > 1 {
				idp.problem("the identity provider %q is there %d times: the first that is usable counts", shorten(e.id()), len(idps))
			}
			return idp, nil
		}
		refused = errors.Join(refused, err)
	}
	return nil, refused
}

// without says what a document has that has no identity provider.
func without(all []entity) string {
	for _, e := range all {
		for _, n := range e.node.children {
			if n.is("SPSSODescriptor") {
				return fmt.Sprintf("no IDPSSODescriptor: this is the metadata of a service provider (%q), such as this application, and that of the identity provider is needed", shorten(e.id()))
			}
		}
	}
	for _, e := range all {
		for _, n := range e.node.children {
			if n.is("IDPSSODescriptor") {
				return "no IDPSSODescriptor for SAML 2.0: the identity provider offers other protocols only"
			}
		}
	}
	return "no IDPSSODescriptor for SAML 2.0: it describes no identity provider"
}

// read reads the one role of an entity that is usable. Of two nobody could say which
// is meant.
func (e entity) read() (*IdentityProvider, error) {
	if id := e.id(); id == "" || len(id) > MaxEntityID {
		return nil, fmt.Errorf("no usable entityID: %q must have 1 to %d bytes", shorten(id), MaxEntityID)
	}
	var usable []*IdentityProvider
	var refused []error
	for _, role := range e.roles() {
		idp := &IdentityProvider{EntityID: e.id()}
		if xsd.Collapse(role.attr("protocolSupportEnumeration")) == "" {
			idp.problem("the IDPSSODescriptor does not say for which protocol it is: SAML 2.0 is assumed")
		}
		idp.WantAuthnRequestsSigned = xsd.Bool(role.attr("WantAuthnRequestsSigned"))
		idp.takeValidity(append(append(slices.Clone(e.above), e.node), role))
		err := idp.takeSignOn(role)
		if err == nil {
			err = idp.takeCertificates(role)
		}
		if err != nil {
			refused = append(refused, err)
			continue
		}
		idp.takeLogout(role)
		usable = append(usable, idp)
	}
	switch {
	case len(usable) == 0:
		return nil, errors.Join(refused...)
	case len(usable) > 1:
		return nil, errors.New("more than one IDPSSODescriptor for SAML 2.0")
	}
	for _, err := range refused {
		usable[0].problem("another IDPSSODescriptor is left out: %v", err)
	}
	return usable[0], nil
}

func (idp *IdentityProvider) problem(format string, args ...any) {
	idp.Problems = append(idp.Problems, fmt.Sprintf(format, args...))
}

func (idp *IdentityProvider) takeValidity(nodes []*node) {
	for _, n := range nodes {
		if text := n.attr("validUntil"); text != "" {
			t, err := xsd.DateTime(text)
			if err != nil {
				idp.problem("validUntil is left out: %v", err)
			} else if idp.ValidUntil.IsZero() || t.Before(idp.ValidUntil) {
				idp.ValidUntil = t
			}
		}
		if text := n.attr("cacheDuration"); text != "" {
			d, err := xsd.Duration(text)
			if err != nil {
				idp.problem("cacheDuration is left out: %v", err)
			} else if idp.CacheDuration == 0 || d < idp.CacheDuration {
				idp.CacheDuration = d
			}
		}
	}
}

// takeSignOn takes the first usable address of each binding.
func (idp *IdentityProvider) takeSignOn(role *node) error {
	for _, n := range role.children {
		if !n.is("SingleSignOnService") {
			continue
		}
		if location, to := idp.location(n, "Location", &idp.Redirect, &idp.POST); to != nil && *to == "" {
			*to = location
		}
	}
	if idp.Redirect == "" && idp.POST == "" {
		return idp.unusable("no usable SingleSignOnService with binding HTTP-Redirect or HTTP-POST")
	}
	return nil
}

// takeLogout takes the addresses for logouts. Nobody needs them to log in.
func (idp *IdentityProvider) takeLogout(role *node) {
	for _, n := range role.children {
		if !n.is("SingleLogoutService") {
			continue
		}
		location, to := idp.location(n, "Location", &idp.LogoutRedirect, &idp.LogoutPOST)
		if to == nil || *to != "" {
			continue
		}
		*to = location
		if n.attr("ResponseLocation") == "" {
			continue
		}
		if response, to := idp.location(n, "ResponseLocation", &idp.LogoutRedirectResponse, &idp.LogoutPOSTResponse); to != nil {
			*to = response
		}
	}
}

// location returns a usable address of a service and where the address of its
// binding goes, nil where it is of no use.
func (idp *IdentityProvider) location(n *node, attribute string, redirect, post *string) (location string, to *string) {
	binding := "HTTP-Redirect"
	switch xsd.Collapse(n.attr("Binding")) {
	case bindingRedirect:
		to = redirect
	case bindingPOST:
		to, binding = post, "HTTP-POST"
	default:
		return "", nil
	}
	location = strings.Trim(n.attr(attribute), " \t\r\n")
	if _, err := Address(location); err != nil {
		idp.problem("the %s of a %s for %s is left out: %v", attribute, n.name.Local, binding, err)
		return "", nil
	}
	return location, to
}

// unusable is why an identity provider cannot be used, with what was left out.
func (idp *IdentityProvider) unusable(what string) error {
	if len(idp.Problems) > 0 {
		what += ": " + strings.Join(idp.Problems[:min(len(idp.Problems), maxProblems)], "; ")
	}
	return errors.New(what)
}

// Same reports whether two documents say the same of an identity provider, whenever
// they end.
func (idp *IdentityProvider) Same(other *IdentityProvider) bool {
	return len(idp.Differences(other)) == 0
}

// Differences says what another document says that is later, for an administrator.
func (idp *IdentityProvider) Differences(later *IdentityProvider) []string {
	var out []string
	for _, c := range later.Certificates {
		if !slices.ContainsFunc(idp.Certificates, c.Equal) {
			out = append(out, fmt.Sprintf("a certificate is new (serial %x, until %s)", c.SerialNumber, c.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	for _, c := range idp.Certificates {
		if !slices.ContainsFunc(later.Certificates, c.Equal) {
			out = append(out, fmt.Sprintf("a certificate is gone (serial %x, until %s)", c.SerialNumber, c.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	for _, k := range later.Keys {
		if !slices.ContainsFunc(idp.Keys, sameKey(k)) {
			out = append(out, "a key is new ("+fingerprint(k)+")")
		}
	}
	for _, k := range idp.Keys {
		if !slices.ContainsFunc(later.Keys, sameKey(k)) {
			out = append(out, "a key is gone ("+fingerprint(k)+")")
		}
	}
	for _, text := range []struct{ what, before, after string }{
		{"the entity id", idp.EntityID, later.EntityID},
		{"the address for requests (HTTP-Redirect)", idp.Redirect, later.Redirect},
		{"the address for requests (HTTP-POST)", idp.POST, later.POST},
		{"the address for logouts (HTTP-Redirect)", idp.LogoutRedirect, later.LogoutRedirect},
		{"the address for logouts (HTTP-POST)", idp.LogoutPOST, later.LogoutPOST},
		{"the address for answers to logouts (HTTP-Redirect)", idp.LogoutRedirectResponse, later.LogoutRedirectResponse},
		{"the address for answers to logouts (HTTP-POST)", idp.LogoutPOSTResponse, later.LogoutPOSTResponse},
	} {
		if text.before != text.after {
			out = append(out, fmt.Sprintf("%s is %q instead of %q", text.what, shorten(text.after), shorten(text.before)))
		}
	}
	if idp.WantAuthnRequestsSigned != later.WantAuthnRequestsSigned {
		out = append(out, fmt.Sprintf("requests must be signed: %t", later.WantAuthnRequestsSigned))
	}
	return out
}

// Address accepts absolute https addresses, and http ones of this machine.
func Address(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsFunc(raw, unicode.IsSpace) {
		return nil, fmt.Errorf("%q is not a URL", raw)
	}
	switch {
	case u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%q is not an absolute URL without user and fragment", raw)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%q must begin with https://", raw)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// maxNamed is how many entities a message lists.
const maxNamed = 10

func quoted(ids []string) string {
	var out []string
	for _, id := range ids[:min(len(ids), maxNamed)] {
		out = append(out, fmt.Sprintf("%q", shorten(id)))
	}
	if len(ids) > maxNamed {
		out = append(out, "and more")
	}
	return strings.Join(out, ", ")
}

func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
