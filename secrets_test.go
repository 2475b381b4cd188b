package provision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// bound returns settings with a directory that is read with a password.
func bound(secret provision.SecretText) provision.LDAP {
	l := provision.LDAP{URLs: []string{"ldaps://dc1.example:636"}, BindPassword: secret, BaseDNs: []string{"DC=example"}}
	if secret.Set() {
		l.BindDN = "CN=reader,DC=example"
	}
	return l
}

// saveLDAP saves settings with a directory, or with none.
func (tn *tenant) saveLDAP(l *provision.LDAP) error {
	tn.t.Helper()
	_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(tn.t.Context(), func(c *provision.Connection) error {
		c.LDAP = l
		return nil
	})
	return err
}

// secret returns the text of the password, or why there is none.
func (tn *tenant) secret() string {
	tn.t.Helper()
	conn, err := tn.engine.Directory("acme").Connection(tn.t.Context())
	if errors.Is(err, provision.ErrNotFound) {
		return "none"
	}
	if err != nil {
		tn.t.Fatal(err)
	}
	return tn.secretFor(conn)
}

// secretFor is secret for what works by some settings.
func (tn *tenant) secretFor(with provision.Connection) string {
	tn.t.Helper()
	text, err := tn.engine.Directory("acme").OpenSecret(tn.t.Context(), "ldap.bindPassword", with)
	switch {
	case errors.Is(err, provision.ErrSecretPlace):
		return "elsewhere"
	case errors.Is(err, provision.ErrNotFound):
		return "none"
	case errors.Is(err, provision.ErrSealed):
		return "sealed"
	case err != nil:
		tn.t.Fatal(err)
	}
	return text
}

// What becomes of a secret by each kind of save.
func TestSavedSecrets(t *testing.T) {
	tests := []struct {
		name   string
		change func(*provision.LDAP)
		want   string
		events int // of the save
	}{
		{"unchanged", func(*provision.LDAP) {}, canary, 0},
		{"the same again", func(l *provision.LDAP) { l.BindPassword = provision.NewSecret(canary) }, canary, 0},
		{"another one", func(l *provision.LDAP) { l.BindPassword = provision.NewSecret("other") }, "other", 1},
		{"settings that do not name it", func(l *provision.LDAP) { l.BindPassword = provision.SecretText{} }, canary, 0},
		{"removed", func(l *provision.LDAP) { l.BindDN, l.BindPassword = "", provision.NewSecret("") }, "none", 1},
		{"another base", func(l *provision.LDAP) { l.BaseDNs = []string{"DC=other"} }, canary, 1},
		{"another name for the account", func(l *provision.LDAP) { l.BindDN = "CN=other,DC=example" }, canary, 1},
		{"another server", func(l *provision.LDAP) { l.URLs = []string{"ldaps://evil.example"} }, "none", 1},
		{"one server more", func(l *provision.LDAP) { l.URLs = append(l.URLs, "ldaps://evil.example") }, "none", 1},
		{"another server, with the secret", func(l *provision.LDAP) {
			l.URLs, l.BindPassword = []string{"ldaps://dc2.example"}, provision.NewSecret("other")
		}, "other", 1},
		{"another server, with the same secret", func(l *provision.LDAP) {
			l.URLs, l.BindPassword = []string{"ldaps://dc2.example"}, provision.NewSecret(canary)
		}, canary, 1},
		{"another name in the certificate", func(l *provision.LDAP) { l.ServerName = "evil.example" }, "none", 1},
		{"without TLS", func(l *provision.LDAP) { l.URLs, l.InsecureNoTLS = []string{"ldap://dc1.example"}, true }, "none", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.engine.Secrets = keys(t, key(1))
				l := bound(provision.NewSecret(canary))
				if err := tn.saveLDAP(&l); err != nil {
					t.Fatal(err)
				}
				conn, err := tn.engine.Directory("acme").Connection(t.Context())
				if err != nil || !conn.LDAP.BindPassword.Set() {
					t.Fatalf("saved: %+v, %v", conn.LDAP, err)
				}
				at := tn.lastEvent()
				l = *conn.LDAP
				test.change(&l)
				if err := tn.saveLDAP(&l); err != nil {
					t.Fatal(err)
				}
				if got := tn.secret(); got != test.want {
					t.Errorf("the secret is %q, want %q", got, test.want)
				}
				if got := len(tn.eventsOf(at, store.ConnectionUpdated)); got != test.events {
					t.Errorf("%d events, want %d", got, test.events)
				}
				conn, err = tn.engine.Directory("acme").Connection(t.Context())
				if err != nil || conn.LDAP.BindPassword.Set() != (test.want != "none") {
					t.Errorf("the settings say %+v, %v", conn.LDAP.BindPassword, err)
				}
				tn.hasNowhere(canary, "other")
			})
		})
	}
}

