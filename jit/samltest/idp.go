package samltest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// T is what is needed of a [testing.T].
type T interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// IDP is an identity provider. Two of them have different keys and entity ids.
// Its addresses answer nobody but [IDP.Login]: no server runs. It is safe for
// concurrent use once its field is set.
type IDP struct {
	// Transport sends the requests of the browser; nil means
	// http.DefaultTransport. Set it to that of the client of an
	// httptest.Server with TLS.
	Transport http.RoundTripper

	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	address     url.URL
	metadata    string
}

// domain is what the addresses of all identity providers are in. RFC 2606 sees to
// it that there is nobody.
const domain = ".idp.example"

// New returns an identity provider with a key of its own.
func New(t T) *IDP {
	t.Helper()
	p := &IDP{address: url.URL{Scheme: "https", Host: strings.ToLower(rand.Text()) + domain}}
	if err := p.makeKey(); err != nil {
		t.Fatalf("samltest: %v", err)
	}
	if err := p.describe(); err != nil {
		t.Fatalf("samltest: %v", err)
	}
	return p
}

// Metadata returns the XML document that goes into the connection, as Metadata
// of its SAML settings.
func (p *IDP) Metadata() string { return p.metadata }

func (p *IDP) makeKey() (err error) {
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: p.address.Host},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.key.Public(), p.key)
	if err != nil {
		return err
	}
	p.certificate, err = x509.ParseCertificate(der)
	return err
}

// describe writes the metadata. The library's own ends two days from now, by the
// clock of the machine.
func (p *IDP) describe() error {
	doc := p.provider(nil).Metadata()
	doc.ValidUntil = p.certificate.NotAfter
	doc.IDPSSODescriptors[0].NameIDFormats = []crewjam.NameIDFormat{crewjam.PersistentNameIDFormat}
	data, err := xml.MarshalIndent(doc, "", "  ")
	p.metadata = string(data)
	return err
}

// provider returns the library's identity provider for one application.
func (p *IDP) provider(application *crewjam.EntityDescriptor) *crewjam.IdentityProvider {
	return &crewjam.IdentityProvider{
		Signer:                  p.key,
		Certificate:             p.certificate,
		SignatureMethod:         dsig.ECDSASHA256SignatureMethod,
		MetadataURL:             *p.address.JoinPath("metadata"),
		SSOURL:                  *p.address.JoinPath("sso"),
		LogoutURL:               *p.address.JoinPath("slo"),
		ServiceProviderProvider: peer{application},
	}
}

// peer is the one application that a response is for.
type peer struct{ entity *crewjam.EntityDescriptor }

// GetServiceProvider implements crewjam.ServiceProviderProvider.
func (p peer) GetServiceProvider(_ *http.Request, id string) (*crewjam.EntityDescriptor, error) {
	if id != p.entity.EntityID {
		return nil, fmt.Errorf("the request is from %q, the metadata beside its ACS address is of %q", id, p.entity.EntityID)
	}
	return p.entity, nil
}

// question reads the request for authentication that a browser brings.
func (p *IDP) question(r *http.Request) (*crewjam.IdpAuthnRequest, error) {
	req, err := crewjam.NewIdpAuthnRequest(p.provider(nil), r)
	if err != nil {
		return nil, err
	}
	if err := xml.Unmarshal(req.RequestBuffer, &req.Request); err != nil {
		return nil, fmt.Errorf("the request for authentication: %w", err)
	}
	if req.Request.AssertionConsumerServiceURL == "" {
		return nil, errors.New("the request for authentication names no ACS address")
	}
	return req, nil
}

// answer returns the form that answers a request of an application for a person.
func (p *IDP) answer(req *crewjam.IdpAuthnRequest, application *crewjam.EntityDescriptor, u User) (crewjam.IdpAuthnRequestForm, error) {
	req.IDP = p.provider(application)
	req.Now = req.Request.IssueInstant
	if err := req.Validate(); err != nil {
		return crewjam.IdpAuthnRequestForm{}, err
	}
	if err := (crewjam.DefaultAssertionMaker{}).MakeAssertion(req, u.session(req.Now)); err != nil {
		return crewjam.IdpAuthnRequestForm{}, err
	}
	req.Assertion.IssueInstant = req.Now // the library reads the clock of the machine
	return req.PostBinding()
}
