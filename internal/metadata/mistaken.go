package metadata

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// mistakes is what administrators give instead of metadata, by how it begins, in
// lower case.
var mistakes = []struct{ prefix, reason string }{
	{"<!doctype html", anHTMLPage},
	{"<html", anHTMLPage},
	{"<head", anHTMLPage},
	{"<body", anHTMLPage},
	{"<script", anHTMLPage},
	{"{", "this is JSON, not metadata: SAML metadata is XML. JSON is what OpenID Connect has"},
	{"[", "this is JSON, not metadata: SAML metadata is XML"},
	{"https://", anAddress},
	{"http://", anAddress},
	{"-----begin certificate", aCertificate},
	{"-----begin x509", aCertificate},
	{"-----begin trusted", aCertificate},
	{"-----begin", "this is a key or a certificate, not metadata. A private key must stay where it is: if this is one, replace it"},
	{"miic", aCertificate}, // base64 of a certificate in DER
	{"miid", aCertificate},
	{"miie", aCertificate},
	{"miif", aCertificate},
	{"miig", aCertificate},
	{"miih", aCertificate},
}

const (
	anHTMLPage   = "this is an HTML page, not metadata: a login page or an error page, perhaps. Open the address of the metadata itself and save it as a file"
	anAddress    = "this is an address, not metadata: give it as the address of the metadata (setting metadataURL), or open it and save what it shows as a file"
	aCertificate = "this is a certificate alone, not metadata: the identity provider offers a metadata document, which has the certificate, the entity id and the addresses"
)

// mistaken says what a text is that is no XML of metadata, or "".
func mistaken(text string) string {
	switch {
	case text == "":
		return "it is empty"
	case strings.Contains(text, "\x00"):
		return "it is not text: save the metadata as an XML file in UTF-8"
	}
	start := strings.ToLower(text[:min(len(text), 64)])
	for _, m := range mistakes {
		if strings.HasPrefix(start, m.prefix) {
			return m.reason
		}
	}
	if strings.Contains(text, "<") {
		return ""
	}
	plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err == nil && strings.HasPrefix(strings.TrimSpace(string(plain)), "<") {
		return "this is metadata in base64, or something else in base64: decode it first"
	}
	return "it is not an XML document, which metadata is"
}

// wrongRoot says what a document is that is none of metadata, or "".
func wrongRoot(root *node) string {
	switch local := root.name.Local; strings.ToLower(local) {
	case "entitydescriptor", "entitiesdescriptor":
		return ""
	case "html", "head", "body", "script":
		return anHTMLPage
	case "response", "assertion", "authnrequest", "logoutrequest":
		return fmt.Sprintf("this is a message of SAML (%s), not metadata", local)
	default:
		return fmt.Sprintf("its root element is %q, not an EntityDescriptor", shorten(local))
	}
}
