package provision_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func TestSaveConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		at := tn.lastEvent()
		tn.setPolicy(`{}`)
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("saving an unchanged connection left events %v", got)
		}
		tn.setPolicy(`{"siteAdminGroups":"IT"}`)
		want := []store.EventType{store.ConnectionUpdated}
		if diff := cmp.Diff(want, tn.events(at)); diff != "" {
			t.Errorf("events of a policy that changes nobody (-want +got):\n%s", diff)
		}
		tn.setPolicy(`{"company":"Acme"}`)
		want = append(want, store.ConnectionUpdated, store.AccountUpdated)
		if diff := cmp.Diff(want, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if got := tn.account("ada@example.com").Company; got != "Acme" {
			t.Errorf("company %q, want Acme", got)
		}
	})
}

// A wrong configuration is refused whole; the running one stays.
func TestWrongConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"company":"Acme"}`)
		wrong := policy.Config{TimeZone: "Mars/Olympus"}
		_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", Name: "New", Policy: wrong}))
		var config *policy.ConfigError
		if !errors.As(err, &config) || config.Option != "timeZone" || config.Value != "Mars/Olympus" {
			t.Errorf("error %v, want a ConfigError that names option and value", err)
		}
		conn, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if conn.Policy.Company != "Acme" || conn.Name != "" {
			t.Errorf("the connection became %+v", conn)
		}
		for _, id := range []string{"", ".", "..", "a/b", "a b", "é", string(make([]byte, 65))} {
			if _, err := tn.engine.Directory(id).As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: id})); err == nil {
				t.Errorf("a connection with id %q was saved", id)
			}
		}
	})
}

// A stored connection that this version cannot read is replaced by saving it.
func TestUnreadableConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			rec, err := tx.Record("connection", "")
			if err != nil {
				return err
			}
			return tx.PutRecord(&store.Record{Kind: "connection", Value: []byte(`{"policy":{"ofTomorrow":1}}`), Version: rec.Version})
		})
		if err != nil {
			t.Fatal(err)
		}
		tn.setPolicy(`{"company":"Acme"}`)
		if got := tn.account("ada@example.com").Company; got != "Acme" {
			t.Errorf("company %q, want Acme", got)
		}
	})
}

func TestUnknownConnection(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		engine := &provision.Engine{Store: st}
		for _, id := range []string{"nobody", ""} {
			if _, err := engine.Directory(id).Connection(t.Context()); !errors.Is(err, provision.ErrNotFound) {
				t.Errorf("Connection(%q): %v", id, err)
			}
			_, err := engine.Directory(id).Create(t.Context(), "User", 0, func(*provision.Draft) error { return nil })
			if !errors.Is(err, provision.ErrNotFound) {
				t.Errorf("creating a user in %q: %v", id, err)
			}
		}
	})
}

func TestConnections(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		engine := &provision.Engine{Store: st}
		for _, id := range []string{"b", "a"} {
			if _, err := engine.Directory(id).As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: id})); err != nil {
				t.Fatal(err)
			}
		}
		list, err := engine.Connections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
			t.Errorf("connections (-want +got):\n%s", diff)
		}
	})
}

// A message says once that it is about the policy, and names the right word.
func TestWrongPolicyMessages(t *testing.T) {
	tests := []struct {
		name   string
		config policy.Config
		want   string
	}{
		{"value", policy.Config{DeprovisionMethod: "remove"},
			`provision: connection "acme": policy option "deprovisionMethod": "remove" is not one of disable, delete; did you mean "delete"? [option_unknown_value]`},
		{"place in a value", policy.Config{RequiredGroups: policy.Patterns{`IT\d`}},
			`provision: connection "acme": policy option "requiredGroups": "IT\\d" has an unknown escape; there are \*, \? and \\ (byte 2) [option_pattern]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := provision.Connection{ID: "acme", Policy: test.config}.Validate()
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// codeOf returns the code of a setting by its words: saml.nameIDFormat is
// saml_name_id_format.
func codeOf(field string) string {
	for _, words := range []string{`([a-z])([A-Z])`, `([A-Z])([A-Z][a-z])`, `(\w)[.](\w)`} {
		field = regexp.MustCompile(words).ReplaceAllString(field, "${1}_${2}")
	}
	return strings.ToLower(field)
}

