package saml_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser is what the tests have for one: cookies, redirects and forms.
type browser struct {
	t      *testing.T
	client http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: http.Client{Jar: jar}}
}

// page is an answer, after redirects.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   string
}

func (b *browser) get(address string) page {
	b.t.Helper()
	return b.do(http.MethodGet, address, nil)
}

func (b *browser) post(address string, fields url.Values) page {
	b.t.Helper()
	return b.do(http.MethodPost, address, fields)
}

func (b *browser) do(method, address string, fields url.Values) page {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if fields != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{url: answer.Request.URL, status: answer.StatusCode, header: answer.Header, body: string(body)}
}

// submit posts the only form of a page as a script of the page or a click would.
func (b *browser) submit(p page, fill url.Values) page {
	b.t.Helper()
	action, fields := p.form(b.t)
	for name, values := range fill {
		fields[name] = values
	}
	return b.post(action, fields)
}

// form returns where the form of a page goes, and its fields.
func (p page) form(t *testing.T) (action string, fields url.Values) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(p.body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, p.body)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attr := map[string]string{}
		for _, a := range start.Attr {
			attr[a.Name.Local] = a.Value
		}
		switch start.Name.Local {
		case "form":
			to, err := p.url.Parse(attr["action"])
			if err != nil || fields != nil || attr["method"] != "post" {
				t.Fatalf("not one form to post: %s", p.body)
			}
			action, fields = to.String(), url.Values{}
		case "input":
			if attr["name"] != "" {
				fields.Set(attr["name"], attr["value"])
			}
		}
	}
	if fields == nil {
		t.Fatalf("status %d, no form: %s", p.status, p.body)
	}
	return action, fields
}
