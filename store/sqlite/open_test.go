package sqlite_test

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// execute runs statements on a database file with a connection of its own.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// made returns the path of a closed store with something in it.
func made(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return createIn(tx, 1) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(t *testing.T) sqlite.Config
		want   string
	}{
		{"nothing", func(*testing.T) sqlite.Config { return sqlite.Config{} }, "neither Path nor DB"},
		{"memory", func(*testing.T) sqlite.Config { return sqlite.Config{Path: ":memory:"} }, "package memory"},
		{"prefix", func(*testing.T) sqlite.Config { return sqlite.Config{Path: "x", Prefix: "a;b"} }, "prefix"},
		{"directory that does not exist", func(t *testing.T) sqlite.Config {
			return sqlite.Config{Path: filepath.Join(t.TempDir(), "no", "store.db")}
		}, "unable to open"},
		{"not a database", func(t *testing.T) sqlite.Config {
			path := filepath.Join(t.TempDir(), "text")
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database. ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
			return sqlite.Config{Path: path}
		}, "not an SQLite database"},
		{"tables of somebody else", func(t *testing.T) sqlite.Config {
			path := filepath.Join(t.TempDir(), "other.db")
			execute(t, path, "CREATE TABLE users (id)")
			return sqlite.Config{Path: path}
		}, "other tables"},
		{"newer version", func(t *testing.T) sqlite.Config {
			path := made(t)
			execute(t, path, "UPDATE provision_schema SET version = 99, oldest = 99")
			return sqlite.Config{Path: path}
		}, "version 99"},
		{"no version", func(t *testing.T) sqlite.Config {
			path := made(t)
			execute(t, path, "DELETE FROM provision_schema")
			return sqlite.Config{Path: path}
		}, "version is empty"},
		{"no migration allowed", func(t *testing.T) sqlite.Config {
			return sqlite.Config{Path: filepath.Join(t.TempDir(), "new.db"), NoMigrate: true}
		}, "open once without NoMigrate"},
		{"read-only", func(t *testing.T) sqlite.Config {
			db, err := sql.Open("sqlite", "file:"+made(t)+"?mode=ro")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return sqlite.Config{DB: db}
		}, "read-only"},
		{"pool too small", func(t *testing.T) sqlite.Config {
			db := openHost(t, filepath.Join(t.TempDir(), "host.db"), &trace{})
			db.SetMaxOpenConns(5)
			return sqlite.Config{DB: db, Readers: 4}
		}, "too small"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := sqlite.Open(t.Context(), test.config(t))
			if err == nil {
				_ = s.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func TestOpenPaths(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "100%.db", "what?.db", "a#b.db", "ü.db", "a&mode=memory"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		t.Chdir(t.TempDir())
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: "store.db"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if _, err := os.Stat("store.db"); err != nil {
			t.Error(err)
		}
	})
}

// TestOpenRace opens one new file many times at once, as processes that start
// together do, and writes with each.
func TestOpenRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	const openers = 6
	var wg sync.WaitGroup
	for n := range int64(openers) {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if err := create(s, n); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, NoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	view(t, s, func(r store.Reader) error {
		page, err := r.Query(store.Query{})
		if _, last, _ := r.EventRange(); page.Total != openers || last != openers {
			t.Errorf("%d resources and %d events, want %d", page.Total, last, openers)
		}
		return err
	})
}

// TestPrefix keeps two stores in one database, beside a table of the host.
func TestPrefix(t *testing.T) {
	db := openHost(t, filepath.Join(t.TempDir(), "host.db"), &trace{})
	if _, err := db.Exec("CREATE TABLE users (id)"); err != nil {
		t.Fatal(err)
	}
	for n, prefix := range []string{"", "app_"} {
		s, err := sqlite.Open(t.Context(), sqlite.Config{DB: db, Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		for i := range int64(n + 1) {
			if err := create(s, i); err != nil {
				t.Fatal(err)
			}
		}
		view(t, s, func(r store.Reader) error {
			page, err := r.Query(store.Query{Filter: keyFilter("userName", userName(0))})
			if page.Total != 1 {
				t.Errorf("prefix %q: %d found", prefix, page.Total)
			}
			if all, _ := r.Query(store.Query{}); all.Total != n+1 {
				t.Errorf("prefix %q: %d resources, want %d", prefix, all.Total, n+1)
			}
			return err
		})
	}
	rows, err := db.Query("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != "users" && !strings.HasPrefix(name, "provision_") && !strings.HasPrefix(name, "app_") {
			t.Errorf("%s has no prefix", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestMigrations applies the migrations by hand, as a tool does, and expects
// that a store accepts the result.
func TestMigrations(t *testing.T) {
	files, err := fs.Glob(sqlite.Migrations(), "*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	for _, file := range files {
		text, err := fs.ReadFile(sqlite.Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, path, string(text))
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, NoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestSynchronous looks at what makes commits durable.
func TestSynchronous(t *testing.T) {
	for _, test := range []struct {
		name        string
		synchronous sqlite.Synchronous
		want        string
	}{
		{"full", sqlite.Full, "PRAGMA synchronous = FULL"},
		{"normal", sqlite.Normal, "PRAGMA synchronous = NORMAL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := &trace{}
			db := openHost(t, filepath.Join(t.TempDir(), "store.db"), tr)
			s, err := sqlite.Open(t.Context(), sqlite.Config{DB: db, Synchronous: test.synchronous})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if queries := tr.take(); count(queries, test.want) != 1 || count(queries, "PRAGMA synchronous") != 1 {
				t.Errorf("statements:\n%s", strings.Join(queries, "\n"))
			}
			var mode string
			if err := db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
				t.Errorf("journal mode %q, %v", mode, err)
			}
		})
	}
}