// A wrong setting is refused with its field, its value and the right words.
func TestWrongSettings(t *testing.T) {
	const metadata = `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"/>`
	saml := func(s provision.SAML) provision.Connection { return provision.Connection{SAML: &s} }
	tests := []struct {
		name         string
		conn         provision.Connection
		field, value string
		words        string
	}{
		{"id of nobody", provision.Connection{ID: "other"}, "id", "other", "another connection's"},
		{"dialect", provision.Connection{Dialect: "oktaa"}, "dialect", "oktaa", `did you mean "okta"?`},
		{"dialect of nobody", provision.Connection{Dialect: "klingon"}, "dialect", "klingon", "it must be one of auto, rfc, okta"},
		{"name", provision.Connection{Name: "a\nb"}, "name", "a\nb", "without control characters"},
		{"attribute", provision.Connection{Attributes: []string{"nonsense"}}, "attributes", "nonsense", "no attribute of a user"},
		{"attribute misspelled", provision.Connection{Attributes: []string{"titel"}}, "attributes", "titel", `did you mean "title"?`},
		{"attribute of the extension", provision.Connection{Attributes: []string{"department"}}, "attributes", "department", "no attribute of a user"},
		{"attribute path", provision.Connection{Attributes: []string{"name."}}, "attributes", "name.", "not the path of an attribute"},
		{"attribute twice", provision.Connection{Attributes: []string{"title", "title"}}, "attributes", "title", "twice"},
		{"password", provision.Connection{Attributes: []string{"password"}}, "attributes", "password", "not the path"},
		{"preset", saml(provision.SAML{Preset: "nope"}), "saml.preset", "nope", "it must be one of okta, entra"},
		{"preset misspelled", saml(provision.SAML{Preset: "entar"}), "saml.preset", "entar", `did you mean "entra"?`},
		{"skew", saml(provision.SAML{ClockSkewSeconds: 1000}), "saml.clockSkewSeconds", "1000", "it must be 0 to 300"},
		{"skew below zero", saml(provision.SAML{ClockSkewSeconds: -1}), "saml.clockSkewSeconds", "-1", "it must be 0 to 300"},
		{"encryption", saml(provision.SAML{Encryption: "aes"}), "saml.encryption", "aes", "it must be on or off"},
		{"metadata", saml(provision.SAML{Metadata: "junk"}), "saml.metadata", "junk", "not an XML document"},
		{"address of metadata", saml(provision.SAML{MetadataURL: "http://idp.example.com/metadata"}), "saml.metadataURL", "http://idp.example.com/metadata", "https"},
		{"address of metadata on this machine", saml(provision.SAML{MetadataURL: "http://localhost/metadata"}), "saml.metadataURL", "http://localhost/metadata", "https"},
		{"address of metadata with a user", saml(provision.SAML{MetadataURL: "https://a:b@idp.example.com/"}), "saml.metadataURL", "https://a:b@idp.example.com/", "without user"},
		{"context", saml(provision.SAML{AuthnContext: []string{"Password", "Smartcart"}}), "saml.authnContext", "Smartcart", `did you mean "Smartcard"?`},
		{"context twice", saml(provision.SAML{AuthnContext: []string{"Password", "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"}}), "saml.authnContext", "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "twice"},
		{"format", saml(provision.SAML{NameIDFormat: "mail"}), "saml.nameIDFormat", "mail", "it must be one of unspecified, emailAddress"},
		{"metadata page", saml(provision.SAML{Metadata: "<!DOCTYPE html><html><p>Log in"}), "saml.metadata", "<!DOCTYPE html><html><p>Log in", "an HTML page, not metadata"},
		{"metadata cut", saml(provision.SAML{Metadata: metadata[:50]}), "saml.metadata", metadata[:50], "not XML"},
		{"metadata of something else", saml(provision.SAML{Metadata: "<rss/>"}), "saml.metadata", "<rss/>", `its root element is "rss"`},
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		d := tn.engine.Directory("acme").As(tester)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				was, err := d.Connection(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				test.conn.Version = was.Version
				_, err = d.SaveConnection(t.Context(), test.conn)
				var wrong *provision.ConnectionError
				if !errors.As(err, &wrong) {
					t.Fatalf("error %v, want a ConnectionError", err)
				}
				if code := codeOf(wrong.Field); wrong.Code() != "setting_"+code || !strings.HasSuffix(err.Error(), " [setting_"+code+"]") {
					t.Errorf("code %s, text %q, want setting_%s", wrong.Code(), err, code)
				}
				if wrong.Connection != "acme" || wrong.Field != test.field || wrong.Value != test.value || !strings.Contains(wrong.Reason, test.words) {
					t.Errorf("refused by %q, %q: %s; want %q, %q: %s", wrong.Field, wrong.Value, wrong.Reason, test.field, test.value, test.words)
				}
				if is, err := d.Connection(t.Context()); err != nil || is.Version != was.Version {
					t.Errorf("the connection became %+v, %v", is, err)
				}
			})
		}
	})
}

