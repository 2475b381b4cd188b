// Package idpcert reads the certificates of an identity provider out of its SAML
// metadata, so that whoever looks after connections can say when they end without
// what logs people in.
package idpcert

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"regexp"
	"strings"
	"unicode"
)

// noise is what people leave around the base64 text of a certificate.
var noise = regexp.MustCompile(`-----(BEGIN|END) CERTIFICATE-----`)

// Signing returns the certificates by which the identity providers of a metadata
// document sign, in order. What cannot be read is left out: package jit/saml says
// what is wrong with it.
func Signing(metadata string) []*x509.Certificate {
	decoder := xml.NewDecoder(strings.NewReader(metadata))
	var list []*x509.Certificate
	inside, signs := false, false // of a role of an identity provider; of a key to sign with
	for {
		token, err := decoder.Token()
		if err != nil {
			return list
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "IDPSSODescriptor":
				inside = true
			case "KeyDescriptor":
				signs = inside && use(t) != "encryption"
			case "X509Certificate":
				var text string
				if err := decoder.DecodeElement(&text, &t); err != nil {
					return list
				}
				if c := read(text); signs && c != nil {
					list = append(list, c)
				}
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "IDPSSODescriptor":
				inside = false
			case "KeyDescriptor":
				signs = false
			}
		}
	}
}

func use(e xml.StartElement) string {
	for _, a := range e.Attr {
		if a.Name.Local == "use" {
			return a.Value
		}
	}
	return ""
}

// read returns a certificate, or nil.
func read(text string) *x509.Certificate {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, noise.ReplaceAllString(text, ""))
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return c
}
