package memory_test

import (
	"context"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// A store that nobody made says so.
func TestNoStore(t *testing.T) {
	var none *memory.Store
	for _, s := range []store.Store{none, &memory.Store{}} {
		_, scan := s.Scan(t.Context(), "acme", store.Query{})
		for name, err := range map[string]error{
			"Scan":   scan,
			"View":   s.View(t.Context(), "acme", func(context.Context, store.Reader) error { return nil }),
			"Update": s.Update(t.Context(), "acme", func(context.Context, store.Tx) error { return nil }),
			"Ping":   s.Ping(t.Context()),
			"Close":  s.Close(),
		} {
			if err == nil || !strings.Contains(err.Error(), "make one with New") {
				t.Errorf("%s of %#v: %v", name, s, err)
			}
		}
	}
}
