package sqlite_test

import (
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// TestTimes writes times at the edges of what can be stored.
func TestTimes(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	for _, test := range []struct {
		name  string
		at    time.Time
		fails bool
	}{
		{name: "zero"},
		{name: "nanoseconds", at: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
		{name: "trailing zeros", at: time.Date(2026, 1, 2, 3, 4, 5, 120_000_000, time.UTC)},
		{name: "other zone", at: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))},
		{name: "far", at: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
		{name: "too far", at: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			update(t, s, func(tx store.Tx) error {
				r := &store.Resource{ID: test.name, Type: "User", Version: 1, Created: test.at, Modified: test.at, Document: store.Document(`{}`)}
				err := tx.PutResource(r)
				if (err != nil) != test.fails {
					t.Errorf("error %v", err)
				}
				return nil
			})
			if test.fails {
				return
			}
			view(t, s, func(r store.Reader) error {
				got, err := r.Resource("User", test.name, 0)
				if err == nil && (got.Created != test.at.UTC() || got.Modified != test.at.UTC()) {
					t.Errorf("got %v and %v", got.Created, got.Modified)
				}
				return err
			})
		})
	}
}
