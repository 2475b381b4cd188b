package provision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// pend generates a credential that waits.
func (tn *tenant) pend(method string) (provision.Secret, provision.Credential) {
	tn.t.Helper()
	secret, cred, err := tn.operator().IssueCredential(tn.t.Context(), provision.NewCredential{Method: method, Pending: true})
	if err != nil {
		tn.t.Fatal(err)
	}
	return secret, cred
}

// A step of a credential that is generated in a form: what is done, and which of the
// secrets count after it.
type pendingStep struct {
	name   string
	do     func() error
	code   string   // of the refusal
	counts []string // names of secrets
	events string   // types, in order
}

func TestPendingCredentials(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		secrets, ids := map[string]provision.Secret{}, map[string]string{}
		issue := func(name string, n provision.NewCredential) func() error {
			return func() error {
				secret, cred, err := tn.operator().IssueCredential(t.Context(), n)
				secrets[name], ids[name] = secret, cred.ID
				if err == nil && n.Pending != cred.PendingUntil.Equal(tn.clock.Now().Add(time.Hour)) {
					err = fmt.Errorf("it waits until %v", cred.PendingUntil)
				}
				return err
			}
		}
		activate := func(name string) func() error {
			return func() error {
				cred, err := tn.operator().ActivateCredential(t.Context(), ids[name])
				if err == nil && !cred.PendingUntil.IsZero() {
					err = errors.New("it still waits")
				}
				return err
			}
		}
		pass := func(d time.Duration) func() error {
			return func() error { tn.clock.add(d); tn.runOnce(); return nil }
		}
		soon := tn.clock.Now().Add(90 * time.Minute)
		for _, step := range []pendingStep{
			{"a token", issue("t1", provision.NewCredential{}), "", []string{"t1"}, "credential.created"},
			{"a pending password", issue("p1", provision.NewCredential{Method: "basic", Pending: true}), "", []string{"t1"}, "credential.created"},
			{"another", issue("p2", provision.NewCredential{Method: "basic", Pending: true}), "", []string{"t1"}, "credential.created"},
			{"nothing is over", pass(time.Hour - time.Second), "", []string{"t1"}, ""},
			{"the form is saved", activate("p1"), "", []string{"p1"}, "credential.revoked connection.updated"},
			{"twice", activate("p1"), "", []string{"p1"}, ""},
			{"an hour is over", pass(time.Second), "", []string{"p1"}, "credential.revoked"},
			{"too late", activate("p2"), "not found", []string{"p1"}, ""},
			{"one that ends soon", issue("p3", provision.NewCredential{Method: "basic", Pending: true, Expires: soon}), "", []string{"p1"}, "credential.created"},
			{"its end comes", pass(31 * time.Minute), "", []string{"p1"}, ""},
			{"it has ended", activate("p3"), "credential_in_the_past", []string{"p1"}, ""},
			{"a second", issue("p4", provision.NewCredential{Method: "basic"}), "", []string{"p1", "p4"}, "credential.created"},
			{"a pending third", issue("p5", provision.NewCredential{Method: "basic", Pending: true}), "", []string{"p1", "p4"}, "credential.created"},
			{"is one too many", activate("p5"), "credential_one_too_many", []string{"p1", "p4"}, ""},
			{"a pending token", issue("t2", provision.NewCredential{Method: "token", Pending: true}), "", []string{"p1", "p4"}, "credential.created"},
			{"is of the other method", activate("t2"), "", []string{"t2"}, "credential.revoked credential.revoked connection.updated"},
			{"no such method", issue("x", provision.NewCredential{Method: "tokn"}), "argument_method", []string{"t2"}, ""},
			{"an end that has passed", issue("x", provision.NewCredential{Expires: tn.clock.Now(), Pending: true}), "credential_in_the_past", []string{"t2"}, ""},
		} {
			t.Run(step.name, func(t *testing.T) {
				at := tn.lastEvent()
				if got := codeOfRefusal(step.do()); got != step.code {
					t.Errorf("error %q, want %q", got, step.code)
				}
				var counts []string
				for _, name := range []string{"t1", "t2", "p1", "p2", "p3", "p4", "p5"} {
					if s := secrets[name]; s != (provision.Secret{}) && tn.accepted(s) {
						counts = append(counts, name)
					}
				}
				expectSame(t, "secrets that count", step.counts, counts)
				var told []string
				for _, typ := range tn.events(at) {
					told = append(told, string(typ))
				}
				if got := strings.Join(told, " "); got != step.events {
					t.Errorf("events %s, want %s", got, step.events)
				}
			})
		}
	})
}

// codeOfRefusal is the stable code of an error.
func codeOfRefusal(err error) string {
	var cred *provision.CredentialError
	var arg *provision.ArgumentError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, provision.ErrNotFound):
		return "not found"
	case errors.As(err, &cred):
		return cred.Code
	case errors.As(err, &arg):
		return arg.Code()
	}
	return err.Error()
}

// Four may wait. A fifth ends the oldest, and none that counts.
func TestManyPendingCredentials(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		live, _ := tn.issue(time.Time{})
		var ids []string
		for range 6 {
			_, cred := tn.pend("")
			ids = append(ids, cred.ID)
			tn.clock.add(time.Minute)
		}
		var listed []string
		for _, c := range tn.credentials() {
			if !c.PendingUntil.IsZero() {
				listed = append(listed, c.ID)
			}
		}
		expectSame(t, "pending", ids[2:], listed)
		if !tn.accepted(live) {
			t.Error("the live one was refused")
		}
		if list, err := tn.dir.Warnings(t.Context()); err != nil || strings.Contains(fmt.Sprint(list), ids[5]) {
			t.Errorf("warnings %v, %v: a pending one is none", list, err)
		}
		if err := tn.operator().RevokeCredential(t.Context(), ids[5]); err != nil {
			t.Error(err)
		}
		tn.clock.add(time.Hour)
		if n := len(tn.credentials()); n != 1 {
			t.Errorf("%d listed after an hour, want the live one", n)
		}
	})
}

// dropsPending has a credential wait. It is gone after two hours, whatever the clock says.
func dropsPending(l *life) func() {
	_, cred := l.pend("token")
	return func() {
		l.pass(2 * time.Hour)
		l.pass(2 * time.Minute)
		if _, err := l.operator().ActivateCredential(l.ctx, cred.ID); !errors.Is(err, provision.ErrNotFound) {
			l.t.Errorf("activated after two hours: %v", err)
		}
		l.soon("gone", func() bool { return len(l.credentials()) == 0 })
	}
}