// Names become canonical, and legal paths of all kinds are taken.
func TestRightSettings(t *testing.T) {
	conn := provision.Connection{
		ID: "acme", Dialect: "OKTA",
		Attributes: []string{
			"title", "NAME.givenName", "emails.value", "phoneNumbers", "urn:ietf:params:scim:schemas:core:2.0:User:nickName",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName", "urn:acme:hr:User:badge",
		},
		SAML: &provision.SAML{Preset: "Entra", ClockSkewSeconds: 300, Metadata: "\ufeff \n<EntitiesDescriptor/>", NameIDFormat: "Persistent", AuthnContext: []string{"password"}},
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		engine := &provision.Engine{Store: st}
		saved, err := engine.Directory("acme").As(tester).SaveConnection(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if saved.Dialect != "okta" || saved.SAML.Preset != "entra" || saved.Version != 1 {
			t.Errorf("saved %+v", saved)
		}
		if s := saved.SAML; s.NameIDFormat != "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" || s.AuthnContext[0] != "urn:oasis:names:tc:SAML:2.0:ac:classes:Password" {
			t.Errorf("saved %+v", s)
		}
		if conn.SAML.Preset != "Entra" || conn.SAML.AuthnContext[0] != "password" {
			t.Error("the caller's settings were changed")
		}
		conn := conn.Clone()
		conn.SAML.Metadata = "\xff\xfe<\x00E\x00n\x00t\x00i\x00t\x00y\x00D\x00e\x00s\x00c\x00r\x00i\x00p\x00t\x00o\x00r\x00/\x00>\x00"
		conn.Version = saved.Version
		if saved, err = engine.Directory("acme").SaveConnection(t.Context(), conn); err != nil || saved.SAML.Metadata != "<EntityDescriptor/>" {
			t.Errorf("of a file in UTF-16: %+v, %v", saved.SAML, err)
		}
	})
}

// Settings that were made from an old version are refused, and updates lose
// nothing.
func TestConnectionVersions(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		d := tn.engine.Directory("acme").As(tester)
		form, err := d.Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Name = "Other"; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := d.SaveConnection(t.Context(), form); !errors.Is(err, provision.ErrVersion) || !strings.Contains(err.Error(), `"acme"`) {
			t.Errorf("a stale form: %v, want ErrVersion", err)
		}
		if _, err := d.SaveConnection(t.Context(), provision.Connection{}); !errors.Is(err, provision.ErrVersion) {
			t.Errorf("a new connection in the place of one: %v, want ErrVersion", err)
		}
		form.ID = "other"
		if _, err := d.SaveConnection(t.Context(), form); err == nil {
			t.Error("another connection's id was saved")
		}
		errStop := errors.New("stop")
		if _, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Name = "No"; return errStop }); !errors.Is(err, errStop) {
			t.Errorf("an update that ends itself: %v", err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Name += "+"; return nil })
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if c, err := d.Connection(t.Context()); err != nil || c.Name != "Other++++++++" {
			t.Errorf("the name is %q, %v", c.Name, err)
		}
	})
}

