package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
	"github.com/scimjit/provision/store/storetest"
)

// exported is all that a store exports, table by table.
func exported(t *testing.T, s store.Exporter, scope string) map[string][][]any {
	t.Helper()
	all := map[string][][]any{}
	err := s.Export(t.Context(), scope, func(r store.Rows) error {
		all[r.Table] = append(all[r.Table], r.Values...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// filled returns a store in SQLite with two scopes of random facts, a third with more
// rows than a page and events that were pruned, and global records.
func filled(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	storetest.RunSame(t, 7, 300, s)
	for _, scope := range []string{store.Global, "many", "none"} {
		err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
			for _, r := range []store.Record{
				{Kind: "a", Key: "empty"},
				{Kind: "a", Key: "b\x00\xff'", Value: []byte{0, 255, '\''}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)},
			} {
				r.Key = strings.ReplaceAll(r.Key, "\x00\xff", "ÿ")
				if err := tx.PutRecord(&r); err != nil {
					return err
				}
				if err := tx.PutRecord(&r); err != nil { // a second version
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err = s.Update(t.Context(), "many", func(_ context.Context, tx store.Tx) error {
		for i := range 2500 {
			r := store.Resource{ID: fmt.Sprintf("id%d", i*7919%2500), Type: "User", Version: 1, Document: store.Document(`{"title":"ü"}`),
				Keys: []store.Key{{Attribute: "userName", Value: fmt.Sprint(i), Unique: true}, {Attribute: "title", Value: "ü"}}}
			if err := tx.PutResource(&r); err != nil {
				return err
			}
			if err := tx.AppendEvent(&store.Event{Type: store.AccountUpdated}); err != nil {
				return err
			}
		}
		for i := range 100 {
			if err := tx.DeleteResource("User", fmt.Sprintf("id%d", 2499-i)); err != nil {
				return err
			}
		}
		_, err := tx.PruneEvents(300)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPostgreSQLImport copies a store of SQLite to PostgreSQL, on plain tables and on
// partitions, and from there to another one. All of them hold the same, and a write
// goes on from there.
func TestPostgreSQLImport(t *testing.T) {
	db := newDatabase(t)
	source := filled(t)
	plain, split := db.config(), db.config()
	split.Partitions = 3
	var from store.Exporter = source
	for _, config := range []postgres.Config{plain, split} {
		to := open(t, config)
		scopes, err := from.Scopes(t.Context())
		if err != nil || len(scopes) != 4 || scopes[0] != store.Global {
			t.Fatal(scopes, err)
		}
		for _, scope := range scopes {
			rows, err := to.Import(t.Context(), scope, from)
			if err != nil {
				t.Fatal(err)
			}
			want := exported(t, source, scope)
			for table, n := range rows {
				if n != len(want[table]) {
					t.Errorf("scope %q: %d rows of %s, want %d", scope, n, table, len(want[table]))
				}
			}
			if diff := cmp.Diff(want, exported(t, to, scope)); diff != "" {
				t.Errorf("scope %q:\n%s", scope, diff)
			}
			if _, err := to.Import(t.Context(), scope, from); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("a second import of scope %q: %v", scope, err)
			}
		}
		if got, err := to.Scopes(t.Context()); err != nil || !slices.Equal(got, scopes) {
			t.Errorf("scopes %q, %v", got, err)
		}
		from = to
	}
	if first, last := eventRange(t, from.(store.Store), "many"); first != 301 || last != 2500 {
		t.Errorf("events %d to %d", first, last)
	}
	before := exported(t, from, "many")["scopes"][0][0].(int64)
	r := store.Resource{ID: "next", Type: "User", Version: 1, Document: store.Document(`{}`), Keys: []store.Key{}}
	err := from.(store.Store).Update(t.Context(), "many", func(_ context.Context, tx store.Tx) error {
		if err := tx.PutResource(&r); err != nil {
			return err
		}
		return tx.AppendEvent(&store.Event{Type: store.AccountUpdated})
	})
	if err != nil || r.Position != before+1 || lastEvent(t, from.(store.Store), "many") != 2501 {
		t.Errorf("the next resource is at %d after %d, %v", r.Position, before, err)
	}
}

func eventRange(t *testing.T, s store.Store, scope string) (first, last int64) {
	t.Helper()
	err := s.View(t.Context(), scope, func(_ context.Context, r store.Reader) (err error) {
		first, last, err = r.EventRange()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return first, last
}

// broken is an Exporter that ends after some pages.
type broken struct {
	store.Exporter
	pages int
}

var errBroken = errors.New("the source is away")

func (b *broken) Export(ctx context.Context, scope string, put func(store.Rows) error) error {
	return b.Exporter.Export(ctx, scope, func(r store.Rows) error {
		if b.pages--; b.pages < 0 {
			return errBroken
		}
		return put(r)
	})
}

// TestPostgreSQLImportAgain ends imports after every page. The scope is not there then,
// and the next import finds nothing of it in its way.
func TestPostgreSQLImportAgain(t *testing.T) {
	db := newDatabase(t)
	source, to := filled(t), open(t, db.config())
	want := exported(t, source, "many")
	for pages := 0; ; pages++ {
		_, err := to.Import(t.Context(), "many", &broken{source, pages})
		if err == nil {
			break
		}
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if scopes, err := to.Scopes(t.Context()); err != nil || len(scopes) != 0 {
			t.Fatalf("after %d pages there are the scopes %q, %v", pages, scopes, err)
		}
	}
	if diff := cmp.Diff(want, exported(t, to, "many")); diff != "" {
		t.Error(diff)
	}
	if _, err := to.Import(t.Context(), "nobody", source); err == nil || !strings.Contains(err.Error(), "does not have it") {
		t.Errorf("a scope that is not there: %v", err)
	}
}

// intruder writes a scope while it is copied.
type intruder struct {
	store.Exporter
	to *postgres.Store
}

func (i intruder) Export(ctx context.Context, scope string, put func(store.Rows) error) error {
	return i.Exporter.Export(ctx, scope, func(r store.Rows) error {
		if r.Table == "scopes" {
			if err := i.to.Update(ctx, scope, appendEvent); err != nil {
				return err
			}
		}
		return put(r)
	})
}

// TestPostgreSQLImportBeside expects an import to notice that somebody writes the scope.
func TestPostgreSQLImportBeside(t *testing.T) {
	db := newDatabase(t)
	source, to := filled(t), open(t, db.config())
	if _, err := to.Import(t.Context(), "none", intruder{source, to}); err == nil || !strings.Contains(err.Error(), "somebody writes the scope") {
		t.Errorf("error %v", err)
	}
}

// TestPostgreSQLImportColumns expects that nothing is left behind: every column of every
// table of a scope, in both stores, is copied, but for those that a store has for itself.
func TestPostgreSQLImportColumns(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	_ = open(t, config).Close()
	conn := db.connect(t)
	source := filled(t)
	copied := map[string]bool{}
	for _, scope := range []string{"acme", "many"} {
		err := source.Export(t.Context(), scope, func(r store.Rows) error {
			for _, c := range r.Columns {
				copied[r.Table+"."+c] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT replace(table_name, 'provision_', '') || '.' || column_name FROM information_schema.columns
		WHERE table_schema = $1 AND column_name <> 'scope' AND table_name NOT IN ('provision_schema', 'provision_commits')`, config.Schema)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		if n++; !copied[column] {
			t.Errorf("%s is not copied", column)
		}
	}
	if err := rows.Err(); err != nil || n != len(copied) {
		t.Errorf("%d columns of %d, %v", n, len(copied), err)
	}
}
