package metadata_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"crypto"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/metadata"
)

const entityID = "https://idp.example.com/metadata"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// pair is a key with its certificate.
type pair struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// issue makes a certificate of a name that by has issued, or the key itself where
// by is nil.
func issue(name string, serial int64, ca bool, by *pair) *pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return issueFor(key, name, serial, ca, by)
}

func issueFor(key crypto.Signer, name string, serial int64, ca bool, by *pair) *pair {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: noon.AddDate(0, -2, 0), NotAfter: noon.AddDate(1, 0, int(serial)),
		BasicConstraintsValid: true, IsCA: ca,
	}
	if by == nil {
		by = &pair{key, template}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &pair{key, cert}
}

// longKey returns a number that could be the modulus of a key.
func longKey(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

// withKey makes a certificate of a key, of its own name, that idp has signed.
func withKey(key crypto.PublicKey, name string) *pair {
	template := &x509.Certificate{SerialNumber: big.NewInt(99), Subject: pkix.Name{CommonName: name}, NotBefore: noon.AddDate(0, -2, 0), NotAfter: noon.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, idp.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &pair{cert: cert}
}

func (p *pair) base64() string { return base64.StdEncoding.EncodeToString(p.cert.Raw) }

func (p *pair) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

var (
	idp  = issue("idp", 1, false, nil)
	next = issue("idp", 2, false, nil) // of the same name, as after a rollover
)

// document returns metadata with a key for each list of certificates.
func document(keys ...[]string) string {
	var out strings.Builder
	for _, certs := range keys {
		out.WriteString(`<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>`)
		for _, c := range certs {
			out.WriteString("<ds:X509Certificate>" + c + "</ds:X509Certificate>")
		}
		out.WriteString(`</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`)
	}
	return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + entityID + `">` +
		`<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + out.String() +
		`<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/slo" ResponseLocation="https://idp.example.com/slo/done"/>` +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/>` +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/post"/>` +
		`</md:IDPSSODescriptor></md:EntityDescriptor>`
}

// want is what document says with some certificates.
func want(certs ...*pair) *metadata.IdentityProvider {
	out := &metadata.IdentityProvider{
		EntityID: entityID,
		Redirect: "https://idp.example.com/sso", POST: "https://idp.example.com/post",
		LogoutRedirect: "https://idp.example.com/slo", LogoutRedirectResponse: "https://idp.example.com/slo/done",
	}
	for _, c := range certs {
		out.Certificates = append(out.Certificates, c.cert)
	}
	return out
}

type edit func(string) string

func sub(old, by string) edit {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic(fmt.Sprintf("%q is not in the document", old))
		}
		return strings.Replace(s, old, by, 1)
	}
}

const (
	role      = "<md:IDPSSODescriptor"
	location  = `Location="https://idp.example.com/sso"`
	locPOST   = `Location="https://idp.example.com/post"`
	aService  = `<md:EntityDescriptor entityID="https://app.example.com"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>`
	listStart = `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" validUntil="2026-05-01T00:00:00Z" cacheDuration="P1D">`
	listEnd   = `</md:EntitiesDescriptor>`
	aKeyName  = `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:KeyName>k</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>`
)

