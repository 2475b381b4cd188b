package console_test

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
)

// portalReader is a customer's administrator with a browser.
func portalReader(t *testing.T, f *fixture) *reader {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/portal/", &console.Handler{API: f.api, Portal: true, Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, f: f, server: server, client: &http.Client{Jar: jar}}
}

func (f *fixture) portalLink(n provision.NewPortalLink) (provision.PortalSecrets, provision.PortalLink) {
	f.t.Helper()
	told, link, err := f.engine.Directory(own).CreatePortalLink(f.t.Context(), n)
	if err != nil {
		f.t.Fatal(err)
	}
	return told, link
}

// A link is looked at without being used up, opens by its proof the pages that it is for and
// no others, and ends by revocation.
func TestPortal(t *testing.T) {
	r := portalReader(t, filled(t))
	told, link := r.f.portalLink(provision.NewPortalLink{
		Recipient: "it@customer.example", Send: true,
		Operations: []string{"connection.read", "accounts.list", "credentials.list", "groups.list"},
	})
	page := "/portal/" + told.Code
	for range 3 { // a mail scanner looks, and submits what it sees
		if a := r.get(page); a.status != 200 || strings.Contains(a.body, "zebra") || strings.Contains(a.body, "customer.example") {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for range 6 {
		if a := r.do(http.MethodPost, page, url.Values{}, nil); a.status != http.StatusOK || strings.Contains(a.body, "zebra") {
			t.Errorf("an empty proof: %d", a.status)
		}
	}
	if a := r.do(http.MethodPost, page, url.Values{"proof": {"eve@customer.example"}}, nil); a.status != http.StatusForbidden || !strings.Contains(a.body, "4 times") {
		t.Errorf("a wrong proof: %d", a.status)
	}
	a := r.do(http.MethodPost, page, url.Values{"proof": {"IT@customer.example "}}, nil)
	if a.status != 200 || a.path != "/portal/own/set-up" {
		t.Fatalf("the right proof: %d at %s: %s", a.status, a.path, a.body)
	}
	if strings.Contains(a.body, "/portal/own/settings") || !strings.Contains(a.body, "/portal/own/people") {
		t.Error("the tabs are not those of the link")
	}
	if a := r.get("/portal/"); a.path != "/portal/own/set-up" {
		t.Errorf("the first page: %s", a.path)
	}
	before := r.f.state()
	form := formToken(t, a.body)
	for path, want := range map[string]int{
		"/portal/own/people": 200, "/portal/own/groups": 200, "/portal/own/settings": 403, "/portal/own/overview": 403, "/portal/own/decisions": 403,
		"/portal/" + foreign + "/people": 404, "/portal/own/people/" + r.f.account[own]: 403,
	} {
		if a := r.get(path); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
	for path, fields := range map[string]url.Values{
		"/portal/own/set-up":   {"action": {"token"}},
		"/portal/own/settings": {"action": {"save"}},
		"/portal/own/go-live":  {"action": {"pause"}, "until": {"2030-01-01"}},
	} {
		fields.Set("form", form)
		if a := r.do(http.MethodPost, path, fields, nil); a.status != http.StatusForbidden && a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if r.f.state() != before {
		t.Error("something has changed")
	}
	if a := r.get(page); a.path != "/portal/own/set-up" {
		t.Errorf("the holder opens the link once more: %d at %s", a.status, a.path)
	}
	other := portalReader(t, r.f)
	if a := other.do(http.MethodPost, page, url.Values{"proof": {"it@customer.example"}}, nil); a.status != http.StatusNotFound {
		t.Errorf("used again: %d", a.status)
	}
	if a := other.get("/portal/own/people"); a.status != http.StatusForbidden || strings.Contains(a.body, "zebra") {
		t.Errorf("without a session: %d", a.status)
	}
	if err := r.f.engine.Directory(own).RevokePortalLink(t.Context(), link.ID); err != nil {
		t.Fatal(err)
	}
	if a := r.get("/portal/own/people"); a.status != http.StatusForbidden {
		t.Errorf("after revocation: %d", a.status)
	}
}

// Codes that are none lead nowhere, and a link is dead after five wrong proofs.
func TestPortalRefusals(t *testing.T) {
	r := portalReader(t, filled(t))
	for _, code := range []string{"x", "own~", "own~made-up", foreign + "~x", "~", "..%2f..", "%00", strings.Repeat("a", 3000)} {
		if a := r.get("/portal/" + code); a.status != http.StatusNotFound {
			t.Errorf("%.20s: %d", code, a.status)
		}
		if a := r.do(http.MethodPost, "/portal/"+code, url.Values{"proof": {"x"}}, nil); a.status != http.StatusNotFound {
			t.Errorf("%.20s: %d", code, a.status)
		}
	}
	told, _ := r.f.portalLink(provision.NewPortalLink{Operations: []string{"connection.read"}})
	for range 5 {
		r.do(http.MethodPost, "/portal/"+told.Code, url.Values{"proof": {"guess"}}, nil)
	}
	if a := r.do(http.MethodPost, "/portal/"+told.Code, url.Values{"proof": {told.Proof}}, nil); a.status != http.StatusNotFound {
		t.Errorf("after five guesses: %d", a.status)
	}
}
