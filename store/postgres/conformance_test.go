package postgres_test

import (
	"sync"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/storetest"
)

// TestPostgreSQLConformance runs the suite on plain tables with prepared statements, and
// on partitions without. There the plan of everything that is sent is looked at.
func TestPostgreSQLConformance(t *testing.T) {
	for _, test := range []struct {
		name       string
		partitions int
	}{
		{"plain", 0},
		{"partitioned", 3},
	} {
		t.Run(test.name, func(t *testing.T) { conform(t, test.partitions) })
	}
}

func conform(t *testing.T, partitions int) {
	var configs sync.Map
	at := func(t *testing.T, config postgres.Config) store.Store {
		t.Helper()
		s := open(t, config)
		if partitions > 0 && !postgres.Unnamed(s) {
			t.Error("statements on partitions are prepared")
		}
		configs.Store(s, config)
		return s
	}
	of := func(s store.Store) postgres.Config {
		config, _ := configs.Load(s)
		return config.(postgres.Config)
	}
	storetest.Run(t,
		func(t *testing.T) store.Store { return at(t, postgrestest.Empty(t, partitions)) },
		storetest.Options{
			Writers: 30,
			Steps:   100,
			Stride:  5,
			Join: func(t *testing.T, s store.Store) store.Store {
				t.Helper()
				return at(t, of(s))
			},
			Reopen: func(t *testing.T, s store.Store) store.Store {
				t.Helper()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return at(t, of(s))
			},
		})
}
