package postgres_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/storetest"
)

// TestPostgreSQLConformance runs the suite on plain tables with prepared statements, and
// on partitions without. There it looks at the plan of everything that is sent.
func TestPostgreSQLConformance(t *testing.T) {
	db := newDatabase(t)
	for _, test := range []struct {
		name       string
		partitions int
	}{
		{"plain", 0},
		{"partitioned", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool, err := pgxpool.New(t.Context(), db.url+" pool_max_conns=12")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			var plans recorder
			conform(t, db, &tables{config: postgres.Config{Partitions: test.partitions}, pool: pool}, &plans)
			if test.partitions > 0 {
				plans.check(t, db)
			}
		})
	}
}

func conform(t *testing.T, db *database, tables *tables, plans *recorder) {
	var configs sync.Map
	at := func(t *testing.T, config postgres.Config) store.Store {
		t.Helper()
		s := open(t, config)
		postgres.Sent(s, plans.record)
		configs.Store(s, config)
		return s
	}
	of := func(s store.Store) postgres.Config {
		config, _ := configs.Load(s)
		return config.(postgres.Config)
	}
	storetest.Run(t,
		func(t *testing.T) store.Store { return at(t, tables.get(t, db)) },
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
