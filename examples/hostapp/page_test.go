package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/jit/samltest"
)

// start starts the application in this process.
func start(t *testing.T) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	dir := t.TempDir()
	go func() { ended <- run(ctx, "127.0.0.1:0", dir, in) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	c := newClient(t, out)
	c.token = c.issue()
	return c
}

// press changes fields of the form and presses a button.
func (c *client) press(button string, fields url.Values, change map[string]string) (status int, page string) {
	c.t.Helper()
	fields.Set("do", button)
	for name, value := range change {
		fields.Set(name, value)
	}
	return c.settings(fields)
}

const scimUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s"}`

func (c *client) create(name string) (id string) {
	c.t.Helper()
	u, err := c.scim(http.MethodPost, "/Users", fmt.Sprintf(scimUser, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return u.ID
}

// greets reports whether the application knows the browser.
func (c *client) greets(browser *http.Client, name string) bool {
	c.t.Helper()
	resp, err := browser.Get(c.base + "/")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Contains(string(page), "Hello "+name)
}

// awaitEnd returns when the session of a browser has ended: events come after the
// request that made them.
func (c *client) awaitEnd(browser *http.Client, name string) {
	c.t.Helper()
	limit, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for c.greets(browser, name) {
		select {
		case <-tick.C:
		case <-limit:
			c.t.Fatalf("the session of %s goes on", name)
		}
	}
}

// A person comes by SCIM or by a login, has a session, and loses it with a logout at
// the identity provider, with the account, and with the right to log in.
func TestSessions(t *testing.T) {
	c := start(t)
	idp := samltest.New(t)
	if status, page := c.press("save", c.form(), map[string]string{"metadata": idp.Metadata(), "requiredGroups": ""}); status != http.StatusOK {
		t.Fatalf("saving: %d %s", status, page)
	}
	id := c.create("ada@example.com")
	ada := samltest.User{UserName: "ada@example.com", Email: "ada@example.com"}
	got := idp.Login(t, c.base+"/saml/demo/login", ada)
	if got.Status != http.StatusSeeOther || !c.greets(got.Browser, "ada@example.com") {
		t.Fatalf("ada's login: %d %s", got.Status, got.Body)
	}
	if out := idp.Logout(t, c.base+"/saml/demo/logout", ada, time.Time{}); out.Status != http.StatusFound {
		t.Fatalf("ada's logout: %d %s", out.Status, out.Body)
	}
	c.awaitEnd(got.Browser, "ada@example.com")
	if got = idp.Login(t, c.base+"/saml/demo/login", ada); !c.greets(got.Browser, "ada@example.com") {
		t.Fatalf("ada's second login: %d %s", got.Status, got.Body)
	}
	deactivate := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	if _, err := c.scim(http.MethodPatch, "/Users/"+id, deactivate); err != nil {
		t.Fatal(err)
	}
	c.awaitEnd(got.Browser, "ada@example.com")

	// Nobody has heard of bob before.
	form := c.form()
	if status, page := c.press("save", form, map[string]string{"provisionOnFirstLogin": "true", "requiredGroups": "Staff"}); status != http.StatusOK {
		t.Fatalf("saving: %d %s", status, page)
	}
	bob := samltest.User{UserName: "bob@example.com", Email: "bob@example.com", Groups: []string{"Staff"}}
	got = idp.Login(t, c.base+"/saml/demo/login?return=/", bob)
	if got.Status != http.StatusSeeOther || !c.greets(got.Browser, "bob@example.com") {
		t.Fatalf("bob's first login: %d %s", got.Status, got.Body)
	}
	bob.Groups = []string{"Other"}
	if again := idp.Login(t, c.base+"/saml/demo/login", bob); again.Status != http.StatusForbidden {
		t.Fatalf("bob without the group: %d", again.Status)
	}
	c.awaitEnd(got.Browser, "bob@example.com")
}

// The preview names who would change, and saves nothing.
func TestPreview(t *testing.T) {
	c := start(t)
	c.create("ada@example.com")
	before := c.form()
	status, page := c.press("preview", c.form(), map[string]string{"requiredGroups": "Staff, \"a, b\""})
	if status != http.StatusOK || !strings.Contains(page, "would change: 1.") || !strings.Contains(page, "ada@example.com") {
		t.Errorf("the preview: %d %s", status, page)
	}
	if !strings.Contains(page, `value="save"`) || !strings.Contains(page, `name="requiredGroups" value="Staff, &#34;a, b&#34;"`) {
		t.Error("the preview cannot be saved")
	}
	if got := c.form().Encode(); got != before.Encode() {
		t.Errorf("the preview has saved %s", got)
	}
	if status, page := c.press("preview", c.form(), map[string]string{"timeZone": "Nowhere"}); status != http.StatusBadRequest || !strings.Contains(page, "timeZone") {
		t.Errorf("a wrong value: %d", status)
	}
}

// A form that was open while another was saved wipes nothing out.
func TestStaleForm(t *testing.T) {
	c := start(t)
	first, second := c.form(), c.form()
	if status, _ := c.press("save", first, map[string]string{"company": "First"}); status != http.StatusOK {
		t.Fatalf("the first: %d", status)
	}
	status, page := c.press("save", second, map[string]string{"company": "Second"})
	if status != http.StatusConflict || !strings.Contains(page, "Somebody has changed the settings") {
		t.Errorf("the second: %d", status)
	}
	if got := c.form().Get("company"); got != "First" {
		t.Errorf("saved is %q", got)
	}
}

// A new token works beside the old one, until that is revoked.
func TestRotation(t *testing.T) {
	c := start(t)
	works := func(token string) bool {
		c.token = token
		_, err := c.scim(http.MethodGet, "/Users", "")
		return err == nil
	}
	old := c.token
	_, page := c.settings(nil)
	_, rest, _ := strings.Cut(page, `name="id" value="`)
	id, _, _ := strings.Cut(rest, `"`)
	fresh := c.issue()
	if !works(old) || !works(fresh) {
		t.Error("the tokens do not overlap")
	}
	if status, _ := c.settings(url.Values{"do": {"issue"}}); status != http.StatusBadRequest {
		t.Errorf("a third token: %d", status)
	}
	if status, _ := c.settings(url.Values{"do": {"revoke"}, "id": {id}}); status != http.StatusOK {
		t.Errorf("revoking: %d", status)
	}
	if works(old) || !works(fresh) {
		t.Error("the old token works, or the new one does not")
	}
}

// The settings are for the operator alone, and no other site presses their
// buttons.
func TestOperator(t *testing.T) {
	c := start(t)
	for _, test := range []struct {
		name, password, site string
		want                 int
	}{
		{"the operator", c.operator, "same-origin", http.StatusOK},
		{"a wrong token", "guess", "same-origin", http.StatusUnauthorized},
		{"no token", "", "same-origin", http.StatusUnauthorized},
		{"another site", c.operator, "cross-site", http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+"/settings", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("", test.password)
		req.Header.Set("Sec-Fetch-Site", test.site)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", test.name, resp.StatusCode, test.want)
		}
	}
}
