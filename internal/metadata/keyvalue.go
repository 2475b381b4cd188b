package metadata

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/xsd"
)

// takeKeyValues takes the keys of a KeyInfo that has no certificate, as LemonLDAP::NG
// publishes them. Beside a certificate they are left out: they have no end.
func (idp *IdentityProvider) takeKeyValues(key *node) {
	values := key.find("KeyInfo", "KeyValue")
	if len(values) == 0 {
		idp.problem("a key for signatures is left out: it has no certificate (X509Certificate) and no value (KeyValue)")
	}
	for _, value := range values {
		public, err := keyValue(value)
		switch {
		case err != nil:
			idp.problem("a key is left out: %v", err)
		case len(idp.Keys) == MaxCertificates:
			idp.problem("the key %s is left out: there are more than %d", fingerprint(public), MaxCertificates)
		case !slices.ContainsFunc(idp.Keys, sameKey(public)):
			idp.Keys = append(idp.Keys, public)
		}
	}
}

// keyValue reads a KeyValue (XML Signature 1.1 section 4.5.2).
func keyValue(value *node) (crypto.PublicKey, error) {
	for _, n := range value.children {
		switch n.name.Local {
		case "RSAKeyValue":
			return rsaKeyValue(n)
		case "ECKeyValue":
			return ecKeyValue(n)
		}
	}
	return nil, errors.New("it is neither RSA nor ECDSA (KeyValue)")
}

func rsaKeyValue(n *node) (crypto.PublicKey, error) {
	modulus, err := n.number("Modulus")
	if err != nil {
		return nil, err
	}
	exponent, err := n.number("Exponent")
	switch {
	case err != nil:
		return nil, err
	case modulus.BitLen() > maxKeyBits:
		return nil, fmt.Errorf("it has %d bits, and at most %d are allowed", modulus.BitLen(), maxKeyBits)
	case modulus.Bit(0) == 0, exponent.Bit(0) == 0, exponent.BitLen() < 2, exponent.BitLen() > 31:
		return nil, errors.New("its numbers are not those of an RSA key")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

var curves = map[string]elliptic.Curve{
	"urn:oid:1.2.840.10045.3.1.7": elliptic.P256(),
	"urn:oid:1.3.132.0.34":        elliptic.P384(),
	"urn:oid:1.3.132.0.35":        elliptic.P521(),
}

func ecKeyValue(n *node) (crypto.PublicKey, error) {
	var curve elliptic.Curve
	for _, named := range n.find("NamedCurve") {
		curve = curves[xsd.Collapse(named.attr("URI"))]
	}
	point, err := n.binary("PublicKey")
	switch {
	case err != nil:
		return nil, err
	case curve == nil:
		return nil, errors.New("its curve is none of P-256, P-384 and P-521 by name")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("it is no point of its curve")
	}
	return key, nil
}

func (n *node) number(local string) (*big.Int, error) {
	b, err := n.binary(local)
	return new(big.Int).SetBytes(b), err
}

// binary returns what a child has as base64.
func (n *node) binary(local string) ([]byte, error) {
	found := n.find(local)
	if len(found) != 1 {
		return nil, fmt.Errorf("it has %d %s", len(found), local)
	}
	return decodeBase64(strings.Join(xsd.Fields(found[0].text.String()), ""))
}

func sameKey(a crypto.PublicKey) func(crypto.PublicKey) bool {
	return func(b crypto.PublicKey) bool {
		equal, ok := a.(interface{ Equal(crypto.PublicKey) bool })
		return ok && equal.Equal(b)
	}
}

// fingerprint names a key for an administrator.
func fingerprint(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "?"
	}
	sum := sha256.Sum256(der)
	return "SHA-256 " + hex.EncodeToString(sum[:8])
}
