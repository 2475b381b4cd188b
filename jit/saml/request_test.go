package saml_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/store/memory"
)

// A signature of the HTTP-Redirect binding is over the query as it was escaped
// (SAML bindings section 3.4.4.1).
func TestSignedRedirect(t *testing.T) {
	for name, edit := range map[string]func(*provision.SAML){
		"by setting":  func(s *provision.SAML) { s.SignRequests = true },
		"by metadata": func(s *provision.SAML) { s.Metadata = wantSigned(s.Metadata) },
	} {
		s := newSite(t, memory.New(), edit)
		to, err := s.begin("").answer.Location()
		if err != nil {
			t.Fatal(err)
		}
		q := to.Query()
		signed := "SAMLRequest=" + url.QueryEscape(q.Get("SAMLRequest")) + "&RelayState=" + url.QueryEscape(q.Get("RelayState")) + "&SigAlg=" + url.QueryEscape(q.Get("SigAlg"))
		signature, err := base64.StdEncoding.DecodeString(q.Get("Signature"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(signed))
		if err := rsa.VerifyPKCS1v15(spPair().cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var wantSigned = sub("<md:IDPSSODescriptor ", `<md:IDPSSODescriptor WantAuthnRequestsSigned="true" `)

func TestPOSTBinding(t *testing.T) {
	const hostile = `https://idp.example.com/?"><script>alert(1)</script>`
	for _, sign := range []bool{false, true} {
		s := newSite(t, memory.New(), func(s *provision.SAML) {
			s.SignRequests = sign
			s.Metadata = all(sub("bindings:HTTP-Redirect", "bindings:SOAP"),
				sub("https://idp.example.com/post", html.EscapeString(hostile)))(s.Metadata)
		})
		answer := s.get("login")
		body := answer.body
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, header %v", answer.StatusCode, answer.Header)
		}
		if strings.Count(body, "<script") != 1 || strings.Contains(body, "alert(1)</script>") {
			t.Errorf("body %s", body)
		}
		script := between(t, body, "<script>", "</script>")
		sum := sha256.Sum256([]byte(script))
		if policy := answer.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("policy %q", policy)
		}
		if cookies := answer.Cookies(); len(cookies) != 1 || cookies[0].Name != "saml_login_"+between(t, body, `name="RelayState" value="`, `"`) {
			t.Errorf("cookies %v", cookies)
		}
		request, err := base64.StdEncoding.DecodeString(html.UnescapeString(between(t, body, `name="SAMLRequest" value="`, `"`)))
		if err != nil {
			t.Fatal(err)
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(request); err != nil {
			t.Fatal(err)
		}
		if got := doc.Root().SelectAttrValue("Destination", ""); got != hostile {
			t.Errorf("destination %q", got)
		}
		context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{spPair().cert}})
		context.Clock = dsig.NewFakeClockAt(noon)
		if _, err := context.Validate(doc.Root()); (err == nil) != sign {
			t.Errorf("signed %v: %v", sign, err)
		}
	}
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)" + regexp.QuoteMeta(from) + "(.*?)" + regexp.QuoteMeta(to)).FindStringSubmatch(s)
	if found == nil {
		t.Fatalf("no %q in %s", from, s)
	}
	return found[1]
}

// Without TLS, browsers keep no SameSite=None cookie.
func TestLoopbackCookie(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	s.handler.BaseURL = func(c string) string { return "http://127.0.0.1:8080/saml/" + c }
	c := s.begin("").cookie
	if c.Secure || c.SameSite != http.SameSiteLaxMode || !c.HttpOnly {
		t.Errorf("cookie %v", c)
	}
}

// Another implementation reads the metadata as it is meant.
func TestServiceProviderMetadata(t *testing.T) {
	s := newSite(t, memory.New(), func(s *provision.SAML) { s.SignRequests = true })
	answer := s.get("metadata")
	body := answer.body
	if got := answer.Header.Get("Content-Type"); got != "application/samlmetadata+xml" {
		t.Errorf("content type %q", got)
	}
	var entity crewjam.EntityDescriptor
	if err := xml.Unmarshal([]byte(body), &entity); err != nil {
		t.Fatal(err)
	}
	if entity.EntityID != spEntity || len(entity.SPSSODescriptors) != 1 {
		t.Fatalf("metadata %s", body)
	}
	role := entity.SPSSODescriptors[0]
	if role.AuthnRequestsSigned == nil || !*role.AuthnRequestsSigned || role.WantAssertionsSigned == nil || !*role.WantAssertionsSigned {
		t.Error("signatures are not announced")
	}
	acs := role.AssertionConsumerServices
	if len(acs) != 1 || acs[0].Location != spACS || acs[0].Binding != crewjam.HTTPPostBinding {
		t.Errorf("consumers %+v", acs)
	}
	uses := map[string]bool{}
	for _, k := range role.KeyDescriptors {
		uses[k.Use] = true
		if certs := k.KeyInfo.X509Data.X509Certificates; len(certs) != 1 || certs[0].Data != base64.StdEncoding.EncodeToString(spPair().cert.Raw) {
			t.Errorf("%s: %d certificates", k.Use, len(certs))
		}
	}
	if !uses["signing"] || !uses["encryption"] || strings.Contains(body, "cbc") || strings.Contains(body, "validUntil") {
		t.Errorf("metadata %s", body)
	}
	bare, err := provider(t, withoutKey, func(o *saml.Options) { o.Settings.EntityID = "urn:example:app" }).Metadata()
	if err != nil || strings.Contains(string(bare), "KeyDescriptor") || !strings.Contains(string(bare), `entityID="urn:example:app"`) {
		t.Errorf("%v\n%s", err, bare)
	}
}

