package saml_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// away is a store that can be away.
type away struct {
	store.Store
	gone atomic.Bool
	busy atomic.Bool // updates are lost at their end
}

func (a *away) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if a.gone.Load() {
		return &store.UnavailableError{RetryAfter: 3 * time.Second}
	}
	return a.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		err := fn(ctx, tx)
		if err == nil && a.busy.Load() {
			err = &store.UnavailableError{RetryAfter: 3 * time.Second}
		}
		return err
	})
}

func (a *away) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if a.gone.Load() {
		return &store.UnavailableError{RetryAfter: 3 * time.Second}
	}
	return a.Store.View(ctx, scope, fn)
}

// A login that the store does not remember does not happen.
func TestStoreAway(t *testing.T) {
	a := &away{Store: memory.New()}
	s := newSite(t, a, unsolicited)
	response := shape{assertion: unanswered, response: unanswered}.make(t)
	a.gone.Store(true)
	answer := s.post(response, "")
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "3" || len(s.accounts) != 0 {
		t.Errorf("status %d, logins %q", answer.StatusCode, s.accounts)
	}
	a.gone.Store(false)
	if got := s.post(response, "").StatusCode; got != http.StatusNoContent {
		t.Errorf("afterwards: status %d\n%s", got, s.log.String())
	}
}

// A message that the store could not take counts when it comes again, by the same
// browser: that of a login, of its refusal, and of a logout.
func TestStoreBusy(t *testing.T) {
	a := &away{Store: memory.New()}
	s := newSite(t, a, withLogout)
	twice := func(what string, post func() *reply, want int, log string) {
		t.Helper()
		a.busy.Store(true)
		if answer := post(); answer.StatusCode != http.StatusServiceUnavailable && want != http.StatusForbidden || answer.Cookies() != nil && want == http.StatusNoContent {
			t.Errorf("%s, while the store is busy: status %d, cookies %v", what, answer.StatusCode, answer.Cookies())
		}
		a.busy.Store(false)
		s.log.Reset()
		if answer := post(); answer.StatusCode != want || !strings.Contains(s.log.String(), log) {
			t.Errorf("%s, afterwards: status %d\n%s", what, answer.StatusCode, s.log.String())
		}
		s.log.Reset()
		if answer := post(); answer.StatusCode != http.StatusBadRequest || !strings.Contains(s.log.String(), "code=replay") {
			t.Errorf("%s, again: status %d\n%s", what, answer.StatusCode, s.log.String())
		}
	}
	begun := s.begin("")
	response := answerTo(begun.id).make(t)
	login := func() *reply { return s.post(response, begun.relayState, begun.cookie) }
	twice("a login", login, http.StatusNoContent, "")
	twice("a logout", func() *reply {
		return s.get("logout?" + logoutQuery(t, "SAMLRequest", logoutRequest, "", rsaSHA256, idpPair()))
	}, http.StatusFound, "logged out by the identity provider")
	if got := s.ended(); got != "jane@example.com sessionIndex=s1" || len(s.accounts) != 1 {
		t.Errorf("ended %q, logins %q", got, s.accounts)
	}
	accounts, err := s.engine.Directory("demo").Accounts(t.Context(), provision.AccountQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.engine.Directory("demo").As(provision.Actor{Kind: "operator"}).Disable(t.Context(), accounts[0].ID); err != nil {
		t.Fatal(err)
	}
	begun = s.begin("")
	response = answerTo(begun.id).make(t)
	twice("a refusal", login, http.StatusForbidden, "code=disabled")
}
