package saml

import (
	"slices"
	"strings"

	saml2 "github.com/russellhaering/gosaml2"
	"github.com/russellhaering/gosaml2/types"
	dsig "github.com/russellhaering/goxmldsig"
)

// inspection is what a scan of a response, or of a decrypted assertion, has
// seen. Nothing of it is verified: it may refuse a message, never accept one.
type inspection struct {
	algorithms algorithms
	plaintext  bool // an assertion that was decrypted

	id, destination, inResponseTo string // of the Response
	status                        []string
	assertions, encrypted         int
	responseSigned                bool
	assertionSigned               bool
	dataEncryption                string // the cipher of the EncryptedData
	ids                           map[string]bool
}

// algorithms are those that a response may use.
type algorithms struct{ signature, digest []string }

// allowedAlgorithms are the algorithms of signatures. SHA-1 is weak there, since
// whoever can make the identity provider sign chosen values may find collisions.
func allowedAlgorithms(sha1 bool) algorithms {
	a := algorithms{
		signature: []string{
			dsig.RSASHA256SignatureMethod, dsig.RSASHA384SignatureMethod, dsig.RSASHA512SignatureMethod,
			dsig.ECDSASHA256SignatureMethod, dsig.ECDSASHA384SignatureMethod, dsig.ECDSASHA512SignatureMethod,
		},
		digest: []string{
			"http://www.w3.org/2001/04/xmlenc#sha256",
			"http://www.w3.org/2001/04/xmldsig-more#sha384",
			"http://www.w3.org/2001/04/xmlenc#sha512",
		},
	}
	if sha1 {
		a.signature = append(a.signature, dsig.RSASHA1SignatureMethod, dsig.ECDSASHA1SignatureMethod)
		a.digest = append(a.digest, types.MethodSHA1)
	}
	return a
}

// isKeyTransport leaves out PKCS #1 v1.5, whose errors are an oracle.
func isKeyTransport(algorithm string) bool {
	return algorithm == types.MethodRSAOAEP || algorithm == types.MethodRSAOAEP2
}

// isOAEPDigest knows the digests that gosaml2 has for OAEP. SHA-1 is no
// signature there and is not weak.
func isOAEPDigest(algorithm string) bool {
	switch algorithm {
	case types.MethodSHA1, types.MethodSHA256, types.MethodSHA512:
		return true
	}
	return false
}

// isTransform knows the transforms that leave an assertion as it is (SAML core
// section 5.4.4, and canonicalizations that some identity providers use). One
// that selects parts would sign something else than what is read.
func isTransform(algorithm string) bool {
	switch dsig.AlgorithmID(algorithm) {
	case dsig.EnvelopedSignatureAltorithmId,
		dsig.CanonicalXML10ExclusiveAlgorithmId, dsig.CanonicalXML10ExclusiveWithCommentsAlgorithmId,
		dsig.CanonicalXML10RecAlgorithmId, dsig.CanonicalXML10WithCommentsAlgorithmId,
		dsig.CanonicalXML11AlgorithmId, dsig.CanonicalXML11WithCommentsAlgorithmId:
		return true
	}
	return false
}

// isCipher knows the ciphers for data. Those that are not authenticated need a
// signature around them.
func isCipher(algorithm string) (ok, authenticated bool) {
	switch algorithm {
	case types.MethodAES128GCM, types.MethodAES192GCM, types.MethodAES256GCM:
		return true, true
	case types.MethodAES128CBC, types.MethodAES256CBC:
		return true, false
	}
	return false, false
}

// inspect scans a Response. plaintext instead scans an Assertion that was
// decrypted.
func inspect(data []byte, allowed algorithms, plaintext bool) (*inspection, error) {
	in := &inspection{algorithms: allowed, plaintext: plaintext, ids: map[string]bool{}}
	if err := scan(data, in.visit); err != nil {
		return nil, err
	}
	return in, nil
}

// visit judges one element. Elements are recognized by their local names, so
// that one in a foreign namespace cannot be seen here and missed there.
func (in *inspection) visit(e *element) error {
	if err := in.identify(e); err != nil {
		return err
	}
	if e.depth == 1 {
		return in.root(e)
	}
	switch e.name.Local {
	case saml2.ResponseTag:
		return refuse(CodeShape, "a Response within the root")
	case saml2.AssertionTag, saml2.EncryptedAssertionTag:
		return in.assertion(e)
	case "EncryptedID":
		return refuse(CodeNameID, "%s is not supported: let the whole assertion be encrypted", e.name.Local)
	case "EncryptedAttribute":
		return refuse(CodeShape, "%s is not supported: let the whole assertion be encrypted", e.name.Local)
	case saml2.StatusTag, saml2.StatusCodeTag:
		return in.statusOf(e)
	case "EncryptedData", "EncryptedKey", "EncryptionMethod":
		return in.encryption(e)
	case "Signature":
		return in.signature(e)
	case "SignedInfo", "Reference", "Object", "SignatureMethod", "DigestMethod", "Transform":
		return in.signatureChild(e)
	}
	return nil
}

// identify makes sure that an ID names one element.
func (in *inspection) identify(e *element) error {
	id := e.attr("ID")
	if id == "" {
		return nil
	}
	if in.ids[id] {
		return refuse(CodeShape, "the ID %q is there twice", id)
	}
	in.ids[id] = true
	return nil
}

