package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

// database returns the URL of an empty database, for a role.
func database(t *testing.T, server *postgrestest.Server) func(role string) string {
	t.Helper()
	var host, name string
	if _, err := fmt.Sscanf(server.Database(t), "host=%s user=postgres dbname=%s", &host, &name); err != nil {
		t.Fatal(err)
	}
	return func(role string) string { return "postgres:///" + name + "?user=" + role + "&host=" + host }
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// storectl runs the command.
func storectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, help bytes.Buffer
	err := run(t.Context(), args, &out, &help)
	return out.String(), err
}

// TestMigrations gives what is printed to psql, as an owner of the tables. A role that may
// make nothing opens the store then, and before and without it is told what is missing.
func TestMigrations(t *testing.T) {
	server := postgrestest.Start(t)
	psql, err := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	if err != nil || len(psql) == 0 {
		t.Skip("SKIP-EXTERNAL: psql is not installed")
	}
	first := true
	for _, config := range []postgres.Config{{}, {Schema: "Scim", Prefix: "app_", Partitions: 3}} {
		url := database(t, server)
		admin := connect(t, url("postgres"))
		if first {
			execute(t, admin, `CREATE ROLE owner LOGIN`, `CREATE ROLE app LOGIN`)
			first = false
		}
		execute(t, admin, `GRANT CREATE ON DATABASE `+admin.Config().Database+` TO owner`, `GRANT CREATE ON SCHEMA public TO owner`)
		config.URL, config.SkipMigrations = url("app"), true
		args := []string{"migrations"}
		if config.Schema != "" {
			args = append(args, "-schema", config.Schema, "-prefix", config.Prefix, "-partitions", "3")
		}
		_, err := postgres.Open(t.Context(), config)
		if want := "storectl " + strings.Join(args, " ") + `" prints`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("before: %v, want %q", err, want)
		}
		script, err := storectl(t, append(args, "-role", "app")...)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // it may be run again
			psql := exec.CommandContext(t.Context(), psql[0], "-v", "ON_ERROR_STOP=1", url("owner"))
			psql.Stdin = strings.NewReader(script)
			if out, err := psql.CombinedOutput(); err != nil {
				t.Fatalf("psql: %v\n%s\n%s", err, out, script)
			}
		}
		app := connect(t, url("app"))
		if _, err := app.Exec(t.Context(), `CREATE TABLE public.mine (a int)`); err == nil {
			t.Error("the role may make tables")
		}
		for _, skip := range []bool{true, false} {
			config.SkipMigrations = skip
			s, err := postgres.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
				return tx.AppendEvent(&store.Event{Type: store.AccountUpdated})
			})
			if err != nil {
				t.Error(err)
			}
			_ = s.Close()
		}
		name := "provision_events"
		if config.Schema != "" {
			name = `"Scim".app_events`
		}
		execute(t, admin, `REVOKE INSERT ON `+name+` FROM app`)
		if _, err := postgres.Open(t.Context(), config); err == nil || !strings.Contains(err.Error(), "grant the role INSERT on "+name) {
			t.Errorf("a right is missing: %v", err)
		}
		execute(t, admin, `DROP TABLE `+name)
		if _, err := postgres.Open(t.Context(), config); err == nil || !strings.Contains(err.Error(), "the table "+name+" is missing") {
			t.Errorf("a table is missing: %v", err)
		}
	}
}

// host is a store in SQLite with a connection and a user, and the token of it.
func host(t *testing.T) (path, token string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "provision.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	engine := &provision.Engine{Store: s}
	for _, id := range []string{"acme", "beta"} {
		d := engine.Directory(id)
		if _, err := d.UpdateConnection(t.Context(), func(c *provision.Connection) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if token, _, err = d.IssueToken(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err = d.Create(t.Context(), "User", 0, func(d *provision.Draft) error {
			d.Write(provision.Content{Document: store.Document(`{"userName":"ada"}`), Keys: []store.Key{{Attribute: "userName", Value: "ada", Unique: true}}, Display: "ada"})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return path, token
}

// knows expects a token to count in a store, or not to.
func knows(t *testing.T, url, token string, want bool) {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, _, err := (&provision.Engine{Store: s}).Authenticate(t.Context(), provision.Secret{Token: token}); (err == nil) != want {
		t.Errorf("Authenticate: %v", err)
	}
}

// TestCopy copies a store, goes on with a copy that has ended early, and moves a
// connection from there.
func TestCopy(t *testing.T) {
	server := postgrestest.Start(t)
	path, token := host(t)
	whole, early, third := database(t, server)("postgres"), database(t, server)("postgres"), database(t, server)("postgres")
	out, err := storectl(t, "copy", "-from", path, "-to", whole)
	want := "1 of 3: acme: 1 resources, 0 memberships, 1 accounts, "
	if err != nil || !strings.HasPrefix(out, want) || !strings.Contains(out, "3 of 3: beside connections: 0 resources") {
		t.Errorf("%v\n%s", err, out)
	}
	knows(t, whole, token, true)
	for _, args := range [][]string{nil, {"-resume"}} {
		if _, err := storectl(t, append([]string{"copy", "-from", path, "-to", whole}, args...)...); !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("once more with %q: %v", args, err)
		}
	}

	to, err := postgres.Open(t.Context(), postgres.Config{URL: early})
	if err != nil {
		t.Fatal(err)
	}
	source, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(t.Context(), "acme", source); err != nil {
		t.Fatal(err)
	}
	_, _ = to.Close(), source.Close()
	knows(t, early, token, false)
	if _, err := storectl(t, "copy", "-from", path, "-to", early); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("a copy that has ended early, without -resume: %v", err)
	}
	out, err = storectl(t, "copy", "-from", path, "-to", early, "-resume")
	if err != nil || !strings.HasPrefix(out, "1 of 3: acme: was there already\n2 of 3: beta: 1 resources") {
		t.Errorf("%v\n%s", err, out)
	}
	knows(t, early, token, true)

	if _, err := storectl(t, "move", "-connection", "beta", "-from", early, "-to", third); err == nil || !strings.Contains(err.Error(), "disable it") {
		t.Errorf("moving a connection in use: %v", err)
	}
	disable(t, early, true)
	if out, err := storectl(t, "move", "-connection", "beta", "-from", early, "-to", third); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	disable(t, third, false)
	knows(t, third, token, true)
	knows(t, early, token, false)
	if _, err := storectl(t, "remove", "-connection", "beta", "-db", third); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("removing a connection in use: %v", err)
	}
	if _, err := storectl(t, "remove", "-connection", "beta", "-db", early); err != nil {
		t.Error(err)
	}
	if n := count(t, early, "SELECT count(*) FROM provision_resources WHERE scope = 'beta'"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	for _, db := range []string{early, path} {
		if _, err := storectl(t, "restored", "-db", db); err != nil {
			t.Error(err)
		}
	}
}

func disable(t *testing.T, url string, disabled bool) {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, err = (&provision.Engine{Store: s}).Directory("beta").UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Disabled = disabled
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, url, query string) (n int) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCommands expects wrong commands and flags to be named.
func TestCommands(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", `no command ""`},
		{"migrate", `no command "migrate"`},
		{"migrations x", `unexpected argument "x"`},
		{"migrations -prefix A", `prefix "A"`},
		{"migrations -after 9", "no migration after version 9"},
		{"copy -from nowhere.db -to postgres://x", "flag -from"},
		{"restored -db nowhere.db", "flag -db"},
		{"remove -db a.db -connection x", `"a.db" is not a postgres:// URL`},
	} {
		if _, err := storectl(t, strings.Fields(test.args)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
}