// An account in a directory is saved with its password, or with one that is stored.
func TestAccountNeedsItsPassword(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	tn.engine.Secrets = keys(t, key(1))
	stored := bound(provision.NewSecret(canary))
	for _, step := range []struct {
		name   string
		change func(*provision.LDAP)
		field  string // that is refused
	}{
		{"without one", func(l *provision.LDAP) { l.BindPassword = provision.SecretText{} }, "ldap.bindPassword"},
		{"an empty one", func(l *provision.LDAP) { l.BindPassword = provision.NewSecret("") }, "ldap.bindPassword"},
		{"one that is said to be stored", func(l *provision.LDAP) {
			if err := json.Unmarshal([]byte(`{"set": true}`), &l.BindPassword); err != nil {
				t.Fatal(err)
			}
		}, "ldap.bindPassword"},
		{"a password of nobody", func(l *provision.LDAP) { l.BindDN = "" }, "ldap.bindDN"},
		{"with one", func(*provision.LDAP) {}, ""},
		{"as it is stored", func(l *provision.LDAP) { l.BindPassword = provision.SecretText{} }, ""},
		{"the stored one removed", func(l *provision.LDAP) { l.BindPassword = provision.NewSecret("") }, "ldap.bindPassword"},
		{"the account removed alone", func(l *provision.LDAP) { l.BindDN, l.BindPassword = "", provision.SecretText{} }, "ldap.bindDN"},
		{"another server", func(l *provision.LDAP) {
			l.URLs, l.BindPassword = []string{"ldaps://dc2.example"}, provision.SecretText{}
		}, ""}, // the password is lost, and there is a warning
		{"another setting after that", func(l *provision.LDAP) {
			l.URLs, l.BindPassword, l.Filter = []string{"ldaps://dc2.example"}, provision.SecretText{}, "(a=b)"
		}, ""},
	} {
		l := stored
		step.change(&l)
		err := tn.saveLDAP(&l)
		var wrong *provision.ConnectionError
		if errors.As(err, &wrong) != (step.field != "") || wrong != nil && wrong.Field != step.field || wrong == nil && err != nil {
			t.Errorf("%s: %v, want a refusal of %q", step.name, err, step.field)
		}
	}
}

// eventsOf returns the events of a type after a sequence.
func (tn *tenant) eventsOf(after int64, typ store.EventType) (list []*store.Event) {
	tn.t.Helper()
	all, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, ev := range all {
		if ev.Type == typ {
			list = append(list, ev)
		}
	}
	return list
}

