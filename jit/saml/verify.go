package saml

import (
	"encoding/xml"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"

	"github.com/scimjit/provision/internal/xsd"
	"github.com/scimjit/provision/jit"
)

// Verified is what a response said that has passed every rule but one: that it
// is used for the first time. Whoever logs somebody in with it must remember ID
// until Until, on all replicas, and refuse it there.
type Verified struct {
	Assertion jit.Assertion
	ID        string    // of the assertion; unique for its issuer
	Until     time.Time // when it is refused for its age

	// AuthnInstant is when the person authenticated at the identity provider; zero
	// where the assertion does not say.
	AuthnInstant time.Time
}

// Verify checks a response as it came by the HTTP-POST binding, after base64.
// requestID is the ID of the request that this browser was sent away with, or
// empty where there was none, which only a connection that allows logins
// initiated by the identity provider accepts.
//
// The error is an [*Error]. One that wraps [ErrAssertionTooLarge] can be mended
// by the administrator of the identity provider.
func (sp *ServiceProvider) Verify(response []byte, requestID string, now time.Time) (v *Verified, err error) {
	// Libraries have panicked on input before.
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, &Error{Code: CodeInternal, Reason: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if len(response) > maxBody {
		return nil, refuse(CodeTooLarge, "more than %d bytes", maxBody)
	}
	response = normalize(response)
	seen, err := inspect(response, sp.algorithms, "", nil)
	if err != nil {
		return nil, err
	}
	if requestID == "" {
		if err := sp.checkUnasked(seen); err != nil {
			return nil, err
		}
	}
	if err := seen.check(sp); err != nil {
		return nil, err
	}
	signed, err := sp.signedAssertion(response, seen, now)
	if err != nil {
		return nil, err
	}
	c := &claim{sp: sp, seen: seen, requestID: requestID, now: now}
	if err := xml.Unmarshal(signed, &c.assertion); err != nil {
		return nil, &Error{Code: CodeShape, Err: err}
	}
	return c.verified()
}

// checkUnasked judges a response for which this browser has no request. What it
// claims is not verified, so that it may only refuse; what an encrypted assertion
// claims is judged later.
func (sp *ServiceProvider) checkUnasked(seen *inspection) error {
	switch {
	case seen.answers:
		return errNoRequest()
	case !sp.unsolicited:
		return refuse(CodeUnsolicited, "nobody asked for it, and logins that the identity provider begins are not allowed")
	}
	return nil
}

func errNoRequest() error {
	return refuse(CodeNoRequest, "it answers a request that is not open in this browser: begun more than %v ago or elsewhere, used up, or cookies are off", pendingFor)
}

// signedAssertion returns the one assertion of a response as it was signed, by
// itself or with the response.
func (sp *ServiceProvider) signedAssertion(response []byte, seen *inspection, now time.Time) ([]byte, error) {
	root, err := parse(response)
	if err != nil {
		return nil, err
	}
	signer, err := sp.verifier(now)
	if err != nil {
		return nil, err
	}
	envelope := root // or what is signed of it
	if seen.responseSigned {
		signed, err := signer.verify(root)
		if err != nil {
			return nil, err
		}
		if envelope, err = parse(signed); err != nil {
			return nil, err
		}
	}
	out, err := sp.assertionIn(root, envelope, seen, signer)
	if err != nil {
		return nil, err
	}
	if err := sp.checkEnvelope(envelope, seen); err != nil {
		return nil, err
	}
	return sp.unseal(out)
}

// assertionIn returns the assertion in canonical form. A signature of its own is
// checked in the document, as it may depend on what is around it; otherwise only
// the envelope is signed.
func (sp *ServiceProvider) assertionIn(root, envelope *etree.Element, seen *inspection, signer *verifier) ([]byte, error) {
	el, err := onlyAssertion(root)
	if err != nil {
		return nil, err
	}
	own := seen.assertionSigned
	if seen.encrypted > 0 {
		// Whatever of the document is signed has been compared by now, but for
		// the declarations of namespaces that only the plaintext uses.
		inside, err := sp.decryptInPlace(el, saml2.AssertionTag)
		if err != nil {
			return nil, err
		}
		el, own = inside.el, inside.assertionSigned
	}
	switch {
	case own:
		return signer.verify(el)
	case !seen.responseSigned:
		return nil, refuse(CodeSignature, "the assertion is not signed")
	case seen.encrypted == 0:
		if el, err = onlyAssertion(envelope); err != nil {
			return nil, err
		}
	}
	return standalone(el)
}

// decrypted is an element that has taken the place of an EncryptedData.
type decrypted struct {
	*inspection
	el *etree.Element
}

// decryptInPlace puts what is encrypted in the place of its EncryptedData, whose
// surroundings it is part of (XML Encryption section 4.4), where namespaces may
// be declared. It must obey the same rules as the response, which could not be
// seen before.
func (sp *ServiceProvider) decryptInPlace(el *etree.Element, name string) (decrypted, error) {
	text, data, err := sp.decrypt(el)
	if err != nil {
		return decrypted{}, err
	}
	text = normalize(text)
	inside, err := inspect(text, sp.algorithms, name, scopeOf(el))
	if err != nil {
		return decrypted{}, err
	}
	plain, err := parse(text)
	if err != nil {
		return decrypted{}, err
	}
	el.InsertChildAt(data.Index(), plain)
	el.RemoveChild(data)
	return decrypted{inspection: inside, el: plain}, nil
}

// sealed are the parts of an assertion that may be encrypted by themselves (SAML
// core sections 2.4.1 and 2.7.3), with what is in them.
var sealed = []struct{ parent, local, plain string }{
	{saml2.SubjectTag, "EncryptedID", saml2.NameIdTag},
	{saml2.AttributeStatementTag, "EncryptedAttribute", "Attribute"},
}

// unseal returns a signed assertion with what its parts hold in their place.
// Whoever signed the assertion has signed their ciphertext.
func (sp *ServiceProvider) unseal(assertion []byte) ([]byte, error) {
	root, err := parse(assertion)
	if err != nil {
		return nil, err
	}
	found := false
	for _, part := range sealed {
		for _, parent := range children(root, saml2.SAMLAssertionNamespace, part.parent) {
			opened, err := sp.unsealIn(parent, part.local, part.plain)
			if err != nil {
				return nil, err
			}
			found = found || opened
		}
	}
	if !found {
		return assertion, nil
	}
	return standalone(root)
}

// unsealIn puts what the children of one name hold in their place, and reports
// whether there are any.
func (sp *ServiceProvider) unsealIn(parent *etree.Element, local, plain string) (found bool, err error) {
	for _, el := range children(parent, saml2.SAMLAssertionNamespace, local) {
		inside, err := sp.decryptInPlace(el, plain)
		if err != nil {
			return false, err
		}
		redeclare(inside.el, scopeOf(el))
		parent.InsertChildAt(el.Index(), inside.el)
		parent.RemoveChild(el)
		found = true
	}
	return found, nil
}

// checkEnvelope judges the response around an assertion. Where only the
// assertion is signed this proves nothing, but what contradicts is wrong. An issuer
// may be missing there where it would prove nothing (SAML profiles section 4.1.4.2).
func (sp *ServiceProvider) checkEnvelope(root *etree.Element, seen *inspection) error {
	if version := attribute(root, "Version"); version != "2.0" {
		return refuse(CodeVersion, "the response is of version %q", version)
	}
	if to := xsd.Collapse(attribute(root, saml2.DestinationAttr)); to != "" && to != sp.ACS() {
		return refuse(CodeDestination, "%q instead of %q", to, sp.ACS())
	}
	issuers := children(root, saml2.SAMLAssertionNamespace, saml2.IssuerTag)
	if len(issuers) == 0 && !seen.responseSigned && seen.encrypted == 0 {
		return nil
	}
	if len(issuers) != 1 {
		return refuse(CodeIssuer, "the response has %d issuers", len(issuers))
	}
	issuer, err := content(issuers[0])
	if err == nil && xsd.Collapse(issuer) != sp.idp.EntityID {
		err = refuse(CodeIssuer, "the response is of %q instead of %q", issuer, sp.idp.EntityID)
	}
	return err
}

// onlyAssertion returns the assertion of a response, encrypted or not.
func onlyAssertion(root *etree.Element) (*etree.Element, error) {
	found := children(root, saml2.SAMLAssertionNamespace, saml2.AssertionTag)
	found = append(found, children(root, saml2.SAMLAssertionNamespace, saml2.EncryptedAssertionTag)...)
	if len(found) != 1 {
		return nil, refuse(CodeAssertions, "%d in the response", len(found))
	}
	return found[0], nil
}

// standalone returns an element as a document of its own.
func standalone(el *etree.Element) ([]byte, error) {
	return canonicalization{exclusive: true}.canonicalize(el, nil)
}
