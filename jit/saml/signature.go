package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // crypto.SHA1, which some connections allow
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// verifier checks the signatures of an identity provider (XML Signature). The
// keys are those of its metadata: what a KeyInfo says is a hint that nobody
// needs, and never trusted. goxmldsig, which insists on a certificate there,
// reads no prefixes of a CanonicalizationMethod and no ECDSA signature as XML
// has them, signs requests only.
type verifier struct {
	keys       []crypto.PublicKey
	algorithms algorithms
}

// verifier returns the keys that are valid now.
func (sp *ServiceProvider) verifier(now time.Time) (*verifier, error) {
	v := &verifier{algorithms: sp.algorithms, keys: slices.Clone(sp.idp.Keys)}
	for _, cert := range sp.idp.Certificates {
		if !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) {
			v.keys = append(v.keys, cert.PublicKey)
		}
	}
	if len(v.keys) == 0 {
		return nil, refuse(CodeCertificate, "no certificate of the identity provider is valid now")
	}
	return v, nil
}

// verify returns what the Signature within el has signed: el in canonical form,
// without the Signature and without comments. Nothing else may be read. el is
// where it was in its document, as the canonical form may depend on what is
// around it.
//
// The signature must have the form of SAML core section 5.4: one reference to
// el, an enveloped signature transform, and at most one canonicalization.
func (v *verifier) verify(el *etree.Element) ([]byte, error) {
	signature, err := only(el, dsig.Namespace, dsig.SignatureTag)
	if err != nil {
		return nil, err
	}
	parts, err := sequence(signature, dsig.SignedInfoTag, dsig.SignatureValueTag, dsig.KeyInfoTag+"?")
	if err != nil {
		return nil, err
	}
	info, err := canonicalInfo(parts[0])
	if err != nil {
		return nil, err
	}
	signed, err := v.signedInfo(info)
	if err != nil {
		return nil, err
	}
	value, err := binary(parts[1])
	if err != nil {
		return nil, &Error{Code: CodeSignature, Reason: "SignatureValue", Err: err}
	}
	if err := v.checkValue(signed.method, info, value); err != nil {
		return nil, err
	}
	// From here on signed is what the identity provider has signed.
	if id := attribute(el, "ID"); id == "" || signed.uri != "#"+id {
		return nil, refuse(CodeShape, "the signature is of %q instead of its parent", signed.uri)
	}
	out, err := signed.canonicalization.canonicalize(el, signature)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sum(signed.hash, out), signed.digest) {
		return nil, refuse(CodeSignature, "%s was changed after it was signed", el.Tag)
	}
	return out, nil
}

// canonicalInfo returns SignedInfo as it was signed.
func canonicalInfo(info *etree.Element) ([]byte, error) {
	parts, err := sequence(info, dsig.CanonicalizationMethodTag, dsig.SignatureMethodTag, dsig.ReferenceTag)
	if err != nil {
		return nil, err
	}
	method, err := canonicalizationOf(parts[0])
	if err != nil {
		return nil, err
	}
	return method.canonicalize(info, nil)
}

// signedInfo is what a SignedInfo with one reference says.
type signedInfo struct {
	method           signatureMethod
	uri              string
	canonicalization canonicalization
	hash             crypto.Hash
	digest           []byte
}

// signedInfo reads a SignedInfo in canonical form, so that nothing counts that
// was not signed.
func (v *verifier) signedInfo(canonical []byte) (s signedInfo, err error) {
	info, err := parse(canonical)
	if err != nil {
		return s, err
	}
	parts, err := sequence(info, dsig.CanonicalizationMethodTag, dsig.SignatureMethodTag, dsig.ReferenceTag)
	if err != nil {
		return s, err
	}
	if s.method, err = v.algorithms.signatureMethod(attribute(parts[1], dsig.AlgorithmAttr)); err != nil {
		return s, err
	}
	s.uri = attribute(parts[2], dsig.URIAttr)
	parts, err = sequence(parts[2], dsig.TransformsTag, dsig.DigestMethodTag, dsig.DigestValueTag)
	if err != nil {
		return s, err
	}
	if s.canonicalization, err = transforms(parts[0]); err != nil {
		return s, err
	}
	if s.hash, err = v.algorithms.digestMethod(attribute(parts[1], dsig.AlgorithmAttr)); err != nil {
		return s, err
	}
	if s.digest, err = binary(parts[2]); err != nil {
		return s, &Error{Code: CodeSignature, Reason: dsig.DigestValueTag, Err: err}
	}
	return s, nil
}

