package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestConfig checks what needs no server.
func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		config postgres.Config
		want   string
	}{
		{"nothing", postgres.Config{}, "neither URL nor Pool"},
		{"no URL", postgres.Config{URL: "postgres://user:secret@host:port/x"}, "postgres://user:password@host:5432/database"},
		{"an unknown mode", postgres.Config{URL: "postgres://h/x?default_query_exec_mode=secret"}, "default_query_exec_mode"},
		{"a prefix", postgres.Config{URL: "postgres://h/x", Prefix: "A-"}, `prefix "A-"`},
		{"a schema", postgres.Config{URL: "postgres://h/x", Schema: `a"b`}, "schema"},
		{"partitions", postgres.Config{URL: "postgres://h/x", Partitions: 1000}, "1000 partitions"},
		{"time-outs", postgres.Config{URL: "postgres://h/x", LockTimeout: 1e11}, "LockTimeout"},
		{"nobody there", postgres.Config{URL: "postgres://127.0.0.1:1/x?sslmode=disable"}, "is the server running"},
	} {
		_, err := postgres.Open(t.Context(), test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestServerCheck checks what a server may say of itself.
func TestServerCheck(t *testing.T) {
	for _, test := range []struct {
		version                  int
		encoding, clientEncoding string
		readOnly, standby        bool
		schema                   string
		want                     string
	}{
		{150004, "UTF8", "UTF8", false, false, "public", ""},
		{180001, "UTF8", "UTF8", false, false, "public", ""},
		{140012, "UTF8", "UTF8", false, false, "public", "PostgreSQL 14"},
		{150004, "LATIN1", "UTF8", false, false, "public", "encoding UTF8"},
		{150004, "UTF8", "LATIN1", false, false, "public", "client_encoding"},
		{150004, "UTF8", "UTF8", true, false, "public", "default_transaction_read_only"},
		{150004, "UTF8", "UTF8", true, true, "public", "target_session_attrs"},
		{150004, "UTF8", "UTF8", false, false, "", "search_path"},
	} {
		err := postgres.CheckServer(test.version, test.encoding, test.clientEncoding, test.readOnly, test.standby, test.schema)
		if got := fmt.Sprint(err); err != nil != (test.want != "") || !strings.Contains(got, test.want) && err != nil {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// TestPostgreSQLOpen opens what cannot be used: the error says what to do.
func TestPostgreSQLOpen(t *testing.T) {
	db := newDatabase(t)
	conn := db.connect(t)
	made := db.config()
	_ = open(t, made).Close()
	for _, statement := range []string{
		`CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
		`CREATE ROLE stranger LOGIN`, `CREATE ROLE reader LOGIN`, `CREATE ROLE writer LOGIN`, `CREATE ROLE careful LOGIN`,
		`GRANT USAGE ON SCHEMA ` + made.Schema + ` TO reader, writer`,
		`GRANT SELECT ON ALL TABLES IN SCHEMA ` + made.Schema + ` TO reader`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ` + made.Schema + ` TO writer`,
		`ALTER ROLE careful SET default_transaction_read_only = on`,
		`CREATE SCHEMA newer`, `CREATE TABLE newer.provision_schema (version bigint, oldest bigint)`, `INSERT INTO newer.provision_schema VALUES (99, 99)`,
	} {
		execute(t, conn, statement)
	}
	as := func(role string) string { return strings.Replace(db.url, "user=postgres", "user="+role, 1) }
	for _, test := range []struct {
		name   string
		config postgres.Config
		want   string
	}{
		{"no database", postgres.Config{URL: strings.Replace(db.url, "dbname=test1", "dbname=nothing", 1)}, "create the database first"},
		{"no role", postgres.Config{URL: as("nobody")}, "check user, password"},
		{"encoding", postgres.Config{URL: strings.Replace(db.url, "dbname=test1", "dbname=ascii", 1)}, "encoding UTF8"},
		{"read-only", postgres.Config{URL: as("careful")}, "default_transaction_read_only"},
		{"may not make a schema", postgres.Config{URL: as("stranger"), Schema: "mine"}, "grant it CREATE"},
		{"may not make tables", postgres.Config{URL: as("stranger")}, "grant it CREATE"},
		{"may only read", postgres.Config{URL: as("reader"), Schema: made.Schema}, "grant the role DELETE on"},
		{"a newer schema", postgres.Config{URL: db.url, Schema: "newer"}, "run a newer program"},
		{"no schema", postgres.Config{URL: db.url, Schema: "nowhere", SkipMigrations: true}, "storectl migrations -schema nowhere\" prints"},
		{"partitions", postgres.Config{URL: db.url, Schema: made.Schema, Partitions: 4}, "set it to 0"},
		{"scans", postgres.Config{URL: db.url + " pool_max_conns=2", Schema: made.Schema, Scans: 2}, "pool_max_conns"},
	} {
		_, err := postgres.Open(t.Context(), test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	s := open(t, postgres.Config{URL: as("writer"), Schema: made.Schema, SkipMigrations: true})
	for _, lost := range []struct{ take, back string }{ // later
		{`REVOKE INSERT ON ` + made.Schema + `.provision_events FROM writer`, `GRANT INSERT ON ` + made.Schema + `.provision_events TO writer`},
		{`ALTER TABLE ` + made.Schema + `.provision_events RENAME TO gone`, `ALTER TABLE ` + made.Schema + `.gone RENAME TO provision_events`},
		{`ALTER TABLE ` + made.Schema + `.provision_events RENAME data TO gone`, `ALTER TABLE ` + made.Schema + `.provision_events RENAME gone TO data`},
		{`ALTER ROLE writer NOLOGIN`, `ALTER ROLE writer LOGIN`},
	} {
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Errorf("a role that may read and write: %v", err)
		}
		execute(t, conn, lost.take)
		execute(t, conn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'writer'`)
		unavailable(t, lost.take, s.Update(t.Context(), "acme", appendEvent))
		execute(t, conn, lost.back)
	}
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestPostgreSQLOpenTogether opens a new database by many at once.
func TestPostgreSQLOpenTogether(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.Partitions = 2
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := postgres.Open(t.Context(), config)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})
	}
	group.Wait()
	if got := lastEvent(t, open(t, config), "acme"); got != 8 {
		t.Errorf("%d events, want 8", got)
	}
}

// TestPostgreSQLPool keeps a store in a pool of the host, with a prefix, in tables that
// a tool of the host made.
func TestPostgreSQLPool(t *testing.T) {
	db := newDatabase(t)
	pool, err := pgxpool.New(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	config := postgres.Config{Pool: pool, Prefix: "scim_", Partitions: 3, SkipMigrations: true}
	migrate(t, pool, config)
	migrate(t, pool, config) // every statement may be run again
	s := open(t, config)
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM scim_events`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func migrate(t *testing.T, pool *pgxpool.Pool, config postgres.Config) {
	t.Helper()
	files, err := fs.Glob(postgres.Migrations(), "*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(postgres.Migrations(), file)
		if err == nil {
			_, err = pool.Exec(t.Context(), config.Migration(string(text)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRewritten checks statements as PostgreSQL has them.
func TestRewritten(t *testing.T) {
	got := postgres.Rewritten(`SELECT 1 FROM provision_members WHERE scope = ? AND group_id = ANY (?)`, `"s".x_`)
	if want := `SELECT 1 FROM "s".x_members WHERE scope = $1 AND group_id = ANY ($2)`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNoStore uses a store that was not opened.
func TestNoStore(t *testing.T) {
	var s *postgres.Store
	if s.Ping(t.Context()) == nil || s.Close() == nil || s.Update(context.Background(), "", nil) == nil {
		t.Error("a nil store works")
	}
	if _, err := s.Watch().Look(t.Context()); err == nil {
		t.Error("a watcher of a nil store works")
	}
}

// TestPostgreSQLSecondVersion brings a store with data to a made-up second version, by
// many at once, beside programs of the first. A third takes away what those need.
func TestPostgreSQLSecondVersion(t *testing.T) {
	db := newDatabase(t)
	first, err := fs.ReadFile(postgres.Migrations(), "0001_initial.sql")
	if err != nil {
		t.Fatal(err)
	}
	version := func(second string) fs.FS {
		return fstest.MapFS{"0001_initial.sql": {Data: first}, "0002_made_up.sql": {Data: []byte(second)}}
	}
	const last = "UPDATE provision_schema SET version = 2 WHERE version < 2;\n"
	for _, partitions := range []int{0, 2} {
		config := db.config()
		config.Partitions = partitions
		s := open(t, config)
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.OpenWith(t.Context(), config, version("ALTER TABLE provision_events ADD COLUMN a text;\nSELECT 1/0;\n"+last))
		if err == nil || !strings.Contains(err.Error(), "0002_made_up.sql, statement 2 of 3") {
			t.Errorf("a migration that fails: %v", err)
		}
		second := version("ALTER TABLE provision_events ADD COLUMN a text; -- again, if it were there\n" + last)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				s, err := postgres.OpenWith(t.Context(), config, second)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = s.Close() }()
				if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Errorf("a store of the first version, which is still open: %v", err)
		}
		if got := lastEvent(t, s, "acme"); got != 6 {
			t.Errorf("%d events, want 6", got)
		}
		again := open(t, config)
		if err := again.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Errorf("a program of the first version that is started again: %v", err)
		}
		third := version(last)
		third.(fstest.MapFS)["0003.sql"] = &fstest.MapFile{Data: []byte("ALTER TABLE provision_events DROP COLUMN IF EXISTS a;\nUPDATE provision_schema SET version = 3, oldest = 2;\n")}
		config.SkipMigrations = true
		if _, err := postgres.OpenWith(t.Context(), config, third); err == nil || !strings.Contains(err.Error(), "has version 2, and this program needs 3") || !strings.Contains(err.Error(), "-after 2") {
			t.Errorf("an old schema and no migrations: %v", err)
		}
		config.SkipMigrations = false
		if s, err := postgres.OpenWith(t.Context(), config, third); err != nil {
			t.Error(err)
		} else {
			_ = s.Close()
		}
		if _, err := postgres.Open(t.Context(), config); err == nil || !strings.Contains(err.Error(), "programs before version 2 cannot use") {
			t.Errorf("a program of the first version: %v", err)
		}
	}
}

// TestPostgreSQLMigrating expects to be told of every statement and of what is written
// anew, and that nothing of a migration is there that was refused, or whose process
// ended in the middle.
func TestPostgreSQLMigrating(t *testing.T) {
	db := newDatabase(t)
	conn := db.connect(t)
	first, err := fs.ReadFile(postgres.Migrations(), "0001_initial.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"0001_initial.sql": {Data: first}, "0002_made_up.sql": {Data: []byte(
		"-- rewrites provision_events\nALTER TABLE provision_events ADD COLUMN a text;\nUPDATE provision_events SET a = 'b';\nUPDATE provision_schema SET version = 2;\n")}}
	for _, partitions := range []int{0, 2} {
		config := db.config()
		config.Partitions = partitions
		s := open(t, config)
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Fatal(err)
		}
		var told []store.Migration
		refused, ended := errors.New("not now"), false
		config.Migrating = func(m store.Migration) error {
			told = append(told, m)
			switch {
			case m.Statement < 3:
				return nil
			case !ended:
				ended = true
				return refused
			}
			execute(t, conn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'`)
			return nil
		}
		if _, err := postgres.OpenWith(t.Context(), config, files); !errors.Is(err, refused) {
			t.Errorf("error %v", err)
		}
		if _, err := postgres.OpenWith(t.Context(), config, files); err == nil {
			t.Error("a migration whose connection was lost")
		}
		if len(told) != 6 {
			t.Errorf("told %+v", told)
		}
		var size int64
		query := fmt.Sprintf(`SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = '%s'::regnamespace AND relname LIKE 'provision_events%%'`, config.Schema)
		if err := conn.QueryRow(t.Context(), query).Scan(&size); err != nil {
			t.Fatal(err)
		}
		for i, m := range told {
			want := store.Migration{File: "0002_made_up.sql", From: 1, To: 2, Statement: i%3 + 1, Statements: 3, Rewrites: size}
			if m != want {
				t.Errorf("told %+v, want %+v", m, want)
			}
		}
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Errorf("the store of the first version: %v", err)
		}
		var columns int
		query = fmt.Sprintf(`SELECT count(*) FROM information_schema.columns WHERE table_schema = '%s' AND column_name = 'a'`, config.Schema)
		if err := conn.QueryRow(t.Context(), query).Scan(&columns); err != nil || columns != 0 {
			t.Errorf("%d columns of the migration, %v", columns, err)
		}
	}
}
