package sqlite_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// TestWalkByOffset counts the rows that a walk by offset passes over to come to its
// pages: none, in a directory of any size. A deletion costs one page its offset, and the
// first page of a process.
func TestWalkByOffset(t *testing.T) {
	const size, page = 600, 50
	s, tr := openTraced(t, sqlite.Config{})
	update(t, s, func(tx store.Tx) error {
		for n := range int64(size) {
			if err := createIn(tx, n); err != nil {
				return err
			}
		}
		return nil
	})
	read := func(offset int, types ...string) (first string) {
		t.Helper()
		view(t, s, func(r store.Reader) error {
			found, err := r.Query(store.Query{Types: types, Offset: offset, Limit: page})
			if err == nil && len(found.Resources) > 0 {
				first = found.Resources[0].ID
			}
			return err
		})
		return first
	}
	walk := func(from int, types ...string) {
		t.Helper()
		for offset := from; offset < size; offset += page {
			read(offset, types...)
		}
	}
	for _, types := range [][]string{{"User"}, nil, {"User", "Group"}} {
		walk(0, types...)
		if n := tr.passed(); n != 0 {
			t.Errorf("a walk of %d of %v passed over %d rows", size, types, n)
		}
	}
	if read(520, "User"); tr.passed() != 20 {
		t.Error("a page between two that are known does not begin with the place before it")
	}
	update(t, s, func(tx store.Tx) error { return createIn(tx, size) })
	if first := read(550, "User"); first != userID(550) || tr.passed() != 0 {
		t.Errorf("after another one has come, the page begins with %s", first)
	}
	update(t, s, func(tx store.Tx) error { return tx.DeleteResource("User", userID(3)) })
	if first := read(550, "User"); first != userID(551) || tr.passed() != 550 {
		t.Errorf("after one has gone, the page begins with %s", first)
	}
	if first := read(600, "User"); first != "" || tr.passed() != 0 {
		t.Errorf("behind the last one is %s", first)
	}
}

// BenchmarkPageAt reads the last pages of a list by offset, as a walk comes to them, beside
// its first ones.
func BenchmarkPageAt(b *testing.B) {
	for _, users := range []int64{5_000, 50_000} {
		s := openBench(b)
		fill(b, s, users)
		for name, start := range map[string]int{"first": 0, "last": int(users) - 300} {
			b.Run(fmt.Sprintf("users=%d/page=%s", users, name), func(b *testing.B) {
				read := func(offset int) {
					err := s.View(b.Context(), benchScope, func(_ context.Context, r store.Reader) error {
						_, err := r.Query(store.Query{Types: []string{"User"}, Offset: offset, Limit: 100})
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				read(max(0, start-100)) // a walk comes from there
				for i := 0; b.Loop(); i++ {
					read(start + i%3*100)
				}
			})
		}
	}
}
