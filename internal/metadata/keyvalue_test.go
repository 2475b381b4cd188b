package metadata_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/metadata"
)

func rsaValue(modulus, exponent []byte) string {
	encode := base64.StdEncoding.EncodeToString
	return "<ds:KeyValue>\n\t<RSAKeyValue xmlns=\"http://www.w3.org/2000/09/xmldsig#\">\n\t\t<Modulus>" + wrap(encode(modulus), 76) + "\n</Modulus>\n\t\t<Exponent>" +
		encode(exponent) + "\n</Exponent>\n\t</RSAKeyValue>\n</ds:KeyValue>"
}

func ecValue(curve string, point []byte) string {
	return `<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11="http://www.w3.org/2009/xmldsig11#"><dsig11:NamedCurve URI="` + curve + `"/><dsig11:PublicKey>` +
		base64.StdEncoding.EncodeToString(point) + `</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>`
}

// withKeys returns metadata with keys beside, or in the place of, certificates.
func withKeys(base string, values ...string) string {
	var out strings.Builder
	for _, v := range values {
		out.WriteString(`<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + v + `</ds:KeyInfo></md:KeyDescriptor>`)
	}
	return sub("<md:SingleLogoutService", out.String()+"<md:SingleLogoutService")(base)
}

// A key without a certificate counts, as LemonLDAP::NG publishes it.
func TestKeyValues(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := idp.key.Public().(*ecdsa.PublicKey)
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const p256 = "urn:oid:1.2.840.10045.3.1.7"
	modulus, exponent := key.N.Bytes(), []byte{1, 0, 1}
	good := rsaValue(append([]byte{0}, modulus...), exponent)
	var many []string
	for i := range 11 {
		n := new(big.Int).Add(key.N, big.NewInt(int64(2*i)))
		many = append(many, rsaValue(n.Bytes(), exponent))
	}
	tests := []struct {
		name    string
		values  []string
		keys    []crypto.PublicKey
		problem string
	}{
		{name: "RSA", values: []string{good}, keys: []crypto.PublicKey{&key.PublicKey}},
		{name: "ECDSA", values: []string{ecValue(p256, point)}, keys: []crypto.PublicKey{public}},
		{name: "both, and one twice", values: []string{good, ecValue(p256, point), good}, keys: []crypto.PublicKey{&key.PublicKey, public}},
		{name: "beside a certificate", values: []string{good + `<ds:X509Data><ds:X509Certificate>` + idp.base64() + `</ds:X509Certificate></ds:X509Data>`}},
		{name: "too long", values: []string{rsaValue(longKey(8193).N.Bytes(), exponent)}, problem: "a key is left out: it has 8193 bits"},
		{name: "even modulus", values: []string{rsaValue(append(modulus, 0), exponent)}, problem: "not those of an RSA key"},
		{name: "exponent of one", values: []string{rsaValue(modulus, []byte{1})}, problem: "not those of an RSA key"},
		{name: "long exponent", values: []string{rsaValue(modulus, []byte{1, 0, 0, 0, 1})}, problem: "not those of an RSA key"},
		{name: "no modulus", values: []string{strings.ReplaceAll(good, "Modulus", "M")}, problem: "a key is left out: it has 0 Modulus"},
		{name: "no base64", values: []string{ecValue(p256, point), `<ds:KeyValue><RSAKeyValue><Modulus>!</Modulus><Exponent>AQAB</Exponent></RSAKeyValue></ds:KeyValue>`}, keys: []crypto.PublicKey{public}, problem: "it is not base64"},
		{name: "another curve", values: []string{ecValue("urn:oid:1.3.132.0.33", point)}, problem: "its curve is none of"},
		{name: "no point of the curve", values: []string{ecValue(p256, append(point[:64:64], point[64]^1))}, problem: "it is no point of its curve"},
		{name: "DSA", values: []string{"<ds:KeyValue><ds:DSAKeyValue/></ds:KeyValue>"}, problem: "it is neither RSA nor ECDSA"},
		{name: "too many", values: many, problem: "is left out: there are more than 10"},
	}
	base := document([]string{idp.base64()})
	plain, err := metadata.Parse([]byte(base), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := metadata.Parse([]byte(withKeys(base, tt.values...)), "")
			if err != nil || (tt.problem != "") != (len(got.Problems) == 1) || tt.problem != "" && !strings.Contains(got.Problems[0], tt.problem) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if tt.name != "too many" && !cmp.Equal(got.Keys, tt.keys) || len(got.Keys) > 10 || len(got.Certificates) != 1 {
				t.Errorf("keys %v and %d certificates, want %v", got.Keys, len(got.Certificates), tt.keys)
			}
			if there, gone := plain.Differences(got), got.Differences(plain); len(there) != len(got.Keys) || len(gone) != len(got.Keys) {
				t.Errorf("differences %q, %q", there, gone)
			}
			_, err = metadata.Parse([]byte(withKeys(document(), tt.values...)), "") // without another certificate
			if usable := len(got.Keys) > 0 || tt.name == "beside a certificate"; (err == nil) != usable {
				t.Errorf("alone: %v", err)
			}
		})
	}
}
