package saml_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func TestReplay(t *testing.T) {
	onEveryStore(t, func(t *testing.T, open func() store.Store) {
		testReplay(t, newSite(t, open(), unsolicited), newSite(t, open(), unsolicited))
	})
}

func testReplay(t *testing.T, s, replica *site) {
	t.Helper()
	a := s.begin("")
	first := answerTo(a.id).make(t)
	if got := s.post(first, a.relayState, a.cookie).StatusCode; got != http.StatusNoContent {
		t.Fatalf("status %d\n%s", got, s.log.String())
	}
	again := answerTo(a.id)
	again.assertion = all(again.assertion, sub(`ID="_a`, `ID="_b`))
	unasked := shape{assertion: unanswered, response: unanswered}.make(t)
	if got := s.post(unasked, "").StatusCode; got != http.StatusNoContent {
		t.Fatalf("status %d\n%s", got, s.log.String())
	}
	for name, post := range map[string]func(*site) *reply{
		"same assertion":                func(s *site) *reply { return s.post(first, a.relayState, a.cookie) },
		"other assertion, same request": func(s *site) *reply { return s.post(again.make(t), a.relayState, a.cookie) },
		"same assertion, nobody asked":  func(s *site) *reply { return s.post(unasked, "") },
		"same assertion, within the skew": func(s *site) *reply {
			s.now = noon.Add(6*time.Minute - time.Second)
			return s.post(unasked, "")
		},
	} {
		for _, at := range []*site{s, replica} {
			at.log.Reset()
			at.now = noon
			answer := post(at)
			if answer.StatusCode != http.StatusBadRequest || !strings.Contains(at.log.String(), "code=replay") {
				t.Errorf("%s: status %d\n%s", name, answer.StatusCode, at.log.String())
			}
		}
	}
	if len(s.accounts) != 2 || len(replica.accounts) != 0 {
		t.Errorf("logins %q, %q", s.accounts, replica.accounts)
	}
}

// Of what a browser delivers twice, both the assertion and the request are used
// up, each by itself: the one for as long as the assertion is valid, the other for
// as long as the cookie of the request counts.
func TestSecondDelivery(t *testing.T) {
	s := newSite(t, memory.New(), nil)
	a := s.begin("")
	delivered := answerTo(a.id).make(t)
	another := func(prefix string) string { // an assertion that is valid for longer than the cookie
		r := answerTo(a.id)
		r.assertion = all(r.assertion, sub(`ID="_a`, `ID="`+prefix), sub("12:05:00Z", "12:30:00Z"), sub("12:10:00Z", "12:30:00Z"))
		return r.make(t)
	}
	const lastMoment = 10*time.Minute - time.Second

	deliveries := []struct {
		name     string
		response string
		after    time.Duration
		want     int
		log      string
	}{
		{"first", delivered, 0, http.StatusNoContent, ""},
		{"again", delivered, 0, http.StatusBadRequest, "saml assertion"},
		{"again, as long as it is valid", delivered, 6*time.Minute - time.Second, http.StatusBadRequest, "saml assertion"},
		{"another answer", another("_b"), 0, http.StatusBadRequest, "saml request"},
		{"another answer, as long as the cookie counts", another("_c"), lastMoment, http.StatusBadRequest, "saml request"},
		{"another answer, when it does not any more", another("_d"), lastMoment + time.Second, http.StatusBadRequest, "no_request"},
	}
	for _, d := range deliveries {
		t.Run(d.name, func(t *testing.T) {
			s.log.Reset()
			s.now = noon.Add(d.after)
			answer := s.post(d.response, a.relayState, a.cookie)
			if answer.StatusCode != d.want || !strings.Contains(s.log.String(), d.log) {
				t.Errorf("status %d, want %d and %q in the log: %s", answer.StatusCode, d.want, d.log, s.log.String())
			}
		})
	}
	if len(s.accounts) != 1 {
		t.Errorf("logins %q", s.accounts)
	}
}
