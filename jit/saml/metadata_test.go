package saml_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store/memory"
)

func TestParseMetadata(t *testing.T) {
	role := func(s string) edit { return sub("</md:IDPSSODescriptor>", s+"</md:IDPSSODescriptor>") }
	const ssoRedirect = `Location="https://idp.example.com/sso?tenant=1"`
	const ssoPOST = `Location="https://idp.example.com/post"`
	tests := []struct {
		name string
		edit edit
		want string // part of the error; "" means accepted
	}{
		{name: "good", edit: all()},
		{name: "declaration and byte order mark", edit: func(s string) string { return "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>" + s }},
		{name: "unused key", edit: role(`<md:KeyDescriptor use="encryption"></md:KeyDescriptor>`)},
		{name: "other role", edit: sub("<md:IDPSSODescriptor ", `<md:SPSSODescriptor></md:SPSSODescriptor><md:IDPSSODescriptor `)},
		{name: "http on this machine", edit: sub(ssoRedirect, `Location="http://127.0.0.1:8081/sso"`)},
		{name: "http on localhost", edit: sub(ssoRedirect, `Location="http://localhost/sso"`)},
		{name: "only POST", edit: sub("bindings:HTTP-Redirect", "bindings:SOAP")},

		{name: "empty", edit: func(string) string { return "" }, want: "ends early"},
		{name: "other root", edit: func(string) string { return "<a/>" }, want: "not an EntityDescriptor"},
		{name: "several entities", edit: func(s string) string {
			return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + s + `</md:EntitiesDescriptor>`
		}, want: "not an EntityDescriptor"},
		{name: "document type", edit: func(s string) string { return "<!DOCTYPE a>" + s }, want: "document type"},
		{name: "no entityID", edit: sub(` entityID="`+idpEntity+`"`, ""), want: "entityID"},
		{name: "blank entityID", edit: sub(idpEntity, " "), want: "entityID"},
		{name: "not for SAML 2.0", edit: sub("SAML:2.0:protocol", "SAML:1.1:protocol"), want: "no IDPSSODescriptor"},
		{name: "no certificate", edit: sub(`use="signing"`, `use="encryption"`), want: "no certificate"},
		{name: "broken certificate", edit: sub("<ds:X509Certificate>MII", "<ds:X509Certificate>AAA"), want: "a certificate"},
		{name: "certificate that is not base64", edit: sub("<ds:X509Certificate>", "<ds:X509Certificate>!"), want: "not base64"},
		{name: "no location", edit: all(sub("bindings:HTTP-Redirect", "bindings:SOAP"), sub("bindings:HTTP-POST", "bindings:SOAP")), want: "no SingleSignOnService"},
		{name: "javascript", edit: sub(ssoPOST, `Location="javascript:alert(1)"`), want: "SingleSignOnService"},
		{name: "data", edit: sub(ssoPOST, `Location="data:text/html,x"`), want: "SingleSignOnService"},
		{name: "http", edit: sub(ssoPOST, `Location="http://idp.example.com/post"`), want: "https"},
		{name: "http on a host with a misleading name", edit: sub(ssoPOST, `Location="http://127.0.0.1.example.com/"`), want: "https"},
		{name: "relative", edit: sub(ssoPOST, `Location="/post"`), want: "absolute"},
		{name: "user", edit: sub(ssoPOST, `Location="https://a@idp.example.com/"`), want: "absolute"},
		{name: "time", edit: sub("entityID=", `validUntil="soon" entityID=`), want: "validUntil"},
		{name: "eleven certificates", edit: manyKeys, want: "more than 10 certificates"},

		{name: "second root", edit: func(s string) string { return s + "<a/>" }, want: "second root"},
		{name: "text before the root", edit: func(s string) string { return "a" + s }, want: "text outside"},
		{name: "late declaration", edit: func(s string) string { return " <?xml version=\"1.0\"?>" + s }, want: "processing instruction"},
		{name: "not UTF-8", edit: func(s string) string { return s + "<!-- \xff -->" }, want: "not UTF-8"},
		{name: "unclosed", edit: sub("</md:EntityDescriptor>", ""), want: "ends early"},
		{name: "closed by another prefix", edit: all(sub("<md:IDPSSODescriptor ", `<md:IDPSSODescriptor xmlns:n="urn:oasis:names:tc:SAML:2.0:metadata" `), sub("</md:IDPSSODescriptor>", "</n:IDPSSODescriptor>")), want: "is not open"},
		{name: "undeclared prefix", edit: role("<x:a></x:a>"), want: "odd name"},
		{name: "undeclared prefix of an attribute", edit: role(`<a x:b=""></a>`), want: "odd name"},
		{name: "two colons", edit: role(`<a x::b=""></a>`), want: "syntax"},
		{name: "leading colon", edit: role(`<a :b=""></a>`), want: "odd name"},
		{name: "attribute twice", edit: role(`<a b="" b=""></a>`), want: "twice"},
		{name: "attribute twice by two prefixes", edit: role(`<a xmlns:x="urn:x" x:b="" b=""></a>`), want: "twice"},
		{name: "ID of another namespace", edit: role(`<a xmlns:x="urn:x" x:Id=""></a>`), want: "another namespace"},
		{name: "prefix twice", edit: role(`<a xmlns:x="urn:x" xmlns:x="urn:y"></a>`), want: "declared twice"},
		{name: "prefix xml", edit: role(`<a xmlns:xml="urn:x"></a>`), want: "reserved"},
		{name: "prefix xmlns", edit: role(`<a xmlns:xmlns="urn:x"></a>`), want: "reserved"},
		{name: "namespace of xml", edit: role(`<a xmlns:x="http://www.w3.org/XML/1998/namespace"></a>`), want: "reserved"},
		{name: "namespace of xmlns", edit: role(`<a xmlns="http://www.w3.org/2000/xmlns/"></a>`), want: "reserved"},
		{name: "undeclaring a prefix", edit: role(`<a xmlns:x=""></a>`), want: "not absolute"},
		{name: "relative namespace", edit: role(`<a xmlns="x"></a>`), want: "not absolute"},
		{name: "many attributes", edit: role("<a" + manyAttributes(129) + "></a>"), want: "attributes"},
		{name: "most attributes", edit: role("<a" + manyAttributes(128) + "></a>")},
		{name: "unknown entity", edit: role("&a;"), want: "entity"},

		{name: "large", edit: func(s string) string { return s + strings.Repeat(" ", 1<<20) }, want: "bytes"},
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

func manyAttributes(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, ` a%d=""`, i)
	}
	return out.String()
}