// checkValue tries the keys, one after the other.
func (v *verifier) checkValue(method signatureMethod, signed, value []byte) error {
	digest := sum(method.hash, signed)
	var failures []error
	for _, key := range v.keys {
		err := method.verify(key, method.hash, digest, value)
		if err == nil {
			return nil
		}
		failures = append(failures, err)
	}
	return &Error{Code: CodeSignature, Err: errors.Join(failures...)}
}

// transforms reads Transforms: the enveloped signature, and a canonicalization
// after it. Without one, Canonical XML 1.0 is meant (XML Signature section
// 4.4.3.2). A reference by "#id" is to an element without its comments (section
// 4.4.3.3), so that no canonicalization has any to keep.
func transforms(el *etree.Element) (canonicalization, error) {
	list, method := children(el, dsig.Namespace, dsig.TransformTag), canonicalization{}
	if len(list) == 0 || len(list) > 2 || len(list) != len(el.ChildElements()) ||
		attribute(list[0], dsig.AlgorithmAttr) != string(dsig.EnvelopedSignatureAltorithmId) {
		return method, refuse(CodeShape, "a signature must have the enveloped signature transform, and one canonicalization at most")
	}
	if len(list) == 2 {
		var err error
		if method, err = canonicalizationOf(list[1]); err != nil {
			return method, err
		}
	}
	method.comments = false
	return method, nil
}

const excC14NNamespace = "http://www.w3.org/2001/10/xml-exc-c14n#"

// canonicalizationOf reads a CanonicalizationMethod or a Transform.
func canonicalizationOf(el *etree.Element) (canonicalization, error) {
	algorithm := attribute(el, dsig.AlgorithmAttr)
	method, ok := canonicalizations[dsig.AlgorithmID(algorithm)]
	if !ok {
		return method, refuse(CodeAlgorithm, "canonicalization %q", algorithm)
	}
	if !method.exclusive {
		return method, nil
	}
	lists := children(el, excC14NNamespace, dsig.InclusiveNamespacesTag)
	if len(lists) != len(el.ChildElements()) || len(lists) > 1 {
		return method, refuse(CodeShape, "unexpected elements in %s", el.Tag)
	}
	for _, list := range lists {
		for _, prefix := range strings.Fields(attribute(list, dsig.PrefixListAttr)) {
			if prefix == "#default" {
				prefix = ""
			}
			method.prefixes = append(method.prefixes, prefix)
		}
	}
	slices.Sort(method.prefixes)
	if method.prefixes = slices.Compact(method.prefixes); len(method.prefixes) > maxScope {
		return method, refuse(CodeShape, "%d prefixes in a list", len(method.prefixes))
	}
	return method, nil
}

