package saml

import (
	"slices"
	"strings"

	saml2 "github.com/russellhaering/gosaml2"
	"github.com/russellhaering/gosaml2/types"
	dsig "github.com/russellhaering/goxmldsig"
)

// The signature library gives up after 1,000 steps of a traversal, in which each
// element of an acceptable message is at least one; only those of the signature
// of a response, some twenty, are taken out before. What has more is not worth
// parsing. Per element, an acceptable message has hardly four attributes; in
// scope, it has a dozen prefixes, and the library copies them for each element.
const (
	traversalSteps   = 1000
	maxElements      = traversalSteps + 100
	maxAllAttributes = 8 * maxElements // with declarations of namespaces
	maxScope         = 64              // prefixes that are declared for one element
)

// inspection is what a scan of a response, or of a decrypted assertion, has
// seen. Nothing of it is verified: it may refuse a message, never accept one.
type inspection struct {
	algorithms algorithms
	plaintext  bool // an assertion that was decrypted

	elements, attributes int

	destination, inResponseTo string // of the Response
	answers                   bool   // something in it claims to answer a request
	status                    []string
	assertions, encrypted     int
	responseSigned            bool
	assertionSigned           bool
	dataEncryption            string // the cipher of the EncryptedData
	ids                       map[string]bool
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

// isOAEPDigest knows SHA-1, which is no signature there and is not weak. gosaml2
// has others, but not by the names that they have.
func isOAEPDigest(algorithm string) bool { return algorithm == types.MethodSHA1 }

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
	if err := in.measure(e); err != nil {
		return err
	}
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
	case saml2.SubjectConfirmationDataTag:
		in.answers = in.answers || e.attr("InResponseTo") != ""
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

// measure refuses what costs more than the library could accept.
func (in *inspection) measure(e *element) error {
	in.elements++
	in.attributes += len(e.attrs) + len(e.prefixes)
	switch {
	case in.elements > maxElements, in.attributes > maxAllAttributes:
		return &Error{Code: CodeAssertionTooLarge, Err: ErrAssertionTooLarge}
	case e.scope > maxScope:
		return refuse(CodeDocument, "more than %d namespaces are declared for %q", maxScope, e.name.Local)
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
		if e.name.Local != saml2.AssertionTag || e.name.Space != saml2.SAMLAssertionNamespace {
			return refuse(CodeAssertions, "the plaintext is %q", e.name.Local)
		}
		return nil
	}
	if e.name.Local != saml2.ResponseTag || e.name.Space != saml2.SAMLProtocolNamespace {
		return refuse(CodeDocument, "the root is %q", e.name.Local)
	}
	in.destination, in.inResponseTo = e.attr("Destination"), e.attr("InResponseTo")
	in.answers = in.inResponseTo != ""
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

// encryption judges an EncryptedData, an EncryptedKey or the method of one. Each
// is accepted only where gosaml2 reads it, once: what is judged elsewhere could
// hide what is used.
func (in *inspection) encryption(e *element) error {
	local, parent := e.name.Local, e.parent
	if parent.children[local] > 1 {
		return refuse(CodeShape, "%s is there twice", local)
	}
	algorithm := e.attr("Algorithm")
	switch {
	case local == "EncryptedData" && e.parentIs(saml2.EncryptedAssertionTag),
		local == "EncryptedKey" && e.parentIs(saml2.EncryptedAssertionTag),
		local == "EncryptedKey" && e.parentIs("KeyInfo") && parent.parentIs("EncryptedData"):
	case local == "EncryptionMethod" && e.parentIs("EncryptedKey"):
		if !isKeyTransport(algorithm) {
			return refuse(CodeAlgorithm, "key transport %q: only RSA-OAEP is accepted", algorithm)
		}
	case local == "EncryptionMethod" && e.parentIs("EncryptedData"):
		if ok, _ := isCipher(algorithm); !ok {
			return refuse(CodeAlgorithm, "cipher %q", algorithm)
		}
		in.dataEncryption = algorithm
	default:
		return refuse(CodeShape, "%s in an unexpected place", local)
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
