package saml_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store"
)

// TestAttacks posts each message of testdata/saml/attacks to a server, as the
// browser that its row describes.
func TestAttacks(t *testing.T) {
	for _, a := range loadAttacks(t) {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			target := newTarget(t, a.Connection)
			form, cookies := target.browser(t, a.Browser)
			form.Set("SAMLResponse", base64.StdEncoding.EncodeToString(a.message(t)))
			for range a.Times - 1 {
				if answer := target.post(t, form, cookies); answer.status != http.StatusNoContent {
					t.Fatalf("the first time: status %d: %+v", answer.status, target.log.take())
				}
			}
			target.log.take()
			target.store.take()
			answer := target.post(t, form, cookies)
			if a.Expect == "reject" {
				target.checkRefused(t, a, answer)
			} else {
				target.checkLogin(t, a, answer)
			}
			if got := target.get(t, "metadata", nil).status; got != http.StatusOK {
				t.Errorf("afterwards the server answers %d", got)
			}
		})
	}
}

// refusalID is what differs between the pages of two refusals.
var refusalID = regexp.MustCompile(`[A-Z2-7]{26}`)

// checkRefused: the browser gets the page that the plainest nonsense gets, and
// the log has the reason, under the id of the page. Nothing is stored.
func (s *target) checkRefused(t *testing.T, a attack, answer answer) {
	t.Helper()
	if writes := s.store.take(); len(writes) > 0 {
		t.Errorf("wrote %q", writes)
	}
	if got := s.logins.Load(); got != int64(max(a.Times, 1)-1) {
		t.Errorf("%d logins", got)
	}
	entries := s.log.take()
	if len(entries) != 1 || entries[0].Code != a.Code || entries[0].Connection != "acme" || entries[0].Cause == "" {
		t.Errorf("the log has %+v, want code %q", entries, a.Code)
	}
	if ids := refusalID.FindAllString(answer.body, -1); len(ids) != 1 || len(entries) != 1 || ids[0] != entries[0].ID {
		t.Errorf("ids %q on the page, %+v in the log", ids, entries)
	}
	if a.Code == jit.CodeAttribute { // a valid message about somebody who may not log in
		if answer.status != http.StatusForbidden {
			t.Errorf("status %d", answer.status)
		}
		return
	}
	plain := s.post(t, url.Values{"SAMLResponse": {"nonsense"}}, nil)
	if answer.status != http.StatusBadRequest || answer.status != plain.status {
		t.Errorf("status %d", answer.status)
	}
	if diff := cmp.Diff(refusalID.ReplaceAllString(plain.body, "ID"), refusalID.ReplaceAllString(answer.body, "ID")); diff != "" {
		t.Errorf("the page (-nonsense +got):\n%s", diff)
	}
	for _, name := range []string{"Content-Type", "Content-Security-Policy", "Cache-Control", "Set-Cookie"} {
		if got, want := answer.header.Get(name), plain.header.Get(name); got != want {
			t.Errorf("header %s: %q instead of %q", name, got, want)
		}
	}
}

func (s *target) checkLogin(t *testing.T, a attack, answer answer) {
	t.Helper()
	if answer.status != http.StatusNoContent || s.logins.Load() != 1 {
		t.Fatalf("status %d, %d logins, log %+v", answer.status, s.logins.Load(), s.log.take())
	}
	accounts, err := s.engine.Directory("acme").Accounts(t.Context(), store.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if len(accounts) != 1 {
		t.Fatalf("%d accounts", len(accounts))
	}
	got := accounts[0]
	groups := []string{}
	for _, g := range got.Groups {
		groups = append(groups, g.Name)
	}
	slices.Sort(groups)
	if got.UserName != a.Subject {
		t.Errorf("logged in as %q, want %q", got.UserName, a.Subject)
	}
	if diff := cmp.Diff(a.Groups, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if got.SiteAdmin {
		t.Error("is a site admin")
	}
}