// Certificates of one key are compared by their signatures, which is as slow as a key
// is long.
func TestLongKeysAreNotUsed(t *testing.T) {
	key := longKey(1_000_000)
	begin := time.Now()
	_, err := metadata.Parse([]byte(document([]string{withKey(key, "same").base64(), withKey(key, "same").base64()})), "")
	if err == nil || !strings.Contains(err.Error(), "its key has 1000000 bits") || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

// What is good is taken, and what is not is told of.
func TestParts(t *testing.T) {
	root := issue("root", 10, true, nil)
	middle := issue("middle", 11, true, root)
	leaf := issue("leaf", 12, false, middle)
	ca1, ca2 := issue("self", 13, true, nil), issue("self", 14, true, nil)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd := issueFor(ed, "odd", 15, false, nil)
	// Nobody has the other half of these.
	long := withKey(longKey(8193), "long")
	longest := withKey(longKey(8192), "longest")
	one := document([]string{idp.base64()})
	var keys [][]string
	var many []*pair
	for i := range int64(12) {
		p := issue("many", 100+i, false, nil)
		keys, many = append(keys, []string{p.base64()}), append(many, p)
	}
	tests := []struct {
		name     string
		text     string
		certs    []*pair // nil means idp
		differs  func(*metadata.IdentityProvider)
		problems []string // a part of each
	}{
		{name: "plain", text: one},
		{name: "byte order mark and declaration", text: "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>" + one},
		{name: "line before the declaration", text: "\r\n\n <?xml version=\"1.0\"?>" + one},
		{name: "style sheet", text: `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="style.xsl"?><!-- made by hand -->` + one + "<!-- end -->\n"},
		{name: "UTF-16, little end first", text: utf16Of("\xff\xfe", binary.LittleEndian, `<?xml version="1.0" encoding="UTF-16"?>`+one)},
		{name: "UTF-16, big end first", text: utf16Of("\xfe\xff", binary.BigEndian, one)},
		{name: "Latin-1", text: "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" + sub(role, "<md:x>M\xfcller</md:x>"+role)(one)},
		{name: "copied from a browser", text: "This XML file does not appear to have any style information.\n" + one, problems: []string{"text before the document"}},
		{name: "text after it", text: one + " done", problems: []string{"text after the document"}},
		{name: "undeclared prefix in a part without meaning", text: sub(role, "<x:y/>"+role)(one)},

		{name: "white space around a location", text: sub(location, "Location=\"\n\t https://idp.example.com/sso \"")(one)},
		{name: "white space around the entity id", text: sub(`entityID="`+entityID, "entityID=\"\n  "+entityID+" ")(one)},
		{name: "white space around a binding", text: sub(`bindings:HTTP-POST"`, "bindings:HTTP-POST \"")(one)},
		{name: "protocols apart by a line", text: sub(`SAML:2.0:protocol"`, "SAML:2.0:protocol\n urn:x\"")(one)},
		{name: "no protocols", text: sub(` protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"`, "")(one), problems: []string{"SAML 2.0 is assumed"}},
		{name: "bad location beside a good one", text: sub(locPOST, `Location="http://idp.example.com/post"`)(one),
			differs: func(p *metadata.IdentityProvider) { p.POST = "" }, problems: []string{`SingleSignOnService for HTTP-POST is left out: "http://idp.example.com/post" must begin with https://`}},
		{name: "bad location before a good one of the same binding", text: sub("<md:SingleSignOnService", `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="/sso"/><md:SingleSignOnService`)(one), problems: []string{`"/sso" is not an absolute URL`}},
		{name: "no location beside a good one", text: sub(locPOST, "")(one),
			differs: func(p *metadata.IdentityProvider) { p.POST = "" }, problems: []string{"SingleSignOnService for HTTP-POST"}},
		{name: "bad location for logouts", text: sub(`Location="https://idp.example.com/slo" `, `Location="javascript:alert(1)" `)(one),
			differs: func(p *metadata.IdentityProvider) { p.LogoutRedirect, p.LogoutRedirectResponse = "", "" }, problems: []string{"SingleLogoutService"}},
		{name: "bad location for answers to logouts", text: sub("https://idp.example.com/slo/done", "done")(one),
			differs: func(p *metadata.IdentityProvider) { p.LogoutRedirectResponse = "" }, problems: []string{"ResponseLocation of a SingleLogoutService"}},
		{name: "a binding that is of no use", text: sub("<md:SingleSignOnService", `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="x"/><md:SingleSignOnService`)(one)},

		{name: "certificate in lines", text: document([]string{"\n" + wrap(idp.base64(), 64) + "\n  "})},
		{name: "certificate with CR LF and tabs", text: document([]string{strings.ReplaceAll(wrap(idp.base64(), 60), "\n", "&#13;\n\t")})},
		{name: "certificate without padding", text: document([]string{strings.TrimRight(idp.base64(), "=")})},
		{name: "armor", text: document([]string{idp.pem()})},
		{name: "armor in one line", text: document([]string{"-----BEGIN CERTIFICATE-----" + idp.base64() + "-----END CERTIFICATE-----"})},
		{name: "armor with indentation", text: document([]string{strings.ReplaceAll("\n"+idp.pem(), "\n", "\n      ")})},
		{name: "armor of OpenSSL", text: document([]string{strings.ReplaceAll(idp.pem(), "CERTIFICATE", "TRUSTED CERTIFICATE")})},
		{name: "two in one armored text", text: document([]string{idp.pem() + next.pem()}), certs: []*pair{idp, next}},
		{name: "armor in base64", text: document([]string{base64.StdEncoding.EncodeToString([]byte(idp.pem() + next.pem()))}), certs: []*pair{idp, next}},
		{name: "two keys", text: document([]string{idp.base64()}, []string{next.base64()}, []string{idp.base64()}), certs: []*pair{idp, next}},
		{name: "two of one key", text: document([]string{idp.base64(), next.base64()}), certs: []*pair{idp, next}},
		{name: "two of one key that are authorities", text: document([]string{ca1.base64(), ca2.base64()}), certs: []*pair{ca1, ca2}},
		{name: "with those of who issued it", text: document([]string{leaf.base64(), middle.base64(), root.base64()}), certs: []*pair{leaf}},
		{name: "with those of who issued it, first", text: document([]string{root.base64(), middle.base64(), leaf.base64()}), certs: []*pair{leaf}},
		{name: "with the far end of who issued it", text: document([]string{leaf.base64(), root.base64()}), certs: []*pair{leaf}},
		{name: "an authority that another one has issued", text: document([]string{middle.base64(), root.base64()}), certs: []*pair{middle}},
		{name: "bad certificate in a key of its own", text: document([]string{"MIIgarbage"}, []string{idp.base64()}), problems: []string{"a certificate is left out: it cannot be read"}},
		{name: "bad certificate in the same key", text: document([]string{"!", idp.base64()}), problems: []string{"a certificate is left out: it is not base64"}},
		{name: "longest key", text: document([]string{longest.base64()}), certs: []*pair{longest}},
		{name: "a key that takes too long", text: document([]string{long.base64()}, []string{idp.base64()}), problems: []string{"a certificate is left out: its key has 8193 bits"}},
		{name: "empty certificate", text: document([]string{" "}, []string{idp.base64()}), problems: []string{"it is empty"}},
		{name: "many of one key", text: document(slices.Repeat([]string{idp.base64()}, 21)), problems: []string{"of 21 certificates of one key the first 20 are read"}},
		{name: "many in one text", text: document([]string{strings.Repeat(idp.pem(), 50)})},
		{name: "key of another kind", text: document([]string{odd.base64()}, []string{idp.base64()}), problems: []string{"neither RSA nor ECDSA"}},
		{name: "key without a certificate", text: sub("<md:KeyDescriptor", aKeyName+"<md:KeyDescriptor")(one), problems: []string{"it has no certificate"}},
		{name: "key with another use", text: sub("<md:KeyDescriptor", sub("signing", "sign")(aKeyName)+"<md:KeyDescriptor")(one), problems: []string{`its use "sign"`}},
		{name: "key for encryption", text: sub("<md:KeyDescriptor", `<md:KeyDescriptor use="encryption"/><md:KeyDescriptor`)(one)},
		{name: "twelve certificates", text: document(keys...), certs: many[2:], problems: []string{"of 12 certificates only the 10"}},

		{name: "time without a zone", text: sub("entityID=", `validUntil="2026-04-01T10:00:00" entityID=`)(one),
			differs: func(p *metadata.IdentityProvider) { p.ValidUntil = time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC) }},
		{name: "no time", text: sub("entityID=", `validUntil="soon" cacheDuration="long" entityID=`)(one), problems: []string{`validUntil is left out: "soon" is not a time`, `cacheDuration is left out: "long" is not a duration`}},
		{name: "signed requests", text: sub(role, role+` WantAuthnRequestsSigned="1"`)(one), differs: func(p *metadata.IdentityProvider) { p.WantAuthnRequestsSigned = true }},
		{name: "bad role beside a good one", text: sub(role, role+` protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>`+role)(one), problems: []string{"another IDPSSODescriptor is left out"}},

		{name: "list", text: listStart + aService + one + listEnd, differs: inList},
		{name: "list of lists", text: listStart + listStart + aService + listEnd + listStart + one + listEnd + listEnd, differs: inList},
		{name: "the same twice, once in vain", text: listStart + document() + one + listEnd, differs: inList, problems: []string{"is there 2 times"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := metadata.Parse([]byte(tt.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if tt.certs == nil {
				tt.certs = []*pair{idp}
			}
			expected := want(tt.certs...)
			if tt.differs != nil {
				tt.differs(expected)
			}
			if len(got.Problems) != len(tt.problems) {
				t.Fatalf("problems %q, want %q", got.Problems, tt.problems)
			}
			for i, part := range tt.problems {
				if !strings.Contains(got.Problems[i], part) {
					t.Errorf("problem %q, want %q", got.Problems[i], part)
				}
			}
			got.Problems = nil
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func inList(p *metadata.IdentityProvider) {
	p.ValidUntil, p.CacheDuration = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), 24*time.Hour
}

func wrap(s string, n int) string {
	var out strings.Builder
	for ; len(s) > n; s = s[n:] {
		out.WriteString(s[:n] + "\n")
	}
	return out.String() + s
}

func utf16Of(mark string, order binary.AppendByteOrder, s string) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// The error says what the document is instead, or why nothing is left of it.
func TestRefused(t *testing.T) {
	one := document([]string{idp.base64()})
	other := sub(entityID, "https://other.example.com")(one)
	tests := []struct {
		name, text, entityID, want string
	}{
		{name: "nothing", text: "", want: "it is empty"},
		{name: "white space", text: "\ufeff \n", want: "it is empty"},
		{name: "page", text: "<!DOCTYPE html>\n<html><body>Log in", want: "an HTML page, not metadata"},
		{name: "page in capitals", text: "\n<HTML><P>", want: "an HTML page"},
		{name: "page of XHTML", text: `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"></html>`, want: "an HTML page"},
		{name: "page of XHTML with a type", text: `<?xml version="1.0"?><!DOCTYPE html PUBLIC "x" "y"><html xmlns="http://www.w3.org/1999/xhtml"></html>`, want: "an HTML page"},
		{name: "page after a comment", text: `<!-- saved from url --><!DOCTYPE html><html></html>`, want: "an HTML page"},
		{name: "JSON", text: ` {"issuer":"https://idp.example.com"}`, want: "this is JSON"},
		{name: "address", text: "https://idp.example.com/metadata\n", want: "this is an address"},
		{name: "certificate", text: idp.pem(), want: "this is a certificate alone"},
		{name: "certificate without armor", text: "MIID" + wrap(idp.base64()[4:], 64), want: "this is a certificate alone"},
		{name: "private key", text: "-----BEGIN RSA PRIVATE KEY-----\nMII", want: "A private key must stay where it is"},
		{name: "base64", text: base64.StdEncoding.EncodeToString([]byte(one)), want: "base64"},
		{name: "text", text: "see attachment", want: "not an XML document"},
		{name: "archive", text: "PK\x03\x04\x00\x00", want: "not text"},
		{name: "end is missing", text: one[:len(one)/2], want: "not XML to its end"},
		{name: "not closed", text: sub("</md:IDPSSODescriptor>", "")(one), want: "not XML: line 1"},
		{name: "another encoding", text: `<?xml version="1.0" encoding="shift_jis"?>` + one, want: `encoding "shift_jis": save it in UTF-8`},
		{name: "not UTF-8", text: sub(role, "<md:x>\xff</md:x>"+role)(one), want: "UTF-8"},
		{name: "other root", text: "<rss/>", want: `its root element is "rss", not an EntityDescriptor`},
		{name: "message", text: `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`, want: "a message of SAML (Response)"},
		{name: "no namespace", text: "<EntityDescriptor/>", want: "namespace"},
		{name: "document type", text: "<!DOCTYPE x>" + one, want: "document type"},
		{name: "entity", text: `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + one, want: "document type"},
		{name: "two documents", text: one + other, want: "a second root"},
		{name: "instruction inside", text: sub(role, "<?x?>"+role)(one), want: "processing instruction (x)"},
		{name: "service provider", text: sub(`entityID="https://app.example.com"`, `xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://app.example.com"`)(aService), want: `the metadata of a service provider ("https://app.example.com")`},
		{name: "SAML 1.1", text: sub("SAML:2.0:protocol", "SAML:1.1:protocol")(one), want: "other protocols only"},
		{name: "no role", text: `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="a"/>`, want: "describes no identity provider"},
		{name: "empty list", text: listStart + listEnd, want: "no EntityDescriptor"},
		{name: "list of service providers", text: listStart + aService + listEnd, want: "a service provider"},
		{name: "two identity providers", text: listStart + one + other + listEnd, want: `it has 2 identity providers: name the one that is meant by its entity id (setting idpEntityID): "` + entityID + `", "https://other.example.com"`},
		{name: "another one is meant", text: listStart + one + other + listEnd, entityID: "https://third.example.com", want: `no identity provider "https://third.example.com", but "` + entityID},
		{name: "another one is meant than the only one", text: one, entityID: "https://other.example.com", want: `no identity provider "https://other.example.com", but "` + entityID},
		{name: "two roles", text: sub(role, one[strings.Index(one, role):strings.Index(one, "</md:EntityDescriptor>")]+role)(one), want: "more than one IDPSSODescriptor"},
		{name: "no entity id", text: sub(` entityID="`+entityID+`"`, "")(one), want: "no usable entityID"},
		{name: "blank entity id", text: sub(entityID, " \n")(one), want: "no usable entityID"},
		{name: "no certificate", text: document(), want: "no certificate"},
		{name: "bad certificate", text: document([]string{"MIIgarbage", "!"}), want: "no certificate with an RSA or ECDSA key for signatures: a certificate is left out: it cannot be read"},
		{name: "no location", text: sub("bindings:HTTP-POST", "bindings:SOAP")(sub(`bindings:HTTP-Redirect" Location="https://idp.example.com/sso"`, `bindings:HTTP-Redirect" Location="javascript:alert(1)"`)(one)), want: `no usable SingleSignOnService with binding HTTP-Redirect or HTTP-POST: the Location of a SingleSignOnService for HTTP-Redirect is left out: "javascript:alert(1)" is not an absolute URL`},
		{name: "line break in a location", text: sub("bindings:HTTP-POST", "bindings:SOAP")(sub(location, `Location="https://idp.example.com/&#10;x"`)(one)), want: "is not a URL"},
		{name: "too large", text: one + strings.Repeat(" ", metadata.MaxBytes), want: "bytes"},
		{name: "too deep", text: sub(role, strings.Repeat("<x>", 100)+strings.Repeat("</x>", 100)+role)(one), want: "nested deeper"},
		{name: "too many elements", text: sub(role, strings.Repeat("<x/>", 50_000)+role)(one), want: "elements"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := metadata.Parse([]byte(tt.text), tt.entityID)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// Of several identity providers the setting names one.
func TestChosen(t *testing.T) {
	one := document([]string{idp.base64()})
	other := sub(entityID, "https://other.example.com")(document([]string{next.base64()}))
	for _, name := range []string{"https://other.example.com", "\n https://other.example.com "} {
		got, err := metadata.Parse([]byte(listStart+one+other+listEnd), name)
		if err != nil || got.EntityID != "https://other.example.com" || !got.Certificates[0].Equal(next.cert) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// A text that was stored reads as the file that it was.
func TestText(t *testing.T) {
	one := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" + sub(role, "<md:x>M\xfcller</md:x>"+role)(document([]string{idp.base64()}))
	for _, file := range []string{one, utf16Of("\xff\xfe", binary.LittleEndian, document([]string{idp.base64()}))} {
		text := metadata.Text([]byte(file))
		got, err := metadata.Parse([]byte(text), "")
		if err != nil || got.EntityID != entityID {
			t.Errorf("got %+v, %v", got, err)
		}
		if again := metadata.Text([]byte(text)); again != text {
			t.Error("the text of the text is another")
		}
	}
}
