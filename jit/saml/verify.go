package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"
	"github.com/russellhaering/gosaml2/types"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/scimjit/provision/jit"
)

// Verified is what a response said that has passed every rule but one: that it
// is used for the first time. Whoever logs somebody in with it must remember ID
// until Until, on all replicas, and refuse it there.
type Verified struct {
	Assertion jit.Assertion
	ID        string    // of the assertion; unique for its issuer
	Until     time.Time // when it is refused for its age
}

// Verify checks a response as it came by the HTTP-POST binding, after base64.
// requestID is the ID of the request that this browser was sent away with, or
// empty where there was none, which only a connection that allows logins
// initiated by the identity provider accepts.
//
// The error is an [*Error]. One that wraps [ErrAssertionTooLarge] can be mended
// by the administrator of the identity provider.
func (sp *ServiceProvider) Verify(response []byte, requestID string, now time.Time) (v *Verified, err error) {
	// The libraries have panicked on input before.
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, &Error{Code: CodeInternal, Reason: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if len(response) > maxBody {
		return nil, refuse(CodeTooLarge, "more than %d bytes", maxBody)
	}
	seen, err := inspect(response, sp.algorithms, false)
	if err != nil {
		return nil, err
	}
	if requestID == "" {
		if err := sp.checkUnasked(seen); err != nil {
			return nil, err
		}
	}
	if err := seen.check(sp.key != nil); err != nil {
		return nil, err
	}
	accepted, cert, err := sp.validate(response, now)
	if err != nil {
		return nil, err
	}
	signed, err := sp.signedAssertion(response, seen, cert, now)
	if err != nil {
		return nil, err
	}
	c := &claim{sp: sp, seen: seen, requestID: requestID, now: now}
	if err := xml.Unmarshal(signed, &c.assertion); err != nil {
		return nil, &Error{Code: CodeShape, Err: err}
	}
	if len(accepted.Assertions) != 1 || accepted.Assertions[0].ID != c.assertion.ID {
		return nil, refuse(CodeAssertions, "the library accepted %d assertions, or another one", len(accepted.Assertions))
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

// validate asks gosaml2, with one certificate after the other.
func (sp *ServiceProvider) validate(response []byte, now time.Time) (*types.Response, *x509.Certificate, error) {
	encoded := base64.StdEncoding.EncodeToString(response)
	var failures []error
	for _, cert := range sp.idp.Certificates {
		if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
			continue
		}
		accepted, err := sp.library(cert, sp.tolerant(cert, now)).ValidateEncodedResponse(encoded)
		if err == nil {
			return accepted, cert, nil
		}
		if refused := fromLibrary(err, CodeSignature); codeOf(refused) != CodeSignature {
			return nil, nil, refused // the signature was valid, or never will be
		}
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		return nil, nil, refuse(CodeCertificate, "no certificate of the identity provider is valid now")
	}
	return nil, nil, &Error{Code: CodeSignature, Err: errors.Join(failures...)}
}

// tolerant returns the time for gosaml2, which knows no clock skew: it refuses
// what has expired, so its clock is late by ours. It also judges the
// certificate, which may be younger than that.
func (sp *ServiceProvider) tolerant(cert *x509.Certificate, now time.Time) time.Time {
	late := now.Add(-sp.skew)
	if late.Before(cert.NotBefore) {
		return cert.NotBefore
	}
	return late
}

// signedAssertion returns the bytes of the one assertion that cert has signed,
// by itself or with the response, in canonical form. It repeats what gosaml2
// does, since gosaml2 keeps them to itself, and without them nobody can tell a
// text from one with other elements inside.
func (sp *ServiceProvider) signedAssertion(response []byte, seen *inspection, cert *x509.Certificate, now time.Time) ([]byte, error) {
	root, err := parse(response)
	if err != nil {
		return nil, err
	}
	signer := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	signer.Clock = dsig.NewFakeClockAt(now)
	if seen.responseSigned {
		if root, err = signer.Validate(root); err != nil {
			return nil, fromLibrary(err, CodeSignature)
		}
	}
	el, err := onlyAssertion(root)
	if err != nil {
		return nil, err
	}
	own := seen.assertionSigned
	if seen.encrypted > 0 {
		if el, own, err = sp.decrypt(el); err != nil {
			return nil, err
		}
	}
	switch {
	case own:
		if el, err = signer.Validate(el); err != nil {
			return nil, fromLibrary(err, CodeSignature)
		}
	case !seen.responseSigned:
		return nil, refuse(CodeSignature, "the assertion is not signed")
	}
	return serialize(el)
}

// decrypt returns the assertion inside of an EncryptedAssertion and whether it
// has a signature of its own. The plaintext must obey the same rules as the
// response, which could not be seen before.
func (sp *ServiceProvider) decrypt(el *etree.Element) (plain *etree.Element, signed bool, err error) {
	data, err := serialize(el)
	if err != nil {
		return nil, false, err
	}
	var encrypted types.EncryptedAssertion
	if err := xml.Unmarshal(data, &encrypted); err != nil {
		return nil, false, &Error{Code: CodeDecryption, Err: err}
	}
	pair := sp.keyPair()
	text, err := encrypted.DecryptBytes(&pair)
	if err != nil {
		return nil, false, &Error{Code: CodeDecryption, Err: err}
	}
	inside, err := inspect(text, sp.algorithms, true)
	if err != nil {
		return nil, false, err
	}
	plain, err = parse(text)
	return plain, inside.assertionSigned, err
}

// onlyAssertion returns the assertion of a response, encrypted or not, as an
// element of its own.
func onlyAssertion(root *etree.Element) (*etree.Element, error) {
	context, err := etreeutils.NewDefaultNSContext().SubContext(root)
	if err != nil {
		return nil, &Error{Code: CodeDocument, Err: err}
	}
	var found *etree.Element
	for _, el := range root.ChildElements() {
		if el.Tag != saml2.AssertionTag && el.Tag != saml2.EncryptedAssertionTag {
			continue
		}
		if found != nil {
			return nil, refuse(CodeAssertions, "more than one")
		}
		if found, err = etreeutils.NSDetatch(context, el); err != nil {
			return nil, fromLibrary(err, CodeDocument)
		}
	}
	if found == nil {
		return nil, refuse(CodeAssertions, "none")
	}
	return found, nil
}

func parse(data []byte) (*etree.Element, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		return nil, &Error{Code: CodeDocument, Err: err}
	}
	return doc.Root(), nil
}

func serialize(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	var out bytes.Buffer
	if _, err := doc.WriteTo(&out); err != nil {
		return nil, &Error{Code: CodeDocument, Err: err}
	}
	return out.Bytes(), nil
}
