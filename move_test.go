//go:build unix

package provision_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

// TestMoveConnection moves a connection from SQLite to PostgreSQL and on to another
// schema. Its token, its accounts and its consumer go on there, and no event comes twice;
// the stores before know nothing of it.
func TestMoveConnection(t *testing.T) {
	file, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	url := postgrestest.Start(t).Database(t)
	stores := []provision.Store{file}
	for _, schema := range []string{"one", "two"} {
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	for _, s := range stores {
		t.Cleanup(func() { _ = s.Close() })
	}
	newTenant(t, stores[1], `{}`).user(ada) // another connection of the same name, until it is deleted
	tn := newTenant(t, file, `{}`)
	other := tn.engine.Directory("other").As(tester)
	if _, err := other.UpdateConnection(t.Context(), func(c *provision.Connection) error { return nil }); err != nil {
		t.Fatal(err)
	}
	token, _, err := tn.dir.IssueToken(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	user := tn.user(ada)
	tn.engine.Secrets = keys(t, key(1))
	l := bound(provision.NewSecret(canary))
	if err := tn.saveLDAP(&l); err != nil {
		t.Fatal(err)
	}
	var seen []int64
	deliver := func(s provision.Store) {
		t.Helper()
		err := (&provision.Engine{Store: s, Now: tn.clock.Now}).Consumer("host").DeliverOnce(t.Context(), func(_ context.Context, d provision.Delivery) error {
			if d.Event.Connection == "acme" {
				seen = append(seen, d.Event.Sequence)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	deliver(file)
	if err := provision.MoveConnection(t.Context(), "acme", file, stores[1]); err == nil || !strings.Contains(err.Error(), "not disabled") {
		t.Errorf("a connection in use: %v", err)
	}
	if err := provision.MoveConnection(t.Context(), "other", stores[1], file); err == nil || !strings.Contains(err.Error(), "cannot be moved") {
		t.Errorf("to a store that imports nothing: %v", err)
	}
	setDisabled := func(s provision.Store, disabled bool) {
		t.Helper()
		_, err := (&provision.Engine{Store: s, Now: tn.clock.Now}).Directory("acme").As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error {
			c.Disabled = disabled
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, from := range stores[:2] {
		to := stores[i+1]
		setDisabled(from, true)
		if i == 0 {
			if err := provision.MoveConnection(t.Context(), "acme", from, to); !errors.Is(err, store.ErrNotEmpty) || !errors.Is(err, store.ErrDiffers) {
				t.Errorf("a connection of this name is there: %v", err)
			}
			if err := to.(store.Importer).Remove(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			if _, err := to.(store.Importer).Import(t.Context(), "acme", from.(store.Exporter)); err != nil {
				t.Fatal(err) // what a call leaves that ends here
			}
		}
		before := events(t, from)
		if err := provision.MoveConnection(t.Context(), "acme", from, to); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, events(t, to)); diff != "" {
			t.Error(diff)
		}
		old := &provision.Engine{Store: from, Now: tn.clock.Now}
		if _, err := old.Directory("acme").Connection(t.Context()); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the store before: %v", err)
		}
		if _, _, err := old.Authenticate(t.Context(), provision.Secret{Token: token}); err == nil {
			t.Error("the store before takes the token")
		}
		if err := provision.MoveConnection(t.Context(), "acme", from, to); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("once more: %v", err)
		}
		now := &provision.Engine{Store: to, Now: tn.clock.Now}
		if _, _, err := now.Authenticate(t.Context(), provision.Secret{Token: token}); err == nil {
			t.Error("it is not disabled")
		}
		setDisabled(to, false)
		if _, c, err := now.Authenticate(t.Context(), provision.Secret{Token: token}); err != nil || c.ID != "acme" {
			t.Errorf("the token there: %q, %v", c.ID, err)
		}
		if _, err := now.Directory("acme").Get(t.Context(), "User", user, 0); err != nil {
			t.Error(err)
		}
		now.Secrets = keys(t, key(1)) // what was sealed there opens here
		conn, err := now.Directory("acme").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if text, err := now.Directory("acme").OpenSecret(t.Context(), "ldap.bindPassword", conn); err != nil || text != canary {
			t.Errorf("the secret there: %q, %v", text, err)
		}
		deliver(to)
		if list, err := now.Connections(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%d connections, %v", len(list), err)
		}
	}
	for i, sequence := range seen {
		if sequence != int64(i+1) {
			t.Fatalf("the consumer has seen %v", seen)
		}
	}
	if _, err := tn.engine.Directory("other").Connection(t.Context()); err != nil {
		t.Errorf("another connection: %v", err)
	}
	if err := stores[1].(store.Importer).Remove(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if got := events(t, stores[1]); len(got) != 0 {
		t.Errorf("%d events are left", len(got))
	}
}

// events returns all events of the connection.
func events(t *testing.T, s provision.Store) (list []*provision.Event) {
	t.Helper()
	err := s.View(t.Context(), "acme", func(_ context.Context, r store.Reader) (err error) {
		list, err = r.Events(0, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
