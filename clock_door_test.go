package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// What comes to the door over jumps of the clock: the rows of TestDutiesOverJumps for
// logins, credentials and requests.

// A key that was used stays used when the clock is right again, and keeps no other
// one from being used.
func keepsKeys(l *life) func() {
	first := func(key string) bool { return useOnce(l.t, l.engine, key, l.clock.Now().Add(5*time.Minute)) }
	l.is("the first use", first("assertion"))
	return func() {
		l.pass(30 * time.Second)
		l.is("free for others", first("another"))
		l.is("used while work waits", !l.waits || !first("assertion"))
		l.clock.add(-l.jump)
		l.is("used", !first("assertion"))
	}
}

// Who logged in is known for a logout while the clock may be wrong.
func endsLogins(l *life) func() {
	name := provision.NameID{Value: "ann"}
	a := l.login(provision.Identity{UserName: "ann", NameID: name, Session: &provision.Session{Index: "s1", NameID: name, Until: l.clock.Now().Add(8 * time.Hour)}})
	return func() {
		expectSame(l.t, "sessions", []string{"s1"}, l.indexes(a.ID))
		if _, err := l.engine.Directory("acme").EndLogin(l.ctx, provision.Logout{NameID: name}); err != nil {
			l.t.Errorf("the logout: %v", err)
		}
	}
}

// The same refusal is told again after a minute.
func tellsDenials(l *life) func() {
	told := func() int { return l.countEvents(0, store.LoginDenied) }
	deny := func() {
		var denied *provision.DeniedError
		if _, err := l.engine.Directory("acme").Login(l.ctx, provision.Identity{UserName: "nobody", Evidence: policy.EvidenceAbsent}); !errors.As(err, &denied) {
			l.t.Fatalf("the login: %v", err)
		}
	}
	deny()
	deny()
	l.is("told once", told() == 1)
	return func() {
		l.pass(80 * time.Second)
		deny()
		l.is("told again", told() == 2)
	}
}

// What was told too early is told again in its time.
func tellsExpiry(l *life) func() {
	l.issue(l.clock.Now().Add(60 * oneDay))
	return func() {
		l.pass(10 * time.Second)
		l.clock.add(-l.jump)
		after := l.lastEvent()
		l.confirm()
		l.pass(60 * oneDay) // in steps of 20 days: the notice of 7 days is late
		l.round(l.ctx)
		list, err := l.dir.Events(l.ctx, after, 0)
		if err != nil {
			l.t.Fatal(err)
		}
		var days []string
		for _, ev := range list {
			if ev.Type == store.CredentialExpiring {
				days = append(days, string(ev.Changes[1].After))
			}
		}
		expectSame(l.t, "days left", []string{"30", "1"}, days)
	}
}

func notesUse(l *life) func() {
	secret, _ := l.issue(time.Time{})
	l.is("accepted", l.accepted(secret))
	l.pass(70 * time.Second)
	l.is("noted", !l.credentials()[0].LastUsed.IsZero())
	return func() {
		l.pass(70 * time.Second)
		used := l.clock.Now()
		if len(l.credentials()) == 1 && l.jump == threeYears {
			return // it has expired
		}
		l.is("accepted after the jump", l.accepted(secret))
		l.pass(70 * time.Second)
		l.is(fmt.Sprintf("noted: last used %s, and it was %s", l.credentials()[0].LastUsed, used), l.credentials()[0].LastUsed.Equal(used.Truncate(time.Millisecond)))
	}
}

// What another process revokes counts after a second, also where none is said to be.
func forgetsCredentials(l *life) func() {
	l.engine.SingleProcess = true
	secret, cred := l.issue(l.clock.Now().Add(2 * threeYears))
	l.is("accepted", l.accepted(secret))
	return func() {
		l.is("accepted after the jump", l.accepted(secret))
		l.clock.add(-l.jump)
		other := &provision.Engine{Store: l.store, Now: l.clock.Now}
		if err := other.Directory("acme").As(tester).RevokeCredential(l.ctx, cred.ID); err != nil {
			l.t.Fatal(err)
		}
		l.pass(2 * time.Second)
		l.is("revoked", !l.accepted(secret))
	}
}

