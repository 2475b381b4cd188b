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
	"github.com/scimjit/provision/internal/metadata"
	"github.com/scimjit/provision/internal/samlname"
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

	// SpareKey and SpareCertificate are the pair that comes next, or the one that
	// was before. The metadata lists it, after the other, for all uses, and what
	// is encrypted for it is decrypted; it signs nothing. Both or none are set,
	// and only beside Key.
	SpareKey         *rsa.PrivateKey
	SpareCertificate *x509.Certificate
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
	unsolicited bool     // logins that nobody asked for are accepted
	contexts    []string // of authentication that are accepted; none accepts all
	forceAuthn  bool
	format      string // of the NameID that is asked for
	sign        bool
	allowCBC    bool // although only the assertion is signed
	offerKey    bool // for encryption

	// All pairs, the one that signs first.
	keys         []*rsa.PrivateKey
	certificates []*x509.Certificate
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
		allowCBC:    o.Settings.InsecureAllowCBC,
		offerKey:    o.Settings.Encryption != "off",
	}
	sp.entityID = o.Settings.EntityID
	if sp.entityID == "" {
		sp.entityID = sp.base + "/metadata"
	}
	if len(sp.entityID) > metadata.MaxEntityID || strings.TrimSpace(sp.entityID) != sp.entityID {
		return nil, "saml.entityID", fmt.Errorf("must have at most %d bytes and no white space around it", metadata.MaxEntityID)
	}
	if skew := time.Duration(o.Settings.ClockSkewSeconds) * time.Second; skew != 0 {
		sp.skew = skew
	}
	if sp.skew < 0 || sp.skew > maxSkew {
		return nil, "saml.clockSkewSeconds", fmt.Errorf("must be 0 to %d", maxSkew/time.Second)
	}
	if e := o.Settings.Encryption; e != "" && e != "on" && e != "off" {
		return nil, "saml.encryption", fmt.Errorf("%q: must be on or off", e)
	}
	if field, err := sp.setRequests(o.Settings); err != nil {
		return nil, field, err
	}
	if field, err := sp.setKeys(o); err != nil {
		return nil, field, err
	}
	if o.Settings.SignRequests && o.Key == nil {
		return nil, "saml.signRequests", errors.New("needs a key of the service provider")
	}
	sp.mapping, err = mappingOf(o.Settings)
	var wrong *jit.MappingError
	switch {
	case errors.As(err, &wrong):
		return nil, "saml." + wrong.Setting, fmt.Errorf("%q: %s", wrong.Value, wrong.Reason)
	case err != nil:
		return nil, "saml", err
	case o.Settings.Metadata == "" && o.Settings.MetadataURL != "":
		return nil, fieldMetadata, errNotFetched // all else is right
	}
	if sp.idp, err = parseMetadata([]byte(o.Settings.Metadata), o.Settings.IDPEntityID); err != nil {
		return nil, fieldMetadata, err
	}
	sp.sign = o.Settings.SignRequests || (sp.idp.WantAuthnRequestsSigned && o.Key != nil)
	return sp, "", nil
}

const fieldMetadata = "saml.metadata"

var errNotFetched = errors.New("the metadata of the identity provider has not been fetched from its address yet")

// setKeys checks and takes the pairs of keys.
func (sp *ServiceProvider) setKeys(o Options) (field string, err error) {
	if err := checkKey(o.Key, o.Certificate); err != nil {
		return "saml.key", err
	}
	if err := checkKey(o.SpareKey, o.SpareCertificate); err != nil {
		return "saml.spareKey", err
	}
	switch {
	case o.Key == nil && o.SpareKey != nil:
		return "saml.spareKey", errors.New("is set without a key beside which it is the spare one")
	case o.Key == nil:
		return "", nil
	}
	sp.keys, sp.certificates = append(sp.keys, o.Key), append(sp.certificates, o.Certificate)
	if o.SpareKey != nil {
		sp.keys, sp.certificates = append(sp.keys, o.SpareKey), append(sp.certificates, o.SpareCertificate)
	}
	return "", nil
}

// setRequests takes what is asked of the identity provider.
func (sp *ServiceProvider) setRequests(s provision.SAML) (field string, err error) {
	sp.forceAuthn = s.ForceAuthn
	for _, text := range s.AuthnContext {
		full, hint := samlname.AuthnContext(text)
		if hint != "" {
			return "saml.authnContext", fmt.Errorf("%q: %s", text, hint)
		}
		sp.contexts = append(sp.contexts, full)
	}
	if s.NameIDFormat == "" {
		return "", nil
	}
	full, hint := samlname.Format(s.NameIDFormat)
	if hint != "" {
		return "saml.nameIDFormat", fmt.Errorf("%q: %s", s.NameIDFormat, hint)
	}
	sp.format = full
	return "", nil
}

func mappingOf(s provision.SAML) (*jit.Mapping, error) {
	m, err := jit.NewMapping(s.Preset, s.Mapping)
	if err != nil {
		return nil, err
	}
	return m.WithGroups(s.Groups, s.GroupSeparator)
}

func parseBaseURL(raw string) (*url.URL, error) {
	u, err := metadata.Address(raw)
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
	for i, cert := range sp.certificates {
		name := [...]string{"the certificate of the service provider", "the spare certificate of the service provider"}[i]
		out = append(out, expiryWarning(name, cert, now)...)
	}
	if sp.allowCBC {
		out = append(out, "insecureAllowCBC is on: whoever gets hold of a response that is encrypted by AES-CBC can find out what is in it; "+
			"turn it off when the identity provider signs the response, too, or encrypts by AES-GCM")
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
	if len(sp.keys) > 0 {
		lib.SPKeyStore = dsig.TLSCertKeyStore(tls.Certificate{Certificate: [][]byte{sp.certificates[0].Raw}, PrivateKey: sp.keys[0]})
	}
	return lib
}
