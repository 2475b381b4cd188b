package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// busy is a store that undoes an update at its end, as one does that is lost before the
// commit, as often as it is told.
type busy struct {
	store.Store
	times int
}

func (b *busy) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return b.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		err := fn(ctx, tx)
		if err == nil && b.times > 0 {
			b.times--
			err = &store.UnavailableError{RetryAfter: time.Second}
		}
		return err
	})
}

// usedKeys returns how many keys were used.
func usedKeys(t *testing.T, st store.Store) (n int) {
	t.Helper()
	err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		keys, err := r.Records("once", "", 0)
		n = len(keys)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The keys of a login, of its refusal and of a logout are used with it: once, and not at
// all where the store did not take it.
func TestKeysOfLogins(t *testing.T) {
	const policyJSON = `{"provisionOnFirstLogin":true,"requiredGroups":"Staff","passwordGroups":"Guests"}`
	ann := visitor("p1", "", "s1", time.Time{})
	ann.Groups, ann.DisplayName = asserted("Staff"), "Anna"
	gone := ann
	gone.Groups = asserted("Crew")
	guest := visitor("p2", "", "", time.Time{})
	guest.UserName, guest.Groups = "guest", asserted("Staff", "Guests")
	login := func(id provision.Identity) func(*tenant, ...provision.OnceKey) error {
		return func(tn *tenant, keys ...provision.OnceKey) error {
			id.Once = keys
			_, err := tn.engine.Directory("acme").Login(tn.t.Context(), id)
			return err
		}
	}
	logout := func(id provision.Identity) func(*tenant, ...provision.OnceKey) error {
		return func(tn *tenant, keys ...provision.OnceKey) error {
			_, err := tn.engine.Directory("acme").EndLogin(tn.t.Context(), provision.Logout{NameID: id.NameID, Once: keys})
			return err
		}
	}
	denied := func(code policy.Denial) func(error) bool {
		return func(err error) bool {
			var refused *provision.DeniedError
			return errors.As(err, &refused) && refused.Code == code
		}
	}
	for _, test := range []struct {
		name  string
		do    func(*tenant, ...provision.OnceKey) error
		want  func(error) bool // what becomes of it the first time
		event store.EventType  // the last one that it appends; empty: none
	}{
		{"a login", login(ann), func(err error) bool { return err == nil }, store.AccountUpdated},
		{"a login that is refused", login(gone), denied(policy.DeniedNotAdmitted), store.LoginDenied},
		{"a login of somebody who gets a password", login(guest), denied(policy.DeniedPassword), store.LoginDenied},
		{"a login that says nobody's name", login(provision.Identity{ID: "9", Groups: asserted("Staff")}), denied(policy.DeniedIncomplete), store.LoginDenied},
		{"a logout", logout(ann), func(err error) bool { return err == nil }, store.LoginEnded},
		{"a logout of nobody", logout(guest), func(err error) bool { return errors.Is(err, provision.ErrNotFound) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				b := &busy{Store: st}
				tn := newTenant(t, b, policyJSON)
				first := ann
				first.Session = &provision.Session{Index: "s0", NameID: ann.NameID}
				first.DisplayName = "Ann"
				tn.login(first)
				until := tn.clock.Now().Add(time.Minute)
				key := func(text string) provision.OnceKey { return provision.OnceKey{Text: text, Until: until} }

				stored := func() []string {
					return append(everything(t, st), fmt.Sprint(tn.lastEvent(), usedKeys(t, st)))
				}
				before := stored()
				b.times = 2
				err := test.do(tn, key("assertion"), key("request"))
				var away *provision.UnavailableError
				if b.times = 0; !errors.As(err, &away) {
					t.Errorf("where the store does not take it: %v", err)
				}
				if diff := cmp.Diff(before, stored()); diff != "" {
					t.Errorf("something was stored all the same (-before +after):\n%s", diff)
				}
				at := tn.lastEvent()
				if err := test.do(tn, key("assertion"), key("request")); !test.want(err) {
					t.Errorf("the first time: %v", err)
				}
				if got := tn.events(at); len(got) == 0 != (test.event == "") || len(got) > 0 && got[len(got)-1] != test.event {
					t.Errorf("events %v, want %q last", got, test.event)
				}
				at = tn.lastEvent()
				for _, again := range [][]provision.OnceKey{
					{key("assertion"), key("request")}, {key("request")}, {key("another"), key("assertion")},
				} {
					var replay *provision.ReplayError
					if err := test.do(tn, again...); !errors.As(err, &replay) || replay.Key == "another" {
						t.Errorf("again: %v", err)
					}
				}
				if got := tn.events(at); len(got) != 0 {
					t.Errorf("replays appended %v", got)
				}
				if !useOnce(t, tn.engine, "another", until) {
					t.Error("a replay has used another key")
				}
			})
		})
	}
}

// A login that is tried uses no key, and minds those that were used.
func TestKeysOfTriedLogins(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		id := visitor("p1", "", "", time.Time{})
		id.Once = []provision.OnceKey{{Text: "assertion", Until: tn.clock.Now().Add(time.Minute)}}
		for range 2 {
			if _, err := tn.engine.Directory("acme").TryLogin(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		tn.login(id)
		var replay *provision.ReplayError
		if _, err := tn.engine.Directory("acme").TryLogin(t.Context(), id); !errors.As(err, &replay) {
			t.Errorf("tried after the login: %v", err)
		}
	})
}
