package postgres_test

import (
	"path/filepath"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
	"github.com/scimjit/provision/store/storetest"
)

// FuzzPostgreSQLSame takes random steps on all stores: they answer alike.
func FuzzPostgreSQLSame(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, uint8(40))
	}
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		file, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Synchronous: sqlite.Normal})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		storetest.RunSame(t, seed, int(steps), memory.New(), file, postgrestest.Open(t))
	})
}
