package sqlite_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
	label = `-- rewrites provision_resources
		ALTER TABLE provision_resources ADD COLUMN label TEXT NOT NULL DEFAULT 'none';
		UPDATE provision_resources SET label = 'old ' || display;
		UPDATE provision_schema SET version = 2;`
	more = `CREATE TABLE provision_more (scope INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (scope, n)) WITHOUT ROWID;
		INSERT INTO provision_more (scope, n) SELECT scope, count FROM provision_types;
		UPDATE provision_schema SET version = 3;`
	// Programs before it read what it drops.
	contract = `ALTER TABLE provision_resources DROP COLUMN label;
		UPDATE provision_schema SET version = 3, oldest = 2;`
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
}

// TestTwoVersions expects that a program runs on beside a newer one, and can be started
// again, until a version takes away what it needs.
func TestTwoVersions(t *testing.T) {
	path := made(t)
	newer, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label))
	if err != nil {
		t.Fatal(err)
	}
	for _, noMigrate := range []bool{false, true} {
		older, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, NoMigrate: noMigrate})
		if err != nil {
			t.Fatalf("the older program: %v", err)
		}
		for _, s := range []*sqlite.Store{older, newer} {
			update(t, s, func(tx store.Tx) error { return tx.AppendEvent(&store.Event{Type: store.AccountUpdated}) })
		}
		if err := older.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := newer.Close(); err != nil {
		t.Error(err)
	}
	last, err := sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label, contract))
	if err != nil {
		t.Fatal(err)
	}
	_ = last.Close()
	if last, err = sqlite.OpenWith(t.Context(), sqlite.Config{Path: path}, versions(t, label)); err != nil {
		t.Errorf("a program of the version that is still allowed: %v", err)
	} else {
		_ = last.Close()
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "programs before version 2 cannot use") {
		t.Errorf("a program of the first version: %v", err)
	}
}

// TestMigrating expects to be told of every statement of a migration, and that nothing
// of it is there once one was refused, or the process ended in the middle.
func TestMigrating(t *testing.T) {
	path := made(t)
	crashed := filepath.Join(t.TempDir(), "crashed.db")
	var told []store.Migration
	refused := errors.New("not now")
	config := sqlite.Config{Path: path, Migrating: func(m store.Migration) error {
		told = append(told, m)
		if m.Statement == 3 {
			copyDatabase(t, path, crashed)
			return refused
		}
		return nil
	}}
	if _, err := sqlite.OpenWith(t.Context(), config, versions(t, label)); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	var want []store.Migration
	for i := range 3 {
		want = append(want, store.Migration{File: "0002_label.sql", From: 1, To: 2, Statement: i + 1, Statements: 3})
	}
	if diff := cmp.Diff(want, told, cmpopts.IgnoreFields(store.Migration{}, "Rewrites")); diff != "" {
		t.Error(diff)
	}
	size := ask(t, path, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`)
	for _, m := range told {
		if got := strconv.FormatInt(m.Rewrites, 10); got != size {
			t.Errorf("statement %d: %s bytes are written anew, and the file has %s", m.Statement, got, size)
		}
	}
	for _, file := range []string{path, crashed} {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: file})
		if err != nil {
			t.Fatal(err)
		}
		if n := users(t, s); n != 1 {
			t.Errorf("%d users", n)
		}
		_ = s.Close()
		if got := ask(t, file, `SELECT count(*) FROM pragma_table_info('provision_resources') WHERE name = 'label'`); got != "0" {
			t.Errorf("%s has the column", file)
		}
	}
}

// copyDatabase copies the files of a database as they are: what a crash leaves.
func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoRoom expects a migration that writes a table anew to ask for room first, twice
// the size of the file, and one that does not to ask for none.
func TestNoRoom(t *testing.T) {
	path := made(t)
	asked := 0
	room := func(bytes int64) func(string) (int64, bool) {
		return func(directory string) (int64, bool) {
			if asked++; directory != filepath.Dir(path) {
				t.Errorf("asked for the room in %s", directory)
			}
			return bytes, true
		}
	}
	size, err := strconv.ParseInt(ask(t, path, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.OpenOn(t.Context(), sqlite.Config{Path: path}, versions(t, label), room(2*size-1))
	if err == nil || !strings.Contains(err.Error(), "0002_label.sql: not enough room on the disk") || !strings.Contains(err.Error(), "free 1 more") {
		t.Errorf("error %v", err)
	}
	if got := ask(t, path, `SELECT version FROM provision_schema`); got != "1" {
		t.Errorf("version %s", got)
	}
	for _, test := range []struct {
		last string
		room int64
		want int
	}{{label, 2 * size, 1}, {more, 0, 0}} {
		files := versions(t, label, more)
		if test.last == label {
			files = versions(t, label)
		}
		asked = 0
		s, err := sqlite.OpenOn(t.Context(), sqlite.Config{Path: path}, files, room(test.room))
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		if asked != test.want {
			t.Errorf("asked for room %d times, want %d", asked, test.want)
		}
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
