package metadata

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/scimjit/provision/internal/xsd"
)

// takeCertificates takes the certificates that may sign, and keys without one.
func (idp *IdentityProvider) takeCertificates(role *node) error {
	for _, key := range role.children {
		if !key.is("KeyDescriptor") {
			continue
		}
		switch use := xsd.Collapse(key.attr("use")); use {
		case "", "signing":
		case "encryption":
			continue
		default:
			idp.problem("a KeyDescriptor is left out: its use %q is neither signing nor encryption", shorten(use))
			continue
		}
		if len(key.find("KeyInfo", "X509Data", "X509Certificate")) == 0 {
			idp.takeKeyValues(key)
			continue
		}
		for _, d := range key.find("KeyInfo", "X509Data") {
			for _, cert := range signers(idp.certificates(d)) {
				idp.add(cert)
			}
		}
	}
	if len(idp.Certificates)+len(idp.Keys) == 0 {
		return idp.unusable("no certificate with an RSA or ECDSA key for signatures")
	}
	idp.limit()
	return nil
}

// maxKeyBits bounds the time of one verification, which grows with the square of the
// length: a key of a million bits, which a document has room for, takes a minute.
const maxKeyBits = 8192

// maxPerKey bounds how many certificates are compared with each other.
const maxPerKey = 20

// certificates returns those of an X509Data, of which there are few.
func (idp *IdentityProvider) certificates(data *node) []*x509.Certificate {
	var out []*x509.Certificate
	found := data.find("X509Certificate")
	if len(found) > maxPerKey {
		idp.problem("of %d certificates of one key the first %d are read", len(found), maxPerKey)
		found = found[:maxPerKey]
	}
	for _, n := range found {
		list, err := parseCertificates(n.text.String())
		if err != nil {
			idp.problem("a certificate is left out: %v", err)
		}
		out = append(out, list...)
	}
	return out[:min(len(out), maxPerKey)]
}

func (idp *IdentityProvider) add(cert *x509.Certificate) {
	if slices.ContainsFunc(idp.Certificates, cert.Equal) {
		return
	}
	switch cert.PublicKey.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		idp.Certificates = append(idp.Certificates, cert)
	default:
		idp.problem("the certificate with serial %x is left out: its key is neither RSA nor ECDSA", cert.SerialNumber)
	}
}

// limit keeps the certificates that are valid for the longest, as each may be
// tried at each login.
func (idp *IdentityProvider) limit() {
	if len(idp.Certificates) <= MaxCertificates {
		return
	}
	idp.problem("of %d certificates only the %d that are valid for the longest are used", len(idp.Certificates), MaxCertificates)
	byEnd := slices.Clone(idp.Certificates)
	slices.SortStableFunc(byEnd, func(a, b *x509.Certificate) int { return b.NotAfter.Compare(a.NotAfter) })
	kept := byEnd[:MaxCertificates]
	idp.Certificates = slices.DeleteFunc(idp.Certificates, func(c *x509.Certificate) bool { return !slices.ContainsFunc(kept, c.Equal) })
}

// signers leaves out of the certificates of one key those of who issued it: they
// do not sign messages, and whoever holds them could. What is left are several
// where an identity provider lists its next certificate beside its present one.
func signers(certs []*x509.Certificate) []*x509.Certificate {
	leaf := slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return !c.IsCA })
	return slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool {
		return leaf && c.IsCA || slices.ContainsFunc(certs, func(other *x509.Certificate) bool { return issued(c, other) })
	})
}

// issued reports whether the holder of one certificate has issued another one. An
// algorithm that is no longer trusted proves nothing, so that the name decides.
func issued(by, cert *x509.Certificate) bool {
	if by.Equal(cert) || !bytes.Equal(cert.RawIssuer, by.RawSubject) {
		return false
	}
	err := by.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	var insecure x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// armor is what a PEM file has around each certificate.
var armor = regexp.MustCompile(`-----\s*(?:BEGIN|END) [A-Z0-9 ]*CERTIFICATE\s*-----`)

// parseCertificates reads an X509Certificate, which is base64 of DER, and what
// people put there: PEM with its armor, or base64 of that. The certificates
// before one that is wrong are returned with the error.
func parseCertificates(text string) ([]*x509.Certificate, error) {
	return parseArmored(text, true)
}

// parseArmored reads certificates, and where nested is set base64 of PEM too.
func parseArmored(text string, nested bool) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, part := range armor.Split(text, -1) {
		part = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, part)
		if part == "" {
			continue
		}
		der, err := decodeBase64(part)
		if err != nil {
			return out, err
		}
		if nested && armor.Match(der) {
			inner, err := parseArmored(string(der), false)
			if err != nil {
				return out, err
			}
			out = append(out, inner...)
			continue
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return out, fmt.Errorf("it cannot be read (%s)", strings.TrimPrefix(err.Error(), "x509: "))
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
			return out, fmt.Errorf("its key has %d bits, and at most %d are allowed", key.N.BitLen(), maxKeyBits)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("it is empty")
	}
	return out, nil
}

// decodeBase64 also reads what has lost its padding.
func decodeBase64(s string) ([]byte, error) {
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fmt.Errorf("it is not base64 (at byte %d)", base64Error(err))
	}
	return der, nil
}

func base64Error(err error) int64 {
	var at base64.CorruptInputError
	errors.As(err, &at)
	return int64(at)
}
