package records_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// update runs fn in a transaction of a fresh scope's store.
func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error { return fn(tx) }); err != nil {
		t.Fatal(err)
	}
}

func TestLoadAndSave(t *testing.T) {
	s := memory.New()
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	update(t, s, func(tx store.Tx) error {
		e, err := records.Cursor.Load(tx, "table")
		if err != nil || e.Stored() || e.Key != "table" {
			t.Errorf("Load of nothing: %+v, %v", e, err)
		}
		e.Value.Sequence, e.Expires = 7, expires
		if err := records.Cursor.Save(tx, &e); err != nil || e.Version != 1 {
			t.Errorf("Save: version %d, %v", e.Version, err)
		}
		stale := e
		e.Value.Sequence = 8
		if err := records.Cursor.Save(tx, &e); err != nil {
			t.Error(err)
		}
		if err := records.Cursor.Save(tx, &stale); !errors.Is(err, store.ErrVersion) {
			t.Errorf("Save of an old version: %v, want ErrVersion", err)
		}
		return nil
	})
	got, err := records.Cursor.View(t.Context(), s, "acme", "table")
	want := records.Entry[records.DeliveryCursor]{
		Key: "table", Value: records.DeliveryCursor{Sequence: 8}, Expires: expires, Version: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("View: %v (-want +got)\n%s", err, diff)
	}
}

func TestPutWritesNothingWhereSame(t *testing.T) {
	s := memory.New()
	update(t, s, func(tx store.Tx) error {
		for range 3 {
			if err := records.Conflict.Put(tx, "ann", "a<b"); err != nil {
				return err
			}
		}
		rec, err := records.Conflict.Raw(tx, "ann")
		if err != nil || rec.Version != 1 || string(rec.Value) != `"a<b"` {
			t.Errorf("stored %+v, %v", rec, err)
		}
		if err := records.Conflict.Put(tx, "ann", "other"); err != nil {
			return err
		}
		if v, err := records.Conflict.Value(tx, "ann"); v != "other" || err != nil {
			t.Errorf("Value = %q, %v", v, err)
		}
		if err := records.Conflict.Clear(tx, "ann"); err != nil {
			return err
		}
		if err := records.Conflict.Clear(tx, "ann"); err != nil {
			t.Errorf("Clear of nothing: %v", err)
		}
		if err := records.Conflict.Delete(tx, "ann", 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Delete of nothing: %v", err)
		}
		return nil
	})
}

func TestDamagedRecord(t *testing.T) {
	s := memory.New()
	update(t, s, func(tx store.Tx) error {
		if err := tx.PutRecord(&store.Record{Kind: "cursor", Key: "x", Value: []byte("[")}); err != nil {
			return err
		}
		_, err := records.Cursor.Load(tx, "x")
		if err == nil || !strings.Contains(err.Error(), `stored cursor "x"`) {
			t.Errorf("error %v, want the kind and the key", err)
		}
		if _, err := records.Cursor.List(tx, "", 0); err == nil {
			t.Error("List read a damaged record")
		}
		return nil
	})
}

// Every kind is in the table, under a name of its own.
func TestRows(t *testing.T) {
	source, err := os.ReadFile("kinds.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`Row\{Name: "([^"]+)"`).FindAllSubmatch(source, -1)
	seen := map[string]bool{}
	for _, row := range records.Rows() {
		if seen[row.Name] || row.Owner == "" {
			t.Errorf("row %+v: named twice, or without an owner", row)
		}
		seen[row.Name] = true
	}
	for _, match := range declared {
		if !seen[string(match[1])] {
			t.Errorf("kind %q is not in Rows", match[1])
		}
	}
	if len(declared) != len(seen) {
		t.Errorf("%d kinds declared, %d in Rows", len(declared), len(seen))
	}
}

// No other package spells the name of a kind.
func TestNamesAreSpelledHere(t *testing.T) {
	spelled := regexp.MustCompile(`store\.Record\{[^}]*Kind:`)
	for _, dir := range []string{"../..", "../outbox", "../requestlog"} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := entry.Name()
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(dir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if spelled.Match(text) {
				t.Errorf("%s/%s makes a record by itself", dir, name)
			}
		}
	}
}