// hasNowhere wants that no event and no record of the settings has a text.
func (tn *tenant) hasNowhere(texts ...string) {
	tn.t.Helper()
	all, err := tn.dir.Events(tn.t.Context(), 0, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	kept, err := json.Marshal(all)
	if err != nil {
		tn.t.Fatal(err)
	}
	err = tn.engine.Store.View(tn.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		for _, kind := range []string{"connection", "sealed"} {
			list, err := r.Records(kind, "", 0)
			if err != nil {
				return err
			}
			for _, rec := range list {
				kept = append(kept, rec.Value...)
			}
		}
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, text := range texts {
		if bytes.Contains(kept, []byte(`"`+text)) || text == canary && bytes.Contains(kept, []byte(text)) {
			tn.t.Errorf("%q is in %s", text, kept)
		}
	}
}

// A secret that is replaced is told by its name; who replaced it is the actor.
func TestSecretEvent(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Secrets = keys(t, key(1))
		l := bound(provision.NewSecret(canary))
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		at := tn.lastEvent()
		l.BindPassword = provision.NewSecret("other")
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		want := []store.Change{{Attribute: "ldap.bindPassword", Before: json.RawMessage(`{"set":true}`), After: json.RawMessage(`{"set":true}`)}}
		got := tn.eventsOf(at, store.ConnectionUpdated)
		if len(got) != 1 {
			t.Fatalf("%d events", len(got))
		}
		if diff := cmp.Diff(want, got[0].Changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// A secret goes with its directory and with its connection, and a connection that is
// made under the same id has none.
func TestSecretsEnd(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Secrets = keys(t, key(1))
		l := bound(provision.NewSecret(canary))
		for _, end := range []func() error{
			func() error { return tn.saveLDAP(nil) },
			func() error { return tn.engine.Directory("acme").As(tester).DeleteConnection(t.Context(), nil) },
		} {
			if err := tn.saveLDAP(&l); err != nil {
				t.Fatal(err)
			}
			if got := tn.secret(); got != canary {
				t.Fatalf("the secret is %q", got)
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if got := tn.secret(); got != "none" {
				t.Errorf("the secret is %q", got)
			}
			err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
				list, err := r.Records("sealed", "", 0)
				if len(list) > 0 {
					t.Errorf("%d sealed texts are left", len(list))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			empty := bound(provision.SecretText{})
			if err := tn.saveLDAP(&empty); err != nil || tn.secret() != "none" {
				t.Errorf("a new directory has the secret %q, %v", tn.secret(), err)
			}
		}
	})
}

// A secret is opened for the settings that it was given for alone.
func TestSecretIsOfItsSettings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*provision.LDAP)
		want   string // for the settings of before, after the change was saved
		unsafe string // for the changed settings, before they were saved
	}{
		{"another base", func(l *provision.LDAP) { l.BaseDNs = []string{"DC=other"} }, canary, canary},
		{"one server less", func(l *provision.LDAP) { l.URLs = l.URLs[:1] }, "elsewhere", canary},
		{"one server more", func(l *provision.LDAP) { l.URLs = append(l.URLs, "ldaps://dc3.example") }, canary, "elsewhere"},
		{"another server", func(l *provision.LDAP) { l.URLs = []string{"ldaps://evil.example"} }, "elsewhere", "elsewhere"},
		{"another name in the certificate", func(l *provision.LDAP) { l.ServerName = "evil.example" }, "elsewhere", "elsewhere"},
		{"another account", func(l *provision.LDAP) { l.BindDN = "CN=other,DC=example" }, "elsewhere", "elsewhere"},
	}
	for _, test := range tests {
		tn := newTenant(t, memory.New(), `{}`)
		tn.engine.Secrets = keys(t, key(1))
		l := bound(provision.NewSecret(canary))
		l.URLs = append(l.URLs, "ldaps://dc2.example")
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		before, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		edited := before.Clone()
		test.change(edited.LDAP)
		if got := tn.secretFor(edited); got != test.unsafe {
			t.Errorf("%s: unsaved settings have %q, want %q", test.name, got, test.unsafe)
		}
		edited.LDAP.BindPassword = provision.NewSecret("typed")
		if got := tn.secretFor(edited); got != "typed" {
			t.Errorf("%s: unsaved settings with a secret of their own have %q", test.name, got)
		}
		edited.LDAP.BindPassword = provision.NewSecret(canary)
		if err := tn.saveLDAP(edited.LDAP); err != nil {
			t.Fatal(err)
		}
		if got := tn.secretFor(before); got != test.want {
			t.Errorf("%s: settings of before have %q, want %q", test.name, got, test.want)
		}
		if got := tn.secretFor(provision.Connection{ID: "acme"}); got != "elsewhere" {
			t.Errorf("%s: settings without a directory have %q", test.name, got)
		}
	}
}

// Without keys no secret is saved, and nothing of the save is.
func TestSecretWithoutKeys(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		l := bound(provision.NewSecret(canary))
		err := tn.saveLDAP(&l)
		var wrong *provision.ConnectionError
		if !errors.As(err, &wrong) || wrong.Field != "ldap.bindPassword" || !strings.Contains(wrong.Reason, "Engine.Secrets") || strings.Contains(err.Error(), canary) {
			t.Errorf("error %v", err)
		}
		if conn, err := tn.engine.Directory("acme").Connection(t.Context()); err != nil || conn.LDAP != nil {
			t.Errorf("saved %+v, %v", conn.LDAP, err)
		}
		tn.engine.Secrets = keys(t, key(1))
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		for _, other := range []provision.Secrets{nil, keys(t, key(2))} {
			if tn.engine.Secrets = other; tn.secret() != "sealed" {
				t.Errorf("with other keys the secret is %q", tn.secret())
			}
			kept := l
			kept.BindPassword = provision.SecretText{}
			if err := tn.saveLDAP(&kept); err != nil { // it stays for the keys that come back
				t.Error(err)
			}
		}
		if tn.engine.Secrets = keys(t, key(1)); tn.secret() != canary {
			t.Errorf("the secret is %q", tn.secret())
		}
	})
}

// A key is replaced in three steps.
func TestResealSecrets(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Secrets = keys(t, key(1))
		l := bound(provision.NewSecret(canary))
		if err := tn.saveLDAP(&l); err != nil {
			t.Fatal(err)
		}
		tn.engine.Secrets = keys(t, key(2))
		if n, err := tn.engine.ResealSecrets(t.Context()); n != 0 || !errors.Is(err, provision.ErrSealed) {
			t.Errorf("without the old key: %d, %v", n, err)
		}
		tn.engine.Secrets = keys(t, key(2), key(1))
		if n, err := tn.engine.ResealSecrets(t.Context()); n != 1 || err != nil {
			t.Errorf("with both: %d, %v", n, err)
		}
		if tn.engine.Secrets = keys(t, key(2)); tn.secret() != canary {
			t.Errorf("the secret is %q", tn.secret())
		}
	})
}
