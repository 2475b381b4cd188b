package saml_test

import (
	"crypto/x509"
	"encoding/base64"
	"path/filepath"
	"testing"

	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"
)

// TestLibrary shows what gosaml2 alone does with each message, so that an
// upgrade cannot change it unseen: what it stops refusing, the rules of this
// package must refuse. That they are strict before gosaml2 sees a message would
// hide it.
func TestLibrary(t *testing.T) {
	_, idp := testKey(t, "idp")
	key, cert := testKey(t, "sp")
	for _, a := range loadAttacks(t) {
		if a.File == "" {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			sp := saml2.SAMLServiceProvider{
				IdentityProviderIssuer:      "https://idp.example.com/metadata",
				AssertionConsumerServiceURL: "https://sp.example.com/saml/acme/acs",
				AudienceURI:                 "https://sp.example.com/saml/acme/metadata",
				IDPCertificateStore:         &dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{idp}},
				SPKeyStore:                  dsig.TLSCertKeyStore{Certificate: [][]byte{cert.Raw}, PrivateKey: key},
				Clock:                       dsig.NewFakeClockAt(attackNow),
			}
			message := readFile(t, filepath.Join(attacksPath, a.File))
			response, err := sp.ValidateEncodedResponse(base64.StdEncoding.EncodeToString(message))
			want := a.Expect == "accept-signed-only" || a.Library == "accepts"
			if want != (err == nil) {
				t.Fatalf("accepts is %v (%v), want %v", err == nil, err, want)
			}
			if err == nil && len(response.Assertions) == 0 {
				t.Error("accepted without assertion")
			}
		})
	}
}