func limitsRate(l *life) func() {
	secret, _ := l.issue(l.clock.Now().Add(2 * threeYears))
	for _, name := range []string{"ann", "bob"} {
		l.user(`{"userName":"` + name + `"}`)
	}
	handler := &scim.Handler{Engine: l.engine, Limits: scim.Limits{Rate: 1}}
	get := func(query string) (status int, next string) {
		r := httptest.NewRequestWithContext(l.ctx, http.MethodGet, "/Users?count=1&"+query, nil)
		r.Header.Set("Authorization", "Bearer "+secret.Token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var page struct{ NextCursor string }
		_ = json.Unmarshal(w.Body.Bytes(), &page)
		return w.Code, page.NextCursor
	}
	_, cursor := get("cursor=")
	for range 9 {
		get("cursor=")
	}
	status, _ := get("cursor=")
	l.is("too many", cursor != "" && status == http.StatusTooManyRequests)
	return func() {
		if l.restart {
			handler = &scim.Handler{Engine: l.engine, Limits: scim.Limits{Rate: 1}}
		}
		get("") // the first one may be refused
		l.pass(2 * time.Second)
		status, _ := get("cursor=" + cursor)
		if want := map[bool]int{true: http.StatusBadRequest, false: http.StatusOK}[l.jump >= time.Hour]; status != want {
			l.t.Errorf("the next page: %d, want %d", status, want)
		}
		l.pass(2 * time.Second)
		status, next := get("cursor=")
		l.is("served", status == http.StatusOK && next != "")
		status, _ = get("cursor=" + next)
		l.is("served the next page", status == http.StatusOK)
	}
}

// Nobody waits for longer than a minute.
func slowsGuesses(l *life) func() {
	fail := func() time.Duration { return l.engine.Plumbing().CountFailure("192.0.2.1") }
	for range 9 {
		fail()
	}
	l.is("slowed", fail() > 0)
	return func() {
		l.is("at most a minute", fail() <= time.Minute)
		l.pass(80 * time.Second)
		l.is("not slowed", fail() == 0)
	}
}

// Attempts count for their window, and nobody waits for longer.
func countsAttempts(l *life) func() {
	take := func() bool {
		ok, err := l.engine.Plumbing().TakeAttempt(l.ctx, "acme", "ann", 1, 30*time.Minute)
		if err != nil {
			l.t.Fatal(err)
		}
		return ok
	}
	l.is("the first", take())
	l.is("no second", !take())
	return func() {
		l.pass(31 * time.Minute)
		l.is("another", take())
	}
}

// The warning of a lost group ends.
func warnsOfLoss(l *life) func() {
	first := l.group("Everyone")
	l.user(`{"userName":"ann"}`)
	l.remove("Group", first)
	l.group("Everyone")
	warned := func() bool { return slices.Contains(l.standing(), "default_group_lost Everyone") }
	l.is("warned", warned())
	return func() {
		l.confirm()
		l.pass(60 * oneDay)
		l.is("over", !warned())
	}
}

// That work waits is told where other warnings are.
func warnsOfJump(l *life) func() {
	at := l.lastEvent()
	return func() {
		const code = "clock_jumped"
		jumped, err := l.engine.ClockJumped(l.ctx)
		if err != nil || jumped.IsZero() == l.waits {
			l.t.Errorf("jumped at %v, %v; want that work waits: %t", jumped, err, l.waits)
		}
		l.is("in the warnings", slices.Contains(l.standing(), code) == l.waits)
		told := func() int { return l.countEvents(at, store.ConnectionWarning) }
		l.is("told", (told() == 1) == l.waits)
		l.confirm()
		l.is("over", !slices.Contains(l.standing(), code))
		l.pass(2 * time.Second)
		before := told()
		l.clock.add(-l.jump) // another one
		l.pass(2 * time.Second)
		l.is("told again", (told() == before+1) == (l.jump.Abs() == threeYears))
	}
}