// A fault in this package or below it must not end the process.
func TestPanic(t *testing.T) {
	_, err := new(saml.ServiceProvider).Verify([]byte(shape{unsigned: true, assertion: sub(issuer, issuer+`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Signature>`)}.make(t)), requestID, noon)
	if codeOf(err) != saml.CodeInternal || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}

// What is asked of the identity provider is in the request.
func TestRequestOptions(t *testing.T) {
	s := newSite(t, memory.New(), func(s *provision.SAML) {
		s.ForceAuthn, s.NameIDFormat, s.AuthnContext = true, "persistent", []string{"REFEDS-MFA", "X509"}
	})
	request := s.begin("").request
	if got := request.SelectAttrValue("ForceAuthn", ""); got != "true" {
		t.Errorf("ForceAuthn %q", got)
	}
	if got := request.FindElement("./NameIDPolicy").SelectAttrValue("Format", ""); got != "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" {
		t.Errorf("Format %q", got)
	}
	contexts := request.FindElement("./RequestedAuthnContext")
	if got := contexts.SelectAttrValue("Comparison", ""); got != "exact" {
		t.Errorf("Comparison %q", got)
	}
	var classes []string
	for _, el := range contexts.ChildElements() {
		classes = append(classes, el.Text())
	}
	if got := strings.Join(classes, " "); got != "https://refeds.org/profile/mfa urn:oasis:names:tc:SAML:2.0:ac:classes:X509" {
		t.Errorf("classes %q", got)
	}
	plain := newSite(t, memory.New(), nil).begin("").request
	if plain.SelectAttr("ForceAuthn") != nil || plain.FindElement("./RequestedAuthnContext") != nil || plain.FindElement("./NameIDPolicy").SelectAttr("Format") != nil {
		t.Error("asks for what nobody set")
	}
}

// Who must authenticate again must have done so after the request, give or take the
// skew.
func TestForceAuthn(t *testing.T) {
	tests := []struct {
		name, instant string
		force         bool
		want          string // the code, or "" for a login
	}{
		{name: "after the request", instant: "2026-03-04T12:00:30Z", force: true},
		{name: "within the skew", instant: "2026-03-04T11:59:00Z", force: true},
		{name: "before the request", instant: "2026-03-04T11:58:59Z", force: true, want: "code=authn"},
		{name: "before the request, which matters to nobody", instant: "2026-03-04T08:00:00Z"},
		{name: "not told", force: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, memory.New(), func(s *provision.SAML) { s.ForceAuthn = tt.force })
			a := s.begin("")
			s.now = s.now.Add(time.Minute)
			response := answerTo(a.id)
			attribute := ""
			if tt.instant != "" {
				attribute = `AuthnInstant="` + tt.instant + `"`
			}
			response.assertion = all(response.assertion, sub(`AuthnInstant="2026-03-04T11:59:30Z"`, attribute))
			answer := s.post(response.make(t), a.relayState, a.cookie)
			if tt.want == "" && answer.StatusCode != http.StatusNoContent || !strings.Contains(s.log.String(), tt.want) || tt.want != "" && len(s.accounts) > 0 {
				t.Errorf("status %d\n%s", answer.StatusCode, s.log.String())
			}
		})
	}
}

// A login that nobody asked for cannot be forced, so that it must be fresh.
func TestForceAuthnUnasked(t *testing.T) {
	for instant, ok := range map[string]bool{"2026-03-04T11:49:00Z": true, "2026-03-04T11:48:59Z": false} {
		s := newSite(t, memory.New(), func(s *provision.SAML) { s.ForceAuthn, s.AllowIDPInitiated = true, true })
		s.post(shape{assertion: all(unanswered, sub("2026-03-04T11:59:30Z", instant)), response: unanswered}.make(t), "")
		if (len(s.accounts) == 1) != ok {
			t.Errorf("%s: logins %q\n%s", instant, s.accounts, s.log.String())
		}
	}
}