// An event tells what changed of the settings, and of a metadata document its
// digest.
func TestConnectionChanges(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	at := tn.lastEvent()
	d := tn.engine.Directory("acme").As(tester)
	_, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Name, c.SAML = "New", &provision.SAML{Metadata: "<EntityDescriptor/>"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	events, err := d.Events(t.Context(), at, 0)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	got := map[string]string{}
	for _, c := range events[0].Changes {
		got[c.Attribute] = string(c.Before) + " -> " + string(c.After)
	}
	if len(got) != 2 || got["name"] != ` -> "New"` || !strings.HasPrefix(got["saml"], ` -> {"metadata":"sha256:`) {
		t.Errorf("changes %v", got)
	}
}

// A host that names no option of the policy has the defaults of all of them.
// Whatever it forgot, a leaver leaves.
func TestForgottenPolicy(t *testing.T) {
	const (
		bob      = `{"userName":"bob@example.com"}`
		inactive = `{"userName":"bob@example.com","active":false}`
		noah     = `{"userName":"noah@example.com"}`
	)
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := forgetful(t, st)
		adaID, bobID, noahID := tn.user(ada), tn.user(bob), tn.user(noah)
		staff := tn.group("Staff", adaID, bobID, noahID)
		for _, name := range []string{"ada@example.com", "bob@example.com", "noah@example.com"} {
			tn.expectStatus(name, policy.StatusActive)
			tn.expectGroups(name, "Staff")
		}

		tn.set(bobID, inactive)
		tn.expectStatus("bob@example.com", policy.StatusDisabled)
		tn.remove("User", noahID)
		tn.expectStatus("noah@example.com", policy.StatusDisabled)

		tn.leave(staff, adaID)
		tn.expectGroups("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

// Without SCIM a first login creates an account, and with SCIM it does not.
func TestForgottenFirstLogin(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		engine := &provision.Engine{Store: st, Now: newClock().Now}
		for id, scim := range map[string]bool{"scim": true, "logins": false} {
			if _, err := engine.Directory(id).As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: id, SCIM: scim})); err != nil {
				t.Fatal(err)
			}
			_, err := engine.Directory(id).Login(t.Context(), provision.Identity{ID: "1", UserName: "ada@example.com"})
			if denied := err != nil; denied != scim {
				t.Errorf("connection with SCIM %v: a first login gives the error %v", scim, err)
			}
		}
	})
}

// Saving the forgotten policy again, in any of its spellings, changes nothing.
func TestForgottenPolicyIsStable(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := forgetful(t, st)
		tn.user(ada)
		at := tn.lastEvent()
		stored, err := tn.engine.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := policy.Parse([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range []policy.Config{{}, parsed, stored.Policy} {
			conn := provision.Connection{ID: "acme", SCIM: true, Policy: config}
			if saved, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); saved.Version != stored.Version || err != nil {
				t.Errorf("saving %+v: version %d, %v", config, saved.Version, err)
			}
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("events %v", got)
		}
	})
}

// forgetful returns a tenant whose host sets nothing but that there is SCIM.
func forgetful(t *testing.T, st store.Store) *tenant {
	t.Helper()
	tn := &tenant{t: t, clock: newClock()}
	tn.engine = &provision.Engine{Store: st, Now: tn.clock.Now}
	tn.dir = tn.engine.Directory("acme").As(provision.Actor{Kind: "scim", ID: "credential"})
	if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "acme", SCIM: true})); err != nil {
		t.Fatal(err)
	}
	return tn
}

// expectGroups compares the names of the groups that an account carries.
func (tn *tenant) expectGroups(userName string, want ...string) {
	tn.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), groupNames(tn.account(userName))); diff != "" {
		tn.t.Errorf("groups of %s (-want +got):\n%s", userName, diff)
	}
}
