package saml

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/metadata"
)

const (
	expiryNotice  = 30 * 24 * time.Hour
	minRSAKeyBits = 2048
)

// IdentityProvider is an identity provider as its metadata describes it (SAML metadata
// section 2.4.3).
type IdentityProvider struct {
	EntityID string

	// Redirect and POST are where requests for authentication go by these
	// bindings; one of them may be empty.
	Redirect, POST string

	// LogoutRedirect and LogoutPOST are where messages about logouts go, each
	// empty where there is none. Answers to requests for a logout go to the
	// others where the document has them.
	LogoutRedirect, LogoutPOST                 string
	LogoutRedirectResponse, LogoutPOSTResponse string

	// Certificates are those that may sign, several during a rollover.
	Certificates []*x509.Certificate

	// Keys are those that may sign and have no certificate (KeyValue). They do not
	// expire.
	Keys []crypto.PublicKey

	// WantAuthnRequestsSigned says that requests must be signed.
	WantAuthnRequestsSigned bool

	// ValidUntil is when the document asks to be replaced; zero means never.
	// CacheDuration is how long it asks to be kept at most; zero means that it
	// does not say.
	ValidUntil    time.Time
	CacheDuration time.Duration

	// Problems say what was left out of the document, for an administrator.
	Problems []string
}

// ParseMetadata reads the metadata document of one identity provider, from a
// file or from wherever an administrator got it. A signature of the document is
// not checked: the administrator vouches for it.
//
// What is good is taken, and what is not is left out and told of in Problems: a
// certificate or an address that cannot be used beside one that can, for
// instance. The error says in words for an administrator why nothing usable is
// left, or what the document is instead of metadata.
//
// Locations must be https, or http on a loopback address. A list of entities
// (EntitiesDescriptor) must have one identity provider; of several,
// [provision.SAML.IDPEntityID] names the one that a connection means. At most
// ten certificates are taken, those that are valid for the longest.
func ParseMetadata(data []byte) (*IdentityProvider, error) {
	idp, err := parseMetadata(data, "")
	if err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	return idp, nil
}

func parseMetadata(data []byte, entityID string) (*IdentityProvider, error) {
	idp, err := metadata.Parse(data, entityID)
	if err != nil {
		return nil, err
	}
	return (*IdentityProvider)(idp), nil // which compiles while the fields of both are the same
}

// Warnings says what an administrator must see to: parts of the metadata that were
// left out, certificates that expire within 30 days or have expired, short keys,
// metadata past its time. Logins fail when the last certificate has expired.
func (idp *IdentityProvider) Warnings(now time.Time) []string {
	var out []string
	for _, text := range idp.Problems {
		out = append(out, "the metadata of the identity provider: "+text)
	}
	for _, c := range idp.Certificates {
		out = append(out, expiryWarning("a certificate of the identity provider", c, now)...)
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < minRSAKeyBits {
			out = append(out, fmt.Sprintf("a certificate of the identity provider (%s) has a key of only %d bits", serial(c), k.N.BitLen()))
		}
	}
	for _, key := range idp.Keys {
		if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < minRSAKeyBits {
			out = append(out, fmt.Sprintf("a key of the identity provider has only %d bits", k.N.BitLen()))
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
