package sqlite_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// A store that nobody made says so.
func TestNoStore(t *testing.T) {
	var none *sqlite.Store
	for _, s := range []store.Store{none, &sqlite.Store{}} {
		_, scan := s.Scan(t.Context(), "acme", store.Query{})
		for name, err := range map[string]error{
			"Scan":   scan,
			"View":   s.View(t.Context(), "acme", func(context.Context, store.Reader) error { return nil }),
			"Update": s.Update(t.Context(), "acme", func(context.Context, store.Tx) error { return nil }),
			"Ping":   s.Ping(t.Context()),
			"Close":  s.Close(),
		} {
			if err == nil || !strings.Contains(err.Error(), "make one with Open") {
				t.Errorf("%s of %#v: %v", name, s, err)
			}
		}
	}
}
