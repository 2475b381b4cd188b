package samltest

import (
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// Logout tells the application that a person has logged out here: with a new
// browser, by a signed request of the HTTP-Redirect binding to the address for
// logouts of a connection, such as ".../saml/okta/logout". It is of all sessions of
// the person, whom User names as in [IDP.Login]. It returns what the application
// answers: a redirect back to this identity provider, which is not followed.
//
// A request is of the time now, which is that of the application; zero is that of
// the machine.
func (p *IDP) Logout(t T, address string, u User, now time.Time) *Answer {
	t.Helper()
	if now.IsZero() {
		now = time.Now()
	}
	s := u.session(now)
	type nameID struct {
		Format string `xml:"Format,attr"`
		Value  string `xml:",chardata"`
	}
	request := struct {
		XMLName      xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol LogoutRequest"`
		ID           string   `xml:"ID,attr"`
		Version      string   `xml:"Version,attr"`
		IssueInstant string   `xml:"IssueInstant,attr"`
		Destination  string   `xml:"Destination,attr"`
		Issuer       string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
		NameID       nameID   `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
	}{
		ID: "_" + rand.Text(), Version: "2.0", IssueInstant: now.UTC().Format(time.RFC3339), Destination: address,
		Issuer: p.address.JoinPath("metadata").String(),
		NameID: nameID{Format: cmp.Or(s.NameIDFormat, string(crewjam.UnspecifiedNameIDFormat)), Value: s.NameID},
	}
	text, err := xml.Marshal(request)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	query, err := p.signedQuery(text)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return p.newBrowser(t).get(address + separator + query)
}

// signedQuery packs and signs a request (SAML bindings section 3.4.4.1).
func (p *IDP) signedQuery(request []byte) (string, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(request)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", err
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes())) + "&SigAlg=" + url.QueryEscape(dsig.ECDSASHA256SignatureMethod)
	digest := sha256.Sum256([]byte(query))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", err
	}
	n := (p.key.Params().N.BitLen() + 7) / 8
	signature := append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...)
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}
