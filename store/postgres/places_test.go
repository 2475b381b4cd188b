package postgres_test

import (
	"context"
	"fmt"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

var withOffset = regexp.MustCompile(`OFFSET \S+$`)

// TestPostgreSQLWalkByOffset counts the rows that a walk by offset passes over, and the
// statements that were announced for nothing.
func TestPostgreSQLWalkByOffset(t *testing.T) {
	const size, page = 300, 50
	s := open(t, newDatabase(t).config())
	var passed, pages atomic.Int64
	postgres.Sent(s, func(text string, args []any) {
		if withOffset.MatchString(text) {
			n, _ := args[len(args)-1].(int64)
			passed.Add(n)
			pages.Add(1)
		}
	})
	user := func(n int) *store.Resource {
		return &store.Resource{Type: "User", ID: fmt.Sprintf("u%03d", n), Version: 1, Document: store.Document(`{}`), Keys: []store.Key{}}
	}
	update := func(fn func(tx store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error { return fn(tx) }); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx store.Tx) error {
		for n := range size {
			if err := tx.PutResource(user(n)); err != nil {
				return err
			}
		}
		return nil
	})
	read := func(offset int) (first string) {
		t.Helper()
		err := s.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
			list := func(r store.Reader) (store.Page, error) {
				return r.Query(store.Query{Types: []string{"User"}, Offset: offset, Limit: page})
			}
			r.Expect(func(r store.Reader) { _, _ = list(r) })
			found, err := list(r)
			if err == nil && len(found.Resources) > 0 {
				first = found.Resources[0].ID
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	expect := func(what string, offset int, want string, wantPassed, wantPages int64) {
		t.Helper()
		passed.Store(0)
		pages.Store(0)
		if first := read(offset); first != want || passed.Load() != wantPassed || pages.Load() != wantPages {
			t.Errorf("%s: the page at %d begins with %q, want %q; %d rows were passed over by %d statements", what, offset, first, want, passed.Load(), pages.Load())
		}
	}
	for offset := 0; offset < size; offset += page {
		expect("walk", offset, user(offset).ID, 0, 1)
	}
	update(func(tx store.Tx) error { return tx.PutResource(user(size)) })
	expect("after another one has come", 250, user(250).ID, 0, 1)
	update(func(tx store.Tx) error { return tx.DeleteResource("User", "u003") })
	expect("after one has gone", 250, user(251).ID, 250, 2) // one that was announced
	expect("then", 250+page, "", 0, 1)
}
