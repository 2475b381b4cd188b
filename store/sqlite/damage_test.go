package sqlite_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// A row that is damaged is an error that says which row.
func TestDamagedRows(t *testing.T) {
	id := userID(1)
	for _, test := range []struct {
		name, damage string
		read         func(tx store.Tx) error
		want         string
	}{
		{"account", `UPDATE provision_accounts SET data = '{'`, func(tx store.Tx) error { _, err := tx.Accounts(store.AccountQuery{}); return err }, "account"},
		{"account field", `UPDATE provision_accounts SET data = replace(data, '"version":1', '"version":x')`, func(tx store.Tx) error { _, err := tx.AccountOf(id); return err }, `"a` + id + `"`},
		{"event", `UPDATE provision_events SET data = '{'`, func(tx store.Tx) error { _, err := tx.Events(0, 0); return err }, "event 1"},
		{"time of a resource", `UPDATE provision_resources SET modified = 'x'`, func(tx store.Tx) error { _, err := tx.Resource("User", id, 0); return err }, `User "` + id + `"`},
		{"keys of a resource", `UPDATE provision_resources SET keys = 'x'`, func(tx store.Tx) error { return tx.DeleteResource("User", id) }, `User "` + id + `"`},
		{"time of a record", `INSERT INTO provision_records (scope, kind, key, version, expires, value) SELECT scope, 'lease', 'k', 1, 'x', '' FROM provision_scopes`, func(tx store.Tx) error { _, err := tx.Record("lease", "k"); return err }, `lease "k"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := made(t)
			execute(t, path, test.damage)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			err = s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error { return test.read(tx) })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %s", err, test.want)
			}
		})
	}
}
