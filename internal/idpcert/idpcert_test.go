package idpcert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/idpcert"
)

func Example() {
	fmt.Println(len(idpcert.Signing(`<EntityDescriptor/>`)))
	// Output: 0
}

// certificate returns the base64 text of a certificate with a serial number.
func certificate(t *testing.T, serial int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func armored(t *testing.T, text string) string {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Those that the identity provider signs by are found, however they are written,
// and no others.
func TestSigning(t *testing.T) {
	key := func(use, text string) string {
		return `<md:KeyDescriptor` + use + `><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + text + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
	}
	one, two, three := certificate(t, 1), certificate(t, 2), certificate(t, 3)
	tests := []struct {
		name, metadata string
		want           []int64
	}{
		{"one", `<md:IDPSSODescriptor>` + key(` use="signing"`, one) + `</md:IDPSSODescriptor>`, []int64{1}},
		{"of any use", `<md:IDPSSODescriptor>` + key("", one) + key("", two) + `</md:IDPSSODescriptor>`, []int64{1, 2}},
		{"two in one key", `<md:IDPSSODescriptor>` + key("", one+`</ds:X509Certificate><ds:X509Certificate>`+two) + `</md:IDPSSODescriptor>`, []int64{1, 2}},
		{"to encrypt", `<md:IDPSSODescriptor>` + key(` use="encryption"`, one) + key("", two) + `</md:IDPSSODescriptor>`, []int64{2}},
		{"of a service provider", `<md:SPSSODescriptor>` + key("", one) + `</md:SPSSODescriptor><md:IDPSSODescriptor>` + key("", two) + `</md:IDPSSODescriptor>`, []int64{2}},
		{"with lines and armor", `<md:IDPSSODescriptor>` + key("", "\n\t"+one[:20]+"\r\n"+one[20:]) + key("", armored(t, two)) + `</md:IDPSSODescriptor>`, []int64{1, 2}},
		{"beside a bad one", `<md:IDPSSODescriptor>` + key("", "!") + key("", one[:40]) + key("", three) + `</md:IDPSSODescriptor>`, []int64{3}},
		{"of the metadata itself", `<ds:Signature><ds:X509Certificate>` + one + `</ds:X509Certificate></ds:Signature>`, nil},
		{"cut off", `<md:IDPSSODescriptor>` + key("", one) + `<md:KeyDescriptor><ds:X509Certificate>` + two, []int64{1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document := `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + test.metadata
			var got []int64
			for _, c := range idpcert.Signing(document) {
				got = append(got, c.SerialNumber.Int64())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("certificates %v, want %v", got, test.want)
			}
		})
	}
	if got := idpcert.Signing("no XML"); got != nil {
		t.Errorf("certificates %v of no XML", got)
	}
}
