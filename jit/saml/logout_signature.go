package saml

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"
)

// signedMessage returns a message that its own signature covers, as it was signed.
// Its root must be one of some elements of the protocol.
func (sp *ServiceProvider) signedMessage(data []byte, now time.Time, roots ...string) ([]byte, error) {
	data = normalize(data)
	seen, err := inspectMessage(data, sp.algorithms, roots...)
	if err != nil {
		return nil, err
	}
	if !seen.responseSigned {
		return nil, refuse(CodeSignature, "the message is not signed")
	}
	signer, err := sp.verifier(now)
	if err != nil {
		return nil, err
	}
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	return signer.verify(root)
}

// inspectMessage scans a message of the protocol that holds no assertion. A
// signature may be there once, below the root, and have the shape of SAML core
// section 5.4.
func inspectMessage(data []byte, allowed algorithms, roots ...string) (*inspection, error) {
	in := &inspection{algorithms: allowed, ids: map[string]bool{}}
	err := scan(data, nil, func(e *element) error {
		if err := in.measure(e); err != nil {
			return err
		}
		if err := in.identify(e); err != nil {
			return err
		}
		local := e.name.Local
		switch {
		case e.depth == 1:
			if e.name.Space != protocolNamespace || !slices.Contains(roots, local) {
				return refuse(CodeDocument, "the root is %q", local)
			}
		case local == "Assertion", local == "EncryptedAssertion", local == "Response", local == "LogoutRequest", local == "LogoutResponse":
			return refuse(CodeShape, "%s in an unexpected place", local)
		case local == "EncryptedID":
			if e.depth != 2 || e.parent.children[local] > 1 {
				return refuse(CodeNameID, "%s in an unexpected place", local)
			}
		case local == "EncryptedData", local == "EncryptedKey", local == "EncryptionMethod":
			return in.encryption(e)
		case local == "Signature":
			return in.signature(e)
		case slices.Contains([]string{"SignedInfo", "Reference", "Object", "SignatureMethod", "DigestMethod", "Transform"}, local):
			return in.signatureChild(e)
		}
		return nil
	})
	return in, err
}

const protocolNamespace = "urn:oasis:names:tc:SAML:2.0:protocol"

// unsealMessage returns a signed message with the NameID that an EncryptedID holds
// in its place (SAML core section 3.7.1). Whoever signed the message has signed the
// ciphertext.
func (sp *ServiceProvider) unsealMessage(message []byte) ([]byte, error) {
	root, err := parse(message)
	if err != nil {
		return nil, err
	}
	found, err := sp.unsealIn(root, "EncryptedID", saml2.NameIdTag)
	if err != nil || !found {
		return message, err
	}
	return standalone(root)
}

// octets are a query as the signature of the HTTP-Redirect binding covers it (SAML
// bindings section 3.4.4.1): the parameters as they were escaped, in their order.
type octets struct {
	signed    string
	method    string // of the signature
	signature []byte
}

// signedOctets reads the raw query of a message whose parameter is name. Each
// parameter may be there once.
func signedOctets(rawQuery, name string) (octets, error) {
	raw := map[string]string{}
	for part := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return octets{}, &Error{Code: CodeRequest, Err: err}
		}
		if _, again := raw[plain]; again || plain != key {
			return octets{}, refuse(CodeRequest, "the parameter %q is there twice, or escaped", plain)
		}
		raw[plain] = value
	}
	if raw["Signature"] == "" || raw["SigAlg"] == "" {
		return octets{}, refuse(CodeSignature, "the query is not signed")
	}
	out := octets{signed: name + "=" + raw[name]}
	if state, ok := raw["RelayState"]; ok {
		out.signed += "&RelayState=" + state
	}
	out.signed += "&SigAlg=" + raw["SigAlg"]
	method, err := url.QueryUnescape(raw["SigAlg"])
	if err != nil {
		return octets{}, &Error{Code: CodeRequest, Err: err}
	}
	out.method = method
	encoded, err := url.QueryUnescape(raw["Signature"])
	if err == nil {
		out.signature, err = decodeBase64(encoded)
	}
	if err != nil {
		return octets{}, &Error{Code: CodeSignature, Reason: "Signature", Err: err}
	}
	return out, nil
}

// checkOctets checks the signature of a query with one key after the other.
func (sp *ServiceProvider) checkOctets(o octets, now time.Time) error {
	method, err := sp.algorithms.signatureMethod(o.method)
	if err != nil {
		return err
	}
	signer, err := sp.verifier(now)
	if err != nil {
		return err
	}
	return signer.checkValue(method, []byte(o.signed), o.signature)
}

// signQuery signs a query that holds a message, where this service provider has a
// key.
func (sp *ServiceProvider) signQuery(query string) (string, error) {
	if len(sp.keys) == 0 {
		return query, nil
	}
	query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
	digest := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(rand.Reader, sp.keys[0], crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// signElement puts a signature after the first child of a message, its Issuer (SAML
// protocol schema), where this service provider has a key.
func (sp *ServiceProvider) signElement(root *etree.Element) (*etree.Element, error) {
	if len(sp.keys) == 0 {
		return root, nil
	}
	ctx, err := dsig.NewSigningContext(sp.keys[0], [][]byte{sp.certificates[0].Raw})
	if err != nil {
		return nil, err
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := ctx.ConstructSignature(root, true)
	if err != nil {
		return nil, err
	}
	signed := root.Copy()
	signed.InsertChildAt(1, signature)
	return signed, nil
}

// unmarshal reads a message.
func unmarshal(data []byte, to any) error {
	if err := xml.NewDecoder(bytes.NewReader(data)).Decode(to); err != nil {
		return &Error{Code: CodeDocument, Err: err}
	}
	return nil
}