// manyKeys trusts ten more certificates.
func manyKeys(string) string {
	certs := []*x509.Certificate{idpPair().cert}
	for i := range int64(10) {
		certs = append(certs, newPair(ecPair().signer, 100+i, noon, noon.AddDate(1, 0, 0)).cert)
	}
	return idpMetadata(certs...)
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

// Only the first certificate of a key may sign: the others are of its issuers.
func TestIssuersDoNotSign(t *testing.T) {
	chain := sub("</ds:X509Certificate>", "</ds:X509Certificate><ds:X509Certificate>"+base64.StdEncoding.EncodeToString(strangerKey().cert.Raw)+"</ds:X509Certificate>")
	sp := provider(t, func(o *saml.Options) { o.Settings.Metadata = chain(o.Settings.Metadata) })
	if _, err := sp.Verify([]byte(shape{key: strangerKey()}.make(t)), requestID, noon); codeOf(err) != saml.CodeSignature {
		t.Errorf("got %v", err)
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
	for _, want := range []int{1, 0, 1} {
		s.log.Reset()
		s.get("metadata")
		s.get("login")
		if got := strings.Count(s.log.String(), "a certificate of the identity provider"); got != want {
			t.Errorf("%d warnings, want %d:\n%s", got, want, s.log.String())
		}
		if want == 0 {
			s.now = s.now.Add(24 * time.Hour)
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
	c.SAML = &provision.SAML{Metadata: "<EntityDescriptor/>"}
	var wrong *provision.ConnectionError
	if _, err := s.handler.Check(c); !errors.As(err, &wrong) || wrong.Field != "saml.metadata" || wrong.Connection != "new" {
		t.Errorf("got %v", err)
	}
	if _, err := (&saml.Handler{}).Check(c); err == nil {
		t.Error("a handler without BaseURL checks nothing")
	}
}
