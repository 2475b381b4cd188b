package samltest

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	crewjam "github.com/crewjam/saml"
)

// Answer is what the application answers at the end of a login.
type Answer struct {
	Status int
	Header http.Header
	Body   string

	// Browser is the one of the person, with the cookies of the application. It
	// follows redirects, but not to an identity provider of this package.
	Browser *http.Client
}

// Login logs a person in with a new browser, which begins at an address of the
// application: that of the login of a connection, such as
// ".../saml/okta/login", or one that redirects there. It returns what the
// application answers to the response of the identity provider, which is what
// OnLogin or OnDenied of jit.LoginHandler write; a redirect is returned, not
// followed. When the application does not send the browser to this identity
// provider, it returns the answer that the application has instead.
//
// What keeps the response from being made or sent fails the test: no answer, a
// request that cannot be read, no metadata of the application beside its ACS
// address.
func (p *IDP) Login(t T, address string, u User) *Answer {
	t.Helper()
	b := p.newBrowser(t)
	first := b.get(address)
	question, ok := p.redirected(first)
	if !ok {
		return first
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, question, nil)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	req, err := p.question(r)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	form, err := p.answer(req, b.metadata(req.Request.AssertionConsumerServiceURL), u)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	return b.post(form.URL, url.Values{"SAMLResponse": {form.SAMLResponse}, "RelayState": {form.RelayState}})
}

// redirected returns where an answer sends the browser, if it is here.
func (p *IDP) redirected(a *Answer) (address string, ok bool) {
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || u.Host != p.address.Host {
		return "", false
	}
	return u.String(), true
}

// browser is that of one person.
type browser struct {
	t      T
	client *http.Client
}

func (p *IDP) newBrowser(t T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("samltest: %v", err)
	}
	return &browser{t, &http.Client{Transport: p.Transport, Jar: jar, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if strings.HasSuffix(next.URL.Host, domain) || len(via) >= 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

func (b *browser) get(address string) *Answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatalf("samltest: %v", err)
	}
	return b.send(b.client, r)
}

// post sends a form and follows no redirect.
func (b *browser) post(address string, form url.Values) *Answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatalf("samltest: %v", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	once := *b.client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b.send(&once, r)
}

func (b *browser) send(client *http.Client, r *http.Request) *Answer {
	b.t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatalf("samltest: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it has been read
	if err != nil {
		b.t.Fatalf("samltest: %s: %v", r.URL, err)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body), Browser: b.client}
}

// metadata reads the metadata of the application, which is beside its ACS
// address.
func (b *browser) metadata(acs string) *crewjam.EntityDescriptor {
	b.t.Helper()
	at, ok := strings.CutSuffix(acs, "/acs")
	if !ok {
		b.t.Fatalf("samltest: the ACS address %s does not end in /acs", acs)
	}
	a := b.get(at + "/metadata")
	if a.Status != http.StatusOK {
		b.t.Fatalf("samltest: %s/metadata: status %d: %s", at, a.Status, a.Body)
	}
	entity := new(crewjam.EntityDescriptor)
	if err := xml.Unmarshal([]byte(a.Body), entity); err != nil {
		b.t.Fatalf("samltest: %s/metadata: %v", at, err)
	}
	return entity
}
