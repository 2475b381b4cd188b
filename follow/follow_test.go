package follow_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
	_ "modernc.org/sqlite"             // the driver named "sqlite"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/follow/internal/followtest"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/memory"
)

func openSQL(t *testing.T, driver, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openSQLite(t *testing.T) follow.Database[*sql.Tx] {
	name := "file:" + filepath.Join(t.TempDir(), "app.db") + "?_pragma=busy_timeout(5000)&_pragma=synchronous(OFF)"
	return follow.SQL(openSQL(t, "sqlite", name), follow.SQLite)
}

func TestSQLite(t *testing.T) { followtest.Run(t, openSQLite) }

func TestPostgreSQL(t *testing.T) {
	server := postgrestest.Start(t)
	followtest.Run(t, func(t *testing.T) follow.Database[*sql.Tx] {
		return follow.SQL(openSQL(t, "pgx", server.Database(t)), follow.PostgreSQL)
	})
}

// A prefix may name a schema, and nothing but the beginning of a name.
func TestPrefix(t *testing.T) {
	for _, test := range []struct {
		prefix  string
		dialect follow.Dialect
		want    string
	}{
		{"", follow.SQLite, ""},
		{"x_", follow.PostgreSQL, ""},
		{"app.x_", follow.PostgreSQL, ""},
		{"x y", follow.SQLite, `follow: the prefix "x y" is not the beginning of a name`},
		{"a.b.c", follow.SQLite, `follow: the prefix "a.b.c" is not the beginning of a name`},
		{"x;--", follow.PostgreSQL, `follow: the prefix "x;--" is not the beginning of a name`},
		{"", "mysql", `follow: the dialect "mysql" is neither "sqlite" nor "postgresql"`},
	} {
		got := ""
		if _, err := follow.Schema(test.dialect, test.prefix); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q of %q: %q, want %q", test.prefix, test.dialect, got, test.want)
		}
	}
}

// What Schema returns is what Create makes.
func TestSchema(t *testing.T) {
	server := postgrestest.Start(t)
	for name, db := range map[string]struct {
		*sql.DB
		follow.Dialect
		prefix string
	}{
		"SQLite":     {openSQL(t, "sqlite", filepath.Join(t.TempDir(), "app.db")), follow.SQLite, "main.mine_"},
		"PostgreSQL": {openSQL(t, "pgx", server.Database(t)), follow.PostgreSQL, "public.mine_"},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := follow.Schema(db.Dialect, db.prefix)
			if err != nil {
				t.Fatal(err)
			}
			f := follow.New[*sql.Tx](&provision.Engine{Store: memory.New()}, "users", follow.SQL(db.DB, db.Dialect), nil)
			f.Prefix = db.prefix
			for range 2 {
				if _, err := db.ExecContext(t.Context(), schema); err != nil {
					t.Fatal(err)
				}
				if err := f.Create(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.ExecContext(t.Context(), `SELECT hostid FROM mine_accounts, mine_connections`); err != nil {
				t.Error(err)
			}
		})
	}
}
