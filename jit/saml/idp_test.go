package saml_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
)

const (
	idpEntity = "https://idp.example.com/metadata"
	spBase    = "https://app.example.com/saml/demo"
	spEntity  = spBase + "/metadata"
	spACS     = spBase + "/acs"
	requestID = "_request-1"
)

// noon is the time of most tests.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// keyPair is a key with a certificate that is valid in 2026.
type keyPair struct {
	signer crypto.Signer
	cert   *x509.Certificate
}

func newPair(signer crypto.Signer, serial int64, from, to time.Time) *keyPair {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: fmt.Sprintf("test %d", serial)},
		NotBefore:    from,
		NotAfter:     to,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &keyPair{signer: signer, cert: cert}
}

func newRSA(serial int64) func() *keyPair {
	return sync.OnceValue(func() *keyPair {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return newPair(key, serial, noon.AddDate(0, -2, 0), noon.AddDate(0, 9, 0))
	})
}

// The keys of the tests, made when they are first needed.
var (
	idpPair     = newRSA(1)
	nextPair    = newRSA(2) // of the identity provider, after a rollover
	strangerKey = newRSA(3)
	spPair      = newRSA(4)
	ecPair      = sync.OnceValue(func() *keyPair {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return newPair(key, 5, noon.AddDate(0, -2, 0), noon.AddDate(0, 9, 0))
	})
)

