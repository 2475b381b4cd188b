package saml

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
)

const (
	defaultSkew = 60 * time.Second
	maxSkew     = 5 * time.Minute
)

// Options is what a [ServiceProvider] is made of.
type Options struct {
	// Connection is the id of the connection, for errors.
	Connection string

	// Settings are those of the connection. Metadata is required.
	Settings provision.SAML

	// BaseURL is the public address below which "metadata", "login" and "acs" of
	// this connection are. It is required, and https but for a loopback address.
	BaseURL string

	// Key and Certificate sign requests and decrypt assertions. Both or none
	// are set.
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// ServiceProvider is the service provider of one connection. It does not change
// and is safe for concurrent use.
type ServiceProvider struct {
	connection string
	base       string // without a slash at the end
	path       string // of base
	secure     bool   // base is https

	idp         *IdentityProvider
	entityID    string
	mapping     *jit.Mapping
	algorithms  algorithms
	skew        time.Duration
	unsolicited bool // logins that nobody asked for are accepted
	sign        bool
	key         *rsa.PrivateKey
	certificate *x509.Certificate
	keys        []*rsa.PrivateKey // that decrypt
}

// NewServiceProvider checks the settings of a connection and makes its service
// provider. The error is a [*provision.ConnectionError] that names the setting,
// such as "saml.metadata".
func NewServiceProvider(o Options) (*ServiceProvider, error) {
	sp, field, err := newServiceProvider(o)
	if err != nil {
		return nil, &provision.ConnectionError{Connection: o.Connection, Field: field, Reason: err.Error()}
	}
	return sp, nil
}

func newServiceProvider(o Options) (sp *ServiceProvider, field string, err error) {
	base, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, "saml.baseURL", err
	}
	sp = &ServiceProvider{
		connection:  o.Connection,
		base:        strings.TrimSuffix(base.String(), "/"),
		path:        strings.TrimSuffix(base.EscapedPath(), "/") + "/",
		secure:      base.Scheme == "https",
		algorithms:  algorithms{sha1: o.Settings.AllowSHA1},
		skew:        defaultSkew,
		unsolicited: o.Settings.AllowIDPInitiated,
		key:         o.Key,
		certificate: o.Certificate,
	}
	sp.entityID = o.Settings.EntityID
	if sp.entityID == "" {
		sp.entityID = sp.base + "/metadata"
	}
	if len(sp.entityID) > maxEntityID || strings.TrimSpace(sp.entityID) != sp.entityID {
		return nil, "saml.entityID", fmt.Errorf("must have at most %d bytes and no white space around it", maxEntityID)
	}
	if skew := time.Duration(o.Settings.ClockSkewSeconds) * time.Second; skew != 0 {
		sp.skew = skew
	}
	if sp.skew < 0 || sp.skew > maxSkew {
		return nil, "saml.clockSkewSeconds", fmt.Errorf("must be 0 to %d", maxSkew/time.Second)
	}
	if err := checkKey(o.Key, o.Certificate); err != nil {
		return nil, "saml.key", err
	}
	if o.Key != nil {
		sp.keys = append(sp.keys, o.Key)
	}
	if sp.idp, err = parseMetadata([]byte(o.Settings.Metadata)); err != nil {
		return nil, "saml.metadata", err
	}
	sp.sign = o.Settings.SignRequests || (sp.idp.WantAuthnRequestsSigned && o.Key != nil)
	if sp.sign && o.Key == nil {
		return nil, "saml.signRequests", errors.New("needs a key of the service provider")
	}
	sp.mapping, err = jit.NewMapping(o.Settings.Preset, o.Settings.Mapping)
	var wrong *jit.MappingError
	if errors.As(err, &wrong) {
		return nil, "saml." + wrong.Setting, fmt.Errorf("%q: %s", wrong.Value, wrong.Reason)
	}
	return sp, "saml", err
}

func parseBaseURL(raw string) (*url.URL, error) {
	u, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("%q has a query", raw)
	}
	if strings.Contains(u.EscapedPath(), ";") {
		return nil, fmt.Errorf("%q has a semicolon, which paths of cookies cannot have", raw)
	}
	return u, nil
}

func checkKey(key *rsa.PrivateKey, cert *x509.Certificate) error {
	switch {
	case key == nil && cert == nil:
		return nil
	case key == nil || cert == nil:
		return errors.New("key and certificate must be set together")
	case key.N.BitLen() < minRSAKeyBits:
		return fmt.Errorf("the key must have at least %d bits", minRSAKeyBits)
	case !key.PublicKey.Equal(cert.PublicKey):
		return errors.New("the certificate is of another key")
	}
	return nil
}

// EntityID names this service provider; assertions must be for it.
func (sp *ServiceProvider) EntityID() string { return sp.entityID }

// ACS is the address that responses go to.
func (sp *ServiceProvider) ACS() string { return sp.base + "/acs" }

// IdentityProvider is who logs people in. It must not be changed.
func (sp *ServiceProvider) IdentityProvider() *IdentityProvider { return sp.idp }

// Warnings says what an administrator must see to: certificates that expire
// within 30 days or have expired, settings that do not go well together, what is
// to know about the preset ([jit.Mapping.Warnings]). None of it keeps logins
// from working yet, but for expired certificates.
func (sp *ServiceProvider) Warnings(now time.Time) []string {
	return append(sp.pressing(now), sp.mapping.Warnings()...)
}

// pressing are the warnings that are more than what to know about a preset.
func (sp *ServiceProvider) pressing(now time.Time) []string {
	out := sp.idp.Warnings(now)
	if sp.certificate != nil {
		out = append(out, expiryWarning("the certificate of the service provider", sp.certificate, now)...)
	}
	if sp.idp.WantAuthnRequestsSigned && !sp.sign {
		out = append(out, "the identity provider wants signed requests, and this service provider has no key")
	}
	return out
}

// library returns what gosaml2 needs to make a request.
func (sp *ServiceProvider) library(now time.Time) *saml2.SAMLServiceProvider {
	lib := &saml2.SAMLServiceProvider{
		IdentityProviderIssuer:         sp.idp.EntityID,
		AssertionConsumerServiceURL:    sp.ACS(),
		ServiceProviderIssuer:          sp.entityID,
		SignAuthnRequests:              sp.sign,
		SignAuthnRequestsAlgorithm:     dsig.RSASHA256SignatureMethod,
		SignAuthnRequestsCanonicalizer: dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""),
		Clock:                          dsig.NewFakeClockAt(now),
	}
	if sp.key != nil {
		lib.SPKeyStore = dsig.TLSCertKeyStore(tls.Certificate{Certificate: [][]byte{sp.certificate.Raw}, PrivateKey: sp.key})
	}
	return lib
}
