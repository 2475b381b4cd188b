package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
	"github.com/scimjit/provision/store/storetest"
)

func TestConformance(t *testing.T) {
	paths := map[store.Store]string{}
	at := func(t *testing.T, path string) store.Store {
		t.Helper()
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		paths[s] = path
		return s
	}
	storetest.Run(t,
		func(t *testing.T) store.Store { return at(t, filepath.Join(t.TempDir(), "store.db")) },
		storetest.Options{
			Join: func(t *testing.T, s store.Store) store.Store {
				t.Helper()
				return at(t, paths[s])
			},
			Reopen: func(t *testing.T, s store.Store) store.Store {
				t.Helper()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return at(t, paths[s])
			},
		})
}
