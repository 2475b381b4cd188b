package saml

import (
	"strings"

	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/xsd"
)

// What costs more than an acceptable message is not worth parsing. The most that
// counts is a group in an Attribute of its own, for each group that an identity
// may have. Per element, a message has hardly four attributes; in scope, it has a
// dozen prefixes.
const (
	maxElements      = 2*provision.MaxIdentityGroups + 500
	maxAllAttributes = 8 * maxElements // with declarations of namespaces
	maxScope         = 64              // prefixes that are declared for one element
)

// inspection is what a scan of a response, or of a decrypted assertion, has
// seen. Nothing of it is verified: it may refuse a message, never accept one.
type inspection struct {
	algorithms algorithms
	plaintext  string // the name of what was decrypted; empty for a Response

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

// isTransform knows the transforms that leave an assertion as it is (SAML core
// section 5.4.4, and canonicalizations that some identity providers use). One
// that selects parts would sign something else than what is read.
func isTransform(algorithm string) bool {
	id := dsig.AlgorithmID(algorithm)
	_, ok := canonicalizations[id]
	return ok || id == dsig.EnvelopedSignatureAltorithmId
}

// inspect scans a Response. With a name it scans what was decrypted instead: an
// element of that name, where the namespaces around are in scope.
func inspect(data []byte, allowed algorithms, plaintext string, around namespaces) (*inspection, error) {
	in := &inspection{algorithms: allowed, plaintext: plaintext, ids: map[string]bool{}}
	if err := scan(data, around, in.visit); err != nil {
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
		if !e.parentIs(saml2.SubjectTag) || !e.parent.parentIs(saml2.AssertionTag) || e.parent.children["EncryptedID"] > 1 {
			return refuse(CodeNameID, "EncryptedID in an unexpected place")
		}
	case "EncryptedAttribute":
		if !e.parentIs(saml2.AttributeStatementTag) || !e.parent.parentIs(saml2.AssertionTag) {
			return refuse(CodeShape, "EncryptedAttribute in an unexpected place")
		}
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

// measure refuses what costs more than an acceptable message.
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
	if in.plaintext != "" {
		if e.name.Local != in.plaintext || e.name.Space != saml2.SAMLAssertionNamespace {
			return refuse(CodeAssertions, "the plaintext is %q instead of %s", e.name.Local, in.plaintext)
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
	if in.plaintext != "" || e.depth != 2 || e.name.Space != saml2.SAMLAssertionNamespace {
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
	in.status = append(in.status, xsd.Collapse(e.attr("Value")))
	if e.parent.children[saml2.StatusCodeTag] > 1 {
		return refuse(CodeShape, "more than one StatusCode")
	}
	return nil
}

// encryption judges an EncryptedData, an EncryptedKey or the method of one. Each
// is accepted only where it is read: what is judged elsewhere could hide what is
// used. Which key is used, and how it is encrypted, is judged when it is.
func (in *inspection) encryption(e *element) error {
	local, parent := e.name.Local, e.parent
	if local != "EncryptedKey" && parent.children[local] > 1 {
		return refuse(CodeShape, "%s is there twice", local)
	}
	switch {
	case e.name.Space != xencNamespace:
	case local == "EncryptedData" && e.inEncrypted(),
		local == "EncryptedKey" && e.inEncrypted(),
		local == "EncryptedKey" && e.parentIs("KeyInfo") && parent.parentIs("EncryptedData"),
		local == "EncryptionMethod" && e.parentIs("EncryptedKey"):
		return nil
	case local == "EncryptionMethod" && e.parentIs("EncryptedData"):
		algorithm := e.attr("Algorithm")
		if _, ok := ciphers[algorithm]; !ok {
			return refuse(CodeAlgorithm, "cipher %q", algorithm)
		}
		if parent.parentIs(saml2.EncryptedAssertionTag) {
			in.dataEncryption = algorithm
		}
		return nil
	}
	return refuse(CodeShape, "%s in an unexpected place", local)
}

// inEncrypted reports whether e is a child of what SAML encrypts.
func (e *element) inEncrypted() bool {
	return e.parentIs(saml2.EncryptedAssertionTag) || e.parentIs("EncryptedID") || e.parentIs("EncryptedAttribute")
}

// signature accepts one Signature per Response and Assertion, as their child.
func (in *inspection) signature(e *element) error {
	switch {
	case e.name.Space != dsig.Namespace, e.parent.children["Signature"] > 1:
	case e.depth == 2 && in.plaintext == "":
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
		_, err := in.algorithms.signatureMethod(algorithm)
		return err
	case "Transform":
		if !isTransform(algorithm) {
			return refuse(CodeAlgorithm, "transform %q", algorithm)
		}
	case "DigestMethod":
		if e.parentIs("EncryptionMethod") {
			return nil // judged with the key
		}
		_, err := in.algorithms.digestMethod(algorithm)
		return err
	}
	return nil
}

// check judges the message as a whole.
func (in *inspection) check(sp *ServiceProvider) error {
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
	case len(sp.keys) == 0:
		return refuse(CodeDecryption, "the assertion is encrypted, and this service provider has no key")
	case in.dataEncryption == "":
		return refuse(CodeDecryption, "no EncryptionMethod")
	}
	if !ciphers[in.dataEncryption].authenticated && !in.responseSigned && !sp.allowCBC {
		// Whoever can change the ciphertext learns the plaintext from the time
		// that the refusals take.
		return refuse(CodeAlgorithm, "cipher %q without a signed response: let the identity provider sign the response too, or encrypt with AES-GCM; "+
			"insecureAllowCBC accepts it as it is", in.dataEncryption)
	}
	return nil
}
