package saml_test

import (
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/jit/saml"
)

// trustKey is the metadata of an identity provider that publishes its key and no
// certificate.
func trustKey(pair *keyPair) func(*saml.Options) {
	return func(o *saml.Options) {
		encode := base64.StdEncoding.EncodeToString
		value := "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>" + encode(pair.cert.PublicKey.(*rsa.PublicKey).N.Bytes()) + "</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
		before, rest, _ := strings.Cut(idpMetadata(pair.cert), "<ds:X509Data>")
		_, after, _ := strings.Cut(rest, "</ds:X509Data>")
		o.Settings.Metadata = before + value + after
	}
}

// A key of the metadata without a certificate is as good, and does not expire.
func TestKeyWithoutACertificate(t *testing.T) {
	sp := provider(t, trustKey(idpPair()))
	if list := sp.Warnings(noon); len(list) > 0 && strings.Contains(strings.Join(list, " "), "certificate of the identity") {
		t.Errorf("warnings %q", list)
	}
	for name, tt := range map[string]struct {
		shape shape
		want  saml.Code
	}{
		"assertion signed":         {},
		"response signed":          {shape: shape{unsigned: true, signResponse: true}},
		"stranger's key":           {shape: shape{key: strangerKey()}, want: saml.CodeSignature},
		"a key of the other kind":  {shape: shape{key: ecPair(), method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"}, want: saml.CodeSignature},
		"changed after it":         {shape: shape{after: sub(">jane<", ">admin<")}, want: saml.CodeSignature},
		"only the key of KeyInfo":  {shape: shape{key: nextPair()}, want: saml.CodeSignature},
		"without KeyInfo":          {shape: shape{noKeyInfo: true}},
		"encrypted, then verified": {shape: shape{encrypt: aesGCM}},
	} {
		if _, err := sp.Verify([]byte(tt.shape.make(t)), requestID, noon); codeOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	late := all(sub("2026-03-04T12:05:00Z", "2031-03-04T12:05:00Z"), sub("2026-03-04T12:10:00Z", "2031-03-04T12:10:00Z"))
	if _, err := sp.Verify([]byte(shape{assertion: late}.make(t)), requestID, noon.AddDate(5, 0, 0).Add(time.Minute)); err != nil {
		t.Errorf("years later: %v", err)
	}
}