func idpMetadata(certs ...*x509.Certificate) string {
	var keys strings.Builder
	for _, c := range certs {
		fmt.Fprintf(&keys, `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
			base64.StdEncoding.EncodeToString(c.Raw))
	}
	return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + idpEntity + `">` +
		`<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + keys.String() +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso?tenant=1"/>` +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/post"/>` +
		`</md:IDPSSODescriptor></md:EntityDescriptor>`
}

// provider returns a service provider that trusts idpPair and has a key.
func provider(t testing.TB, edit ...func(*saml.Options)) *saml.ServiceProvider {
	t.Helper()
	o := saml.Options{
		Connection:  "demo",
		Settings:    provision.SAML{Metadata: idpMetadata(idpPair().cert)},
		BaseURL:     spBase,
		Key:         spPair().signer.(*rsa.PrivateKey),
		Certificate: spPair().cert,
	}
	for _, e := range edit {
		e(&o)
	}
	sp, err := saml.NewServiceProvider(o)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// What a good assertion consists of. Tests replace parts of it.
const (
	confirmation = `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="2026-03-04T12:05:00Z" Recipient="` + spACS + `" InResponseTo="` + requestID + `"></saml:SubjectConfirmationData></saml:SubjectConfirmation>`
	nameID       = `<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">jane</saml:NameID>`
	audience     = `<saml:AudienceRestriction><saml:Audience>` + spEntity + `</saml:Audience></saml:AudienceRestriction>`
	conditions   = `<saml:Conditions NotBefore="2026-03-04T11:59:00Z" NotOnOrAfter="2026-03-04T12:10:00Z">` + audience + `</saml:Conditions>`
	authn        = `<saml:AuthnStatement AuthnInstant="2026-03-04T11:59:30Z" SessionIndex="s1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`
	statement    = `<saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>jane@example.com</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`
	issuer       = `<saml:Issuer>` + idpEntity + `</saml:Issuer>`

	goodAssertion = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a1" Version="2.0" IssueInstant="2026-03-04T12:00:00Z">` +
		issuer + `<saml:Subject>` + nameID + confirmation + `</saml:Subject>` + conditions + authn + statement + `</saml:Assertion>`

	statusSuccess = `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>`
	responseHead  = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r1" Version="2.0" IssueInstant="2026-03-04T12:00:00Z" Destination="` + spACS + `" InResponseTo="` + requestID + `">`
	placeholder   = "<ASSERTIONS/>"
	goodResponse  = responseHead + issuer + statusSuccess + placeholder + `</samlp:Response>`
)

// edit changes a document in the making.
type edit func(string) string

// sub replaces one text, which must be there.
func sub(old, new string) edit {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic(fmt.Sprintf("%q is not in the document", old))
		}
		return strings.Replace(s, old, new, 1)
	}
}

func all(edits ...edit) edit {
	return func(s string) string {
		for _, e := range edits {
			s = e(s)
		}
		return s
	}
}

// shape is a response to be made: what is edited when, and who signs.
type shape struct {
	assertion edit // before the assertion is signed
	signed    edit // after it is signed, before it is encrypted
	response  edit // before the response is signed
	after     edit // when all is done
	second    edit // of a second assertion, "_a2", signed like the first; nil means none

	key          *keyPair // nil means idpPair
	unsigned     bool     // the assertion
	signResponse bool
	method       string // of signatures; empty means SHA-256
	noKeyInfo    bool
	encrypt      string   // the cipher, "" for none
	to           *keyPair // whom it is encrypted for; nil means spPair
	keyTransport string   // empty means OAEP
}

const (
	aesGCM    = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
	aesCBC    = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
	rsaOAEP   = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	rsaPKCS15 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
)

func (e edit) apply(s string) string {
	if e == nil {
		return s
	}
	return e(s)
}

// make returns the response as XML.
func (s shape) make(t testing.TB) string {
	t.Helper()
	assertion := s.assertion.apply(goodAssertion)
	if !s.unsigned {
		assertion = s.sign(t, assertion)
	}
	assertion = s.signed.apply(assertion)
	if s.encrypt != "" {
		assertion = s.encrypted(t, assertion)
	}
	if s.second != nil {
		other := s.second(sub("_a1", "_a2")(goodAssertion))
		if !s.unsigned {
			other = s.sign(t, other)
		}
		assertion += other
	}
	response := s.response.apply(goodResponse)
	response = strings.Replace(response, placeholder, assertion, 1)
	if s.signResponse {
		response = s.sign(t, response)
	}
	return s.after.apply(response)
}

func (s shape) sign(t testing.TB, text string) string {
	t.Helper()
	pair := s.key
	if pair == nil {
		pair = idpPair()
	}
	ctx, err := dsig.NewSigningContext(pair.signer, [][]byte{pair.cert.Raw})
	if err != nil {
		t.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if s.method != "" {
		if err := ctx.SetSignatureMethod(s.method); err != nil {
			t.Fatal(err)
		}
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		t.Fatal(err)
	}
	signed, err := ctx.SignEnveloped(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	if s.noKeyInfo {
		signature := signed.ChildElements()[len(signed.ChildElements())-1]
		signature.RemoveChild(signature.SelectElement("KeyInfo"))
	}
	doc.SetRoot(signed)
	out, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// encrypted wraps an assertion.
func (s shape) encrypted(t testing.TB, text string) string {
	t.Helper()
	transport := s.keyTransport
	if transport == "" {
		transport = rsaOAEP
	}
	key := make([]byte, 16)
	to := s.to
	if to == nil {
		to = spPair()
	}
	public := to.cert.PublicKey.(*rsa.PublicKey)
	var wrapped []byte
	var err error
	if transport == rsaOAEP {
		wrapped, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, public, key, nil)
	} else {
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, public, key) //nolint:staticcheck // it must be refused
	}
	if err != nil {
		t.Fatal(err)
	}
	return `<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="` + s.encrypt + `"></xenc:EncryptionMethod>` +
		`<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="` + transport + `"><ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"></ds:DigestMethod></xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>` +
		base64.StdEncoding.EncodeToString(wrapped) + `</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>` +
		`<xenc:CipherData><xenc:CipherValue>` + base64.StdEncoding.EncodeToString(seal(t, s.encrypt, key, text)) + `</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>`
}

func seal(t testing.TB, method string, key []byte, text string) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if method == aesCBC {
		plain := []byte(text)
		pad := aes.BlockSize - len(plain)%aes.BlockSize
		plain = append(plain, make([]byte, pad)...)
		plain[len(plain)-1] = byte(pad)
		iv := make([]byte, aes.BlockSize)
		out := make([]byte, len(plain))
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
		return append(iv, out...)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	return append(nonce, gcm.Seal(nil, nonce, []byte(text), nil)...)
}
