package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store/memory"
)

// How a document is read is tested where it is read; here is that it is.
func TestParseMetadata(t *testing.T) {
	tests := []struct {
		name string
		edit edit
		want string // part of the error; "" means accepted
	}{
		{name: "good", edit: all()},
		{name: "declaration and byte order mark", edit: func(s string) string { return "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>" + s }},
		{name: "list of one", edit: func(s string) string {
			return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + s + `</md:EntitiesDescriptor>`
		}},
		{name: "page", edit: func(string) string { return "<!DOCTYPE html><html>" }, want: "saml: metadata: this is an HTML page"},
		{name: "no certificate", edit: sub(`use="signing"`, `use="encryption"`), want: "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			idp, err := saml.ParseMetadata([]byte(tt.edit(idpMetadata(idpPair().cert))))
			if tt.want == "" {
				if err != nil || idp.EntityID != idpEntity || len(idp.Certificates) != 1 {
					t.Errorf("got %v, %v", idp, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// What XML can have and a response may not.
func TestScan(t *testing.T) {
	inside := func(s string) edit { return sub("</samlp:Response>", s+"</samlp:Response>") }
	tests := []struct {
		name string
		edit edit
		want string // part of the error; "" means accepted
	}{
		{name: "plain", edit: all()},
		{name: "declaration", edit: func(s string) string { return "<?xml version=\"1.0\" encoding=\"utf-8\"?>" + s }},
		{name: "most attributes", edit: inside("<a" + manyAttributes(128) + "></a>")},

		{name: "document type", edit: func(s string) string { return "<!DOCTYPE a>" + s }, want: "document type"},
		{name: "second root", edit: func(s string) string { return s + "<a/>" }, want: "second root"},
		{name: "text before the root", edit: func(s string) string { return "a" + s }, want: "text outside"},
		{name: "late declaration", edit: func(s string) string { return " <?xml version=\"1.0\"?>" + s }, want: "processing instruction"},
		{name: "not UTF-8", edit: func(s string) string { return s + "<!-- \xff -->" }, want: "not UTF-8"},
		{name: "unclosed", edit: sub("</samlp:Response>", ""), want: "ends early"},
		{name: "closed by another prefix", edit: inside(`<x:a xmlns:x="urn:x" xmlns:y="urn:x"></y:a>`), want: "is not open"},
		{name: "undeclared prefix", edit: inside("<x:a></x:a>"), want: "odd name"},
		{name: "undeclared prefix of an attribute", edit: inside(`<a x:b=""></a>`), want: "odd name"},
		{name: "two colons", edit: inside(`<a x::b=""></a>`), want: "syntax"},
		{name: "leading colon", edit: inside(`<a :b=""></a>`), want: "odd name"},
		{name: "attribute twice", edit: inside(`<a b="" b=""></a>`), want: "twice"},
		{name: "attribute twice by two prefixes", edit: inside(`<a xmlns:x="urn:x" x:b="" b=""></a>`), want: "twice"},
		{name: "ID of another namespace", edit: inside(`<a xmlns:x="urn:x" x:Id=""></a>`), want: "another namespace"},
		{name: "prefix twice", edit: inside(`<a xmlns:x="urn:x" xmlns:x="urn:y"></a>`), want: "declared twice"},
		{name: "prefix xml", edit: inside(`<a xmlns:xml="urn:x"></a>`), want: "reserved"},
		{name: "prefix xmlns", edit: inside(`<a xmlns:xmlns="urn:x"></a>`), want: "reserved"},
		{name: "namespace of xml", edit: inside(`<a xmlns:x="http://www.w3.org/XML/1998/namespace"></a>`), want: "reserved"},
		{name: "namespace of xmlns", edit: inside(`<a xmlns="http://www.w3.org/2000/xmlns/"></a>`), want: "reserved"},
		{name: "undeclaring a prefix", edit: inside(`<a xmlns:x=""></a>`), want: "not absolute"},
		{name: "relative namespace", edit: inside(`<a xmlns="x"></a>`), want: "not absolute"},
		{name: "many attributes", edit: inside("<a" + manyAttributes(129) + "></a>"), want: "attributes"},
		{name: "unknown entity", edit: inside("&a;"), want: "entity"},
	}
	sp := provider(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sp.Verify([]byte(shape{after: tt.edit}.make(t)), requestID, noon)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if codeOf(err) != saml.CodeDocument || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func manyAttributes(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, ` a%d=""`, i)
	}
	return out.String()
}

func TestParseMetadataValues(t *testing.T) {
	text := idpMetadata(idpPair().cert, nextPair().cert, idpPair().cert)
	text = sub("entityID=", `validUntil="2027-01-02T03:04:05+01:00" entityID=`)(text)
	text = sub("<md:IDPSSODescriptor ", `<md:IDPSSODescriptor WantAuthnRequestsSigned="1" `)(text)
	got, err := saml.ParseMetadata([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &saml.IdentityProvider{
		EntityID:                idpEntity,
		Redirect:                "https://idp.example.com/sso?tenant=1",
		POST:                    "https://idp.example.com/post",
		Certificates:            []*x509.Certificate{idpPair().cert, nextPair().cert},
		WantAuthnRequestsSigned: true,
		ValidUntil:              time.Date(2027, 1, 2, 2, 4, 5, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of the certificates of one key, that of who has issued the other one signs
// nothing; the next one of the identity provider does.
func TestIssuersDoNotSign(t *testing.T) {
	issuer := strangerKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(30), NotBefore: noon.AddDate(0, -2, 0), NotAfter: noon.AddDate(0, 9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, idpPair().signer.Public(), issuer.signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusted := func(certs ...*x509.Certificate) func(*saml.Options) {
		between := `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>`
		return func(o *saml.Options) {
			o.Settings.Metadata = sub(between, "</ds:X509Certificate><ds:X509Certificate>")(idpMetadata(certs...))
		}
	}
	tests := []struct {
		name    string
		options func(*saml.Options)
		key     *keyPair
		want    saml.Code
	}{
		{"issued", trusted(leaf, issuer.cert), &keyPair{idpPair().signer, leaf}, ""},
		{"issuer", trusted(leaf, issuer.cert), issuer, saml.CodeSignature},
		{"issuer that comes first", trusted(issuer.cert, leaf), issuer, saml.CodeSignature},
		{"present one", trusted(idpPair().cert, nextPair().cert), idpPair(), ""},
		{"next one", trusted(idpPair().cert, nextPair().cert), nextPair(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := provider(t, tt.options).Verify([]byte(shape{key: tt.key}.make(t)), requestID, noon); codeOf(err) != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	end := idpPair().cert.NotAfter
	day := 24 * time.Hour
	tests := []struct {
		name string
		edit edit
		now  time.Time
		want []string
	}{
		{name: "nothing", now: end.Add(-30 * day)},
		{name: "soon", now: end.Add(-30*day + time.Second), want: []string{"expires on"}},
		{name: "expired", now: end.Add(time.Second), want: []string{"has expired"}},
		{name: "not yet", now: noon.AddDate(-1, 0, 0), want: []string{"not valid before"}},
		{name: "left out", edit: sub("https://idp.example.com/post", "/post"), now: noon, want: []string{"SingleSignOnService for HTTP-POST is left out"}},
		{name: "metadata", edit: sub("entityID=", `validUntil="2026-03-04T12:00:00Z" entityID=`), now: noon, want: []string{"asked to be replaced"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			idp, err := saml.ParseMetadata([]byte(tt.edit.apply(idpMetadata(idpPair().cert))))
			if err != nil {
				t.Fatal(err)
			}
			got := idp.Warnings(tt.now)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// Whoever runs the server hears of a certificate that expires, once a day.
func TestWarningsAreLogged(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	s.now = idpPair().cert.NotAfter.Add(-10 * 24 * time.Hour)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {0, 0}, {24 * time.Hour, 1}, {-time.Hour, 1}} { // set back, nobody waits for the old time
		want := step.want
		s.now = s.now.Add(step.after)
		s.log.Reset()
		s.get("metadata")
		s.get("login")
		if got := strings.Count(s.log.String(), "a certificate of the identity provider"); got != want {
			t.Errorf("%d warnings, want %d:\n%s", got, want, s.log.String())
		}
	}
}

// What is to know about a preset is no news on the next day, nor a warning.
func TestNotesAreLoggedOnce(t *testing.T) {
	s := newSite(t, memory.New(), func(s *provision.SAML) { s.Preset = "okta" })
	for _, want := range []int{1, 0} {
		s.log.Reset()
		s.get("metadata")
		s.now = s.now.Add(24 * time.Hour)
		s.get("login")
		if got := strings.Count(s.log.String(), `level=INFO msg="saml: groups: only the groups`); got != want {
			t.Errorf("%d notes, want %d:\n%s", got, want, s.log.String())
		}
		if strings.Contains(s.log.String(), "WARN") {
			t.Errorf("warns: %s", s.log.String())
		}
	}
}

func TestSettings(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		edit  func(*saml.Options)
		field string
	}{
		{name: "good", edit: func(*saml.Options) {}},
		{name: "longest skew", edit: func(o *saml.Options) { o.Settings.ClockSkewSeconds = 300 }},
		{name: "this machine", edit: func(o *saml.Options) { o.BaseURL = "http://127.0.0.1:8080/saml/demo/" }},
		{name: "preset", edit: func(o *saml.Options) { o.Settings.Preset = "okta" }},

		{name: "no address", edit: func(o *saml.Options) { o.BaseURL = "" }, field: "saml.baseURL"},
		{name: "http", edit: func(o *saml.Options) { o.BaseURL = "http://app.example.com/" }, field: "saml.baseURL"},
		{name: "query", edit: func(o *saml.Options) { o.BaseURL = "https://app.example.com/?a" }, field: "saml.baseURL"},
		{name: "semicolon", edit: func(o *saml.Options) { o.BaseURL = "https://app.example.com/a;b" }, field: "saml.baseURL"},
		{name: "no metadata", edit: func(o *saml.Options) { o.Settings.Metadata = "" }, field: "saml.metadata"},
		{name: "skew", edit: func(o *saml.Options) { o.Settings.ClockSkewSeconds = 301 }, field: "saml.clockSkewSeconds"},
		{name: "negative skew", edit: func(o *saml.Options) { o.Settings.ClockSkewSeconds = -1 }, field: "saml.clockSkewSeconds"},
		{name: "entity id", edit: func(o *saml.Options) { o.Settings.EntityID = " a" }, field: "saml.entityID"},
		{name: "long entity id", edit: func(o *saml.Options) { o.Settings.EntityID = strings.Repeat("a", 1025) }, field: "saml.entityID"},
		{name: "unknown format", edit: func(o *saml.Options) { o.Settings.NameIDFormat = "nobody" }, field: "saml.nameIDFormat"},
		{name: "unknown context", edit: func(o *saml.Options) { o.Settings.AuthnContext = []string{"Password", "nobody"} }, field: "saml.authnContext"},
		{name: "group attribute twice", edit: func(o *saml.Options) { o.Settings.Groups = []string{"a", "a"} }, field: "saml.groups"},
		{name: "other identity provider", edit: func(o *saml.Options) { o.Settings.IDPEntityID = "https://other.example.com" }, field: "saml.metadata"},
		{name: "unknown preset", edit: func(o *saml.Options) { o.Settings.Preset = "nobody" }, field: "saml.preset"},
		{name: "unknown field", edit: func(o *saml.Options) { o.Settings.Mapping = map[string]string{"shoeSize": "x"} }, field: "saml.mapping"},
		{name: "signing without a key", edit: func(o *saml.Options) { withoutKey(o); o.Settings.SignRequests = true }, field: "saml.signRequests"},
		{name: "key without certificate", edit: func(o *saml.Options) { o.Certificate = nil }, field: "saml.key"},
		{name: "certificate of another key", edit: func(o *saml.Options) { o.Certificate = idpPair().cert }, field: "saml.key"},
		{name: "spare key", edit: spare(strangerKey())},
		{name: "spare key without certificate", edit: func(o *saml.Options) { o.SpareKey = o.Key }, field: "saml.spareKey"},
		{name: "spare key alone", edit: func(o *saml.Options) { spare(strangerKey())(o); withoutKey(o) }, field: "saml.spareKey"},
		{name: "encryption", edit: func(o *saml.Options) { o.Settings.Encryption = "On" }, field: "saml.encryption"},
		{name: "short key", edit: func(o *saml.Options) {
			o.Key, o.Certificate = small, newPair(small, 9, noon, noon.AddDate(1, 0, 0)).cert
		}, field: "saml.key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := saml.Options{
				Connection:  "demo",
				Settings:    provision.SAML{Metadata: idpMetadata(idpPair().cert)},
				BaseURL:     spBase,
				Key:         spPair().signer.(*rsa.PrivateKey),
				Certificate: spPair().cert,
			}
			tt.edit(&o)
			_, err := saml.NewServiceProvider(o)
			var wrong *provision.ConnectionError
			if tt.field == "" && err == nil {
				return
			}
			if !errors.As(err, &wrong) || wrong.Field != tt.field || wrong.Connection != "demo" {
				t.Errorf("got %v, want field %q", err, tt.field)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	c := provision.Connection{ID: "new"}
	if warnings, err := s.handler.Check(c); warnings != nil || err != nil {
		t.Errorf("without SAML: %q, %v", warnings, err)
	}
	c.SAML = &provision.SAML{Metadata: idpMetadata(idpPair().cert)}
	s.now = idpPair().cert.NotAfter.Add(-time.Hour)
	if warnings, err := s.handler.Check(c); err != nil || !strings.Contains(strings.Join(warnings, "\n"), "expires on") {
		t.Errorf("%q, %v", warnings, err)
	}
	c.SAML = &provision.SAML{MetadataURL: "https://idp.example.com/metadata"}
	if warnings, err := s.handler.Check(c); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "has not been fetched") {
		t.Errorf("%q, %v", warnings, err)
	}
	c.SAML = &provision.SAML{Metadata: "<EntityDescriptor/>"}
	var wrong *provision.ConnectionError
	if _, err := s.handler.Check(c); !errors.As(err, &wrong) || wrong.Field != "saml.metadata" || wrong.Connection != "new" {
		t.Errorf("got %v", err)
	}
	if _, err := (&saml.Handler{}).Check(c); err == nil {
		t.Error("a handler without BaseURL checks nothing")
	}
}