func (in *inspection) root(e *element) error {
	if in.plaintext {
		return nil // whatever is read from it must be an Assertion
	}
	if e.name.Local != saml2.ResponseTag || e.name.Space != saml2.SAMLProtocolNamespace {
		return refuse(CodeDocument, "the root is %q", e.name.Local)
	}
	in.id, in.destination, in.inResponseTo = e.attr("ID"), e.attr("Destination"), e.attr("InResponseTo")
	return nil
}

func (in *inspection) assertion(e *element) error {
	if in.plaintext || e.depth != 2 || e.name.Space != saml2.SAMLAssertionNamespace {
		return refuse(CodeShape, "%s in an unexpected place", e.name.Local)
	}
	if e.name.Local == saml2.AssertionTag {
		in.assertions++
	} else {
		in.encrypted++
	}
	return nil
}

func (in *inspection) statusOf(e *element) error {
	if e.name.Local == saml2.StatusTag {
		if e.depth == 2 && e.parent.children[saml2.StatusTag] > 1 {
			return refuse(CodeShape, "more than one Status")
		}
		return nil
	}
	in.status = append(in.status, e.attr("Value"))
	if e.parent.children[saml2.StatusCodeTag] > 1 {
		return refuse(CodeShape, "more than one StatusCode")
	}
	return nil
}

// encryption judges an EncryptedData, an EncryptedKey or the method of one.
func (in *inspection) encryption(e *element) error {
	local := e.name.Local
	if in.encrypted == 0 || e.parent.children[local] > 1 {
		return refuse(CodeShape, "%s in an unexpected place", local)
	}
	if local != "EncryptionMethod" {
		return nil
	}
	algorithm := e.attr("Algorithm")
	switch {
	case e.parentIs("EncryptedKey"):
		if !isKeyTransport(algorithm) {
			return refuse(CodeAlgorithm, "key transport %q: only RSA-OAEP is accepted", algorithm)
		}
	case e.parentIs("EncryptedData"):
		if ok, _ := isCipher(algorithm); !ok {
			return refuse(CodeAlgorithm, "cipher %q", algorithm)
		}
		in.dataEncryption = algorithm
	default:
		return refuse(CodeShape, "EncryptionMethod in an unexpected place")
	}
	return nil
}

// signature accepts one Signature per Response and Assertion, as their child.
func (in *inspection) signature(e *element) error {
	switch {
	case e.name.Space != dsig.Namespace, e.parent.children["Signature"] > 1:
	case e.depth == 2 && !in.plaintext:
		in.responseSigned = true
		return nil
	case e.parentIs(saml2.AssertionTag):
		in.assertionSigned = true
		return nil
	}
	return refuse(CodeShape, "Signature in an unexpected place")
}

// signatureChild judges what a Signature consists of. SAML core section 5.4
// wants one reference to the parent of the signature, and nothing enveloped.
func (in *inspection) signatureChild(e *element) error {
	algorithm := e.attr("Algorithm")
	switch e.name.Local {
	case "SignedInfo", "Object":
		if e.name.Local == "Object" || !e.parentIs("Signature") || e.parent.children["SignedInfo"] > 1 {
			return refuse(CodeShape, "%s in an unexpected place", e.name.Local)
		}
	case "Reference":
		if !e.parentIs("SignedInfo") {
			return nil
		}
		uri, ok := strings.CutPrefix(e.attr("URI"), "#")
		signed := e.parent.parent.parent
		if !ok || uri == "" || uri != signed.attr("ID") || e.parent.children["Reference"] > 1 {
			return refuse(CodeShape, "a signature must have one reference, to its parent")
		}
	case "SignatureMethod":
		if !slices.Contains(in.algorithms.signature, algorithm) {
			return refuse(CodeAlgorithm, "signature method %q", algorithm)
		}
	case "Transform":
		if !isTransform(algorithm) {
			return refuse(CodeAlgorithm, "transform %q", algorithm)
		}
	case "DigestMethod":
		ok := slices.Contains(in.algorithms.digest, algorithm)
		if e.parentIs("EncryptionMethod") {
			ok = isOAEPDigest(algorithm)
		}
		if !ok {
			return refuse(CodeAlgorithm, "digest method %q", algorithm)
		}
	}
	return nil
}

// check judges the message as a whole.
func (in *inspection) check(canDecrypt bool) error {
	if len(in.status) == 0 || in.status[0] != saml2.StatusCodeSuccess {
		return refuse(CodeStatus, "%q", in.status)
	}
	switch {
	case in.assertions+in.encrypted != 1:
		return refuse(CodeAssertions, "%d, and %d encrypted ones", in.assertions, in.encrypted)
	case in.encrypted == 0:
		if !in.responseSigned && !in.assertionSigned {
			return refuse(CodeSignature, "neither the response nor the assertion is signed")
		}
		return nil
	case !canDecrypt:
		return refuse(CodeDecryption, "the assertion is encrypted, and this service provider has no key")
	case in.dataEncryption == "":
		return refuse(CodeDecryption, "no EncryptionMethod")
	}
	if _, authenticated := isCipher(in.dataEncryption); !authenticated && !in.responseSigned {
		// Whoever can change the ciphertext learns the plaintext from the time
		// that the refusals take.
		return refuse(CodeAlgorithm, "cipher %q without a signed response: let the identity provider sign the response too, or encrypt with AES-GCM", in.dataEncryption)
	}
	return nil
}
