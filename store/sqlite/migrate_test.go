package sqlite_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// versions returns the migrations with made-up ones after them.
func versions(t *testing.T, more ...string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for i, text := range more {
		name := []string{"0002_label.sql", "0003_more.sql"}[i]
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	err := fs.WalkDir(sqlite.Migrations(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sqlite.Migrations(), name)
		files[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil || len(files) != 1+len(more) {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	return files
}

const (
	label = `ALTER TABLE provision_resources ADD COLUMN label TEXT NOT NULL DEFAULT 'none';
		UPDATE provision_resources SET label = 'old ' || display;
		UPDATE provision_schema SET version = 2;`
	more = `CREATE TABLE provision_more (scope INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (scope, n)) WITHOUT ROWID;
		INSERT INTO provision_more (scope, n) SELECT scope, count FROM provision_types;
		UPDATE provision_schema SET version = 3;`
	broken = `CREATE TABLE provision_more (scope INTEGER PRIMARY KEY);
		INSERT INTO provision_nothing (scope) VALUES (1);
		UPDATE provision_schema SET version = 3;`
)

// ask returns one text that a statement finds in a database file.
func ask(t *testing.T, path, query string) (text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// TestLaterVersions brings a file with something in it to made-up later versions: what
// it holds is still there, and a store writes on.
func TestLaterVersions(t *testing.T) {
	path := made(t)
	s, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label, more))
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error {
		r, err := tx.Resource("User", userID(1), 0)
		if err != nil {
			return err
		}
		changed := *r
		changed.Version++
		return tx.PutResource(&changed)
	})
	view(t, s, func(r store.Reader) error {
		first, last, err := r.EventRange()
		if first != 1 || last != 1 {
			t.Errorf("events %d to %d", first, last)
		}
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		`SELECT version FROM provision_schema`:  "3",
		`SELECT label FROM provision_resources`: "old " + userName(1),
		`SELECT n FROM provision_more`:          "1",
	} {
		if got := ask(t, path, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, noMigrate := range []bool{false, true} {
		s, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path, NoMigrate: noMigrate}, versions(t, label, more))
		if err != nil {
			t.Fatalf("opened again: %v", err)
		}
		_ = s.Close()
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("an older program opens it: %v", err)
	}
}

// TestBrokenVersion expects that versions come all or none: one that fails leaves the
// file as it was, also what those before it changed.
func TestBrokenVersion(t *testing.T) {
	path := made(t)
	_, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label, broken))
	if err == nil || !strings.Contains(err.Error(), "0003_more.sql") || !strings.Contains(err.Error(), "provision_nothing") {
		t.Errorf("error %v does not say which migration failed, and why", err)
	}
	for query, want := range map[string]string{
		`SELECT version FROM provision_schema`:                                               "1",
		`SELECT count(*) FROM pragma_table_info('provision_resources') WHERE name = 'label'`: "0",
		`SELECT count(*) FROM sqlite_master WHERE name = 'provision_more'`:                   "0",
	} {
		if got := ask(t, path, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	s, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label))
	if err != nil {
		t.Fatalf("the mended version: %v", err)
	}
	defer func() { _ = s.Close() }()
	if n := users(t, s); n != 1 {
		t.Errorf("%d users", n)
	}
}

// TestVersionsWithPrefix expects that later versions change the tables of the prefix.
func TestVersionsWithPrefix(t *testing.T) {
	db := openHost(t, filepath.Join(t.TempDir(), "host.db"), &trace{})
	for _, files := range []fs.FS{versions(t), versions(t, label, more)} {
		s, err := sqlite.OpenWith(t.Context(), sqlite.Config{DB: db, Prefix: "app_"}, files)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	var version, ours int
	err := db.QueryRowContext(t.Context(), `SELECT version, (SELECT count(*) FROM sqlite_master WHERE name = 'app_more') FROM app_schema`).Scan(&version, &ours)
	if err != nil || version != 3 || ours != 1 {
		t.Errorf("version %d and %d tables of the prefix, %v", version, ours, err)
	}
}
