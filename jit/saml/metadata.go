package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	saml2 "github.com/russellhaering/gosaml2"
)

const (
	metadataNamespace = "urn:oasis:names:tc:SAML:2.0:metadata"

	maxMetadata     = 1 << 20
	maxCertificates = 10
	maxEntityID     = 1024 // SAML core section 8.3.6

	expiryNotice  = 30 * 24 * time.Hour
	minRSAKeyBits = 2048
)

// IdentityProvider is an identity provider as its metadata describes it (SAML metadata
// section 2.4.3).
type IdentityProvider struct {
	EntityID string

	// Redirect and POST are where requests for authentication go by these
	// bindings; one of them may be empty.
	Redirect string
	POST     string

	// Certificates are those that may sign responses, several during a rollover.
	Certificates []*x509.Certificate

	// WantAuthnRequestsSigned says that requests must be signed.
	WantAuthnRequestsSigned bool

	// ValidUntil is when the document asks to be replaced; zero means never.
	ValidUntil time.Time
}

type entityDescriptor struct {
	XMLName    xml.Name
	EntityID   string                 `xml:"entityID,attr"`
	ValidUntil string                 `xml:"validUntil,attr"`
	IDPs       []idpSSODescriptorType `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

type idpSSODescriptorType struct {
	Protocols  string `xml:"protocolSupportEnumeration,attr"`
	WantSigned string `xml:"WantAuthnRequestsSigned,attr"`
	Keys       []struct {
		Use          string   `xml:"use,attr"`
		Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
	SignOn []struct {
		Binding  string `xml:"Binding,attr"`
		Location string `xml:"Location,attr"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleSignOnService"`
}

// ParseMetadata reads the metadata document of one identity provider, from a
// file or from wherever an administrator got it. A signature of the document is
// not checked: the administrator vouches for it.
//
// Locations must be https, or http on a loopback address. An EntitiesDescriptor
// is refused, since it does not say which of its entities is meant.
func ParseMetadata(data []byte) (*IdentityProvider, error) {
	idp, err := parseMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	return idp, nil
}

func parseMetadata(data []byte) (*IdentityProvider, error) {
	if len(data) > maxMetadata {
		return nil, fmt.Errorf("more than %d bytes", maxMetadata)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // as some tools write it into files
	err := scan(data, func(*element) error { return nil })
	var refused *Error
	if errors.As(err, &refused) {
		return nil, errors.New(refused.detail())
	}
	var doc entityDescriptor
	if err := xml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	return doc.idp()
}

func (d *entityDescriptor) idp() (*IdentityProvider, error) {
	switch {
	case d.XMLName.Space != metadataNamespace || d.XMLName.Local != "EntityDescriptor":
		return nil, fmt.Errorf("the root is %q, not an EntityDescriptor", d.XMLName.Local)
	case d.EntityID == "" || len(d.EntityID) > maxEntityID || strings.TrimSpace(d.EntityID) != d.EntityID:
		return nil, errors.New("no usable entityID")
	}
	var role *idpSSODescriptorType
	for i := range d.IDPs {
		if !strings.Contains(" "+d.IDPs[i].Protocols+" ", " "+saml2.SAMLProtocolNamespace+" ") {
			continue
		}
		if role != nil {
			return nil, errors.New("more than one IDPSSODescriptor for SAML 2.0")
		}
		role = &d.IDPs[i]
	}
	if role == nil {
		return nil, errors.New("no IDPSSODescriptor for SAML 2.0")
	}
	idp := &IdentityProvider{EntityID: d.EntityID, WantAuthnRequestsSigned: role.WantSigned == "true" || role.WantSigned == "1"}
	if d.ValidUntil != "" {
		t, err := time.Parse(time.RFC3339, d.ValidUntil)
		if err != nil {
			return nil, fmt.Errorf("validUntil %q is not a time", d.ValidUntil)
		}
		idp.ValidUntil = t.UTC()
	}
	if err := idp.takeLocations(role); err != nil {
		return nil, err
	}
	return idp, idp.takeCertificates(role)
}

func (idp *IdentityProvider) takeLocations(role *idpSSODescriptorType) error {
	for _, s := range role.SignOn {
		var to *string
		switch s.Binding {
		case saml2.BindingHttpRedirect:
			to = &idp.Redirect
		case saml2.BindingHttpPost:
			to = &idp.POST
		default:
			continue
		}
		if _, err := parseURL(s.Location); err != nil {
			return fmt.Errorf("location of a SingleSignOnService: %w", err)
		}
		if *to == "" {
			*to = s.Location
		}
	}
	if idp.Redirect == "" && idp.POST == "" {
		return errors.New("no SingleSignOnService with binding HTTP-Redirect or HTTP-POST")
	}
	return nil
}

// takeCertificates takes the first certificate of each key: the others, if any,
// are of those who issued it, and they do not sign responses.
func (idp *IdentityProvider) takeCertificates(role *idpSSODescriptorType) error {
	for _, key := range role.Keys {
		if (key.Use != "" && key.Use != "signing") || len(key.Certificates) == 0 {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(key.Certificates[0]), ""))
		if err != nil {
			return errors.New("a certificate is not base64")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("a certificate: %w", err)
		}
		if idp.has(cert) {
			continue
		}
		switch cert.PublicKey.(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey:
			idp.Certificates = append(idp.Certificates, cert)
		}
	}
	switch {
	case len(idp.Certificates) == 0:
		return errors.New("no certificate with an RSA or ECDSA key for signatures")
	case len(idp.Certificates) > maxCertificates:
		return fmt.Errorf("more than %d certificates", maxCertificates)
	}
	return nil
}

func (idp *IdentityProvider) has(cert *x509.Certificate) bool {
	for _, c := range idp.Certificates {
		if c.Equal(cert) {
			return true
		}
	}
	return false
}

// Warnings says what an administrator must see to: certificates that expire
// within 30 days or have expired, short keys, metadata past its time. Logins
// fail when the last certificate has expired.
func (idp *IdentityProvider) Warnings(now time.Time) []string {
	var out []string
	for _, c := range idp.Certificates {
		out = append(out, expiryWarning("a certificate of the identity provider", c, now)...)
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < minRSAKeyBits {
			out = append(out, fmt.Sprintf("a certificate of the identity provider (%s) has a key of only %d bits", serial(c), k.N.BitLen()))
		}
	}
	if !idp.ValidUntil.IsZero() && !now.Before(idp.ValidUntil) {
		out = append(out, fmt.Sprintf("the metadata of the identity provider asked to be replaced before %s", idp.ValidUntil.Format(time.DateOnly)))
	}
	return out
}

func expiryWarning(what string, c *x509.Certificate, now time.Time) []string {
	date := c.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.After(c.NotAfter):
		return []string{fmt.Sprintf("%s (%s) has expired on %s", what, serial(c), date)}
	case now.Before(c.NotBefore):
		return []string{fmt.Sprintf("%s (%s) is not valid before %s", what, serial(c), c.NotBefore.UTC().Format(time.DateOnly))}
	case now.Add(expiryNotice).After(c.NotAfter):
		return []string{fmt.Sprintf("%s (%s) expires on %s", what, serial(c), date)}
	}
	return nil
}

func serial(c *x509.Certificate) string { return fmt.Sprintf("serial %x", c.SerialNumber) }

// parseURL accepts absolute https addresses, and http ones of this machine.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
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
