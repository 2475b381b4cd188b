package provision_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
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
		for _, id := range []string{"", "a/b", "a b", "é", string(make([]byte, 65))} {
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
			`provision: connection "acme": policy option "deprovisionMethod": "remove" is not one of disable, delete; did you mean "delete"?`},
		{"place in a value", policy.Config{RequiredGroups: policy.Patterns{`IT\d`}},
			`provision: connection "acme": policy option "requiredGroups": "IT\\d" has an unknown escape; there are \*, \? and \\ (byte 2)`},
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