// sequence returns the child elements of el, which must be these of XML
// Signature, in this order. One with a question mark may be missing.
func sequence(el *etree.Element, names ...string) ([]*etree.Element, error) {
	found := el.ChildElements()
	var out []*etree.Element
	for _, name := range names {
		local, optional := strings.CutSuffix(name, "?")
		switch {
		case len(found) > 0 && named(found[0], dsig.Namespace, local):
			out, found = append(out, found[0]), found[1:]
		case optional:
			out = append(out, nil)
		default:
			return nil, refuse(CodeSignature, "no %s in its place in %s", local, el.Tag)
		}
	}
	if len(found) > 0 {
		return nil, refuse(CodeSignature, "unexpected %s in %s", found[0].Tag, el.Tag)
	}
	return out, nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// signatureMethod is how a digest is signed.
type signatureMethod struct {
	hash   crypto.Hash
	verify func(key any, hash crypto.Hash, digest, value []byte) error
}

var signatureMethods = map[string]signatureMethod{
	dsig.RSASHA1SignatureMethod:     {crypto.SHA1, verifyRSA},
	dsig.RSASHA256SignatureMethod:   {crypto.SHA256, verifyRSA},
	dsig.RSASHA384SignatureMethod:   {crypto.SHA384, verifyRSA},
	dsig.RSASHA512SignatureMethod:   {crypto.SHA512, verifyRSA},
	dsig.ECDSASHA1SignatureMethod:   {crypto.SHA1, verifyECDSA},
	dsig.ECDSASHA256SignatureMethod: {crypto.SHA256, verifyECDSA},
	dsig.ECDSASHA384SignatureMethod: {crypto.SHA384, verifyECDSA},
	dsig.ECDSASHA512SignatureMethod: {crypto.SHA512, verifyECDSA},
	// RFC 9231 section 2.3.10. Those with parameters (rsa-pss) are not known.
	"http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1": {crypto.SHA256, verifyPSS},
	"http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1": {crypto.SHA384, verifyPSS},
	"http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1": {crypto.SHA512, verifyPSS},
}

// digestMethods are those of references, with the signature methods above.
var digestMethods = map[string]crypto.Hash{
	digestSHA1:   crypto.SHA1,
	digestSHA256: crypto.SHA256,
	digestSHA384: crypto.SHA384,
	digestSHA512: crypto.SHA512,
}

const (
	digestSHA1   = "http://www.w3.org/2000/09/xmldsig#sha1"
	digestSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
	digestSHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	digestSHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// algorithms are those that signatures may use. SHA-1 is weak there, since
// whoever can make the identity provider sign chosen values may find collisions.
type algorithms struct{ sha1 bool }

func (a algorithms) signatureMethod(algorithm string) (signatureMethod, error) {
	method, ok := signatureMethods[algorithm]
	if !ok || method.hash == crypto.SHA1 && !a.sha1 {
		return method, refuse(CodeAlgorithm, "signature method %q", algorithm)
	}
	return method, nil
}

func (a algorithms) digestMethod(algorithm string) (crypto.Hash, error) {
	hash, ok := digestMethods[algorithm]
	if !ok || hash == crypto.SHA1 && !a.sha1 {
		return hash, refuse(CodeAlgorithm, "digest method %q", algorithm)
	}
	return hash, nil
}

var (
	errKeyKind = errors.New("the key is of another kind than the signature")
	errECDSA   = errors.New("ECDSA verification error")
)

func verifyRSA(key any, hash crypto.Hash, digest, value []byte) error {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return errKeyKind
	}
	return rsa.VerifyPKCS1v15(public, hash, digest, value)
}

func verifyPSS(key any, hash crypto.Hash, digest, value []byte) error {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return errKeyKind
	}
	return rsa.VerifyPSS(public, hash, digest, value, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}

// verifyECDSA takes a signature as XML has it, r and s side by side, each as
// long as the order of the curve (RFC 9231 section 2.3.6), and one in ASN.1, as
// some identity providers write it.
func verifyECDSA(key any, _ crypto.Hash, digest, value []byte) error {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return errKeyKind
	}
	if n := (public.Params().N.BitLen() + 7) / 8; len(value) == 2*n {
		r, s := new(big.Int).SetBytes(value[:n]), new(big.Int).SetBytes(value[n:])
		if ecdsa.Verify(public, digest, r, s) {
			return nil
		}
	}
	if ecdsa.VerifyASN1(public, digest, value) {
		return nil
	}
	return errECDSA
}
