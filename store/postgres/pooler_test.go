package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/storetest"
)

// TestPostgreSQLPooler works through pgbouncer without being told of it.
func TestPostgreSQLPooler(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.URL = postgrestest.StartPooler(t, config.URL, "transaction", 3) // fewer than clients
	config.AcquireTimeout = time.Minute                                    // a busy machine fails nobody
	s := open(t, config)
	if !postgres.Unnamed(s) {
		t.Fatal("the pooler was not noticed")
	}
	race([]*postgres.Store{s, open(t, config)}, 60, func(s *postgres.Store, i int) {
		scope := fmt.Sprint("scope", i%6)
		if err := s.Update(t.Context(), scope, appendEvent); err != nil {
			t.Error(err)
		}
		lastEvent(t, s, scope)
	})
	storetest.RunSame(t, 1, 60, s)
	large := strings.Repeat("x", 10<<20)
	err := s.Update(t.Context(), "large", func(_ context.Context, tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte(large)})
	})
	if err != nil {
		t.Error(err)
	}
	err = s.View(t.Context(), "large", func(_ context.Context, r store.Reader) error {
		got, err := r.Record("lease", "k")
		if err == nil && string(got.Value) != large {
			t.Error("10 MiB came back as something else")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPostgreSQLStatementPooler opens a store through a pooler that allows no transactions:
// the error says what to do.
func TestPostgreSQLStatementPooler(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	_ = open(t, config).Close()
	config.URL = postgrestest.StartPooler(t, config.URL, "statement", 3)
	_, err := postgres.Open(t.Context(), config)
	if err == nil || !strings.Contains(err.Error(), "pool_mode=transaction") {
		t.Errorf("%v, want what to do", err)
	}
}
