package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// patience is for what has no bound of its own.
const patience = time.Minute

// heard waits until a watcher that never asks has heard of a scope.
func heard(t *testing.T, w store.Watcher, scope string) {
	t.Helper()
	late := time.After(patience)
	for {
		for _, a := range w.Take() {
			if a.Scope == scope {
				return
			}
		}
		select {
		case <-w.C():
		case <-late:
			t.Fatalf("nothing was heard of scope %q", scope)
		}
	}
}

// listeners returns how many sessions of a store listen.
func listeners(t *testing.T, conn *pgx.Conn, s *postgres.Store) (n int) {
	t.Helper()
	err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' || $1 || '%'`, postgres.Channel(s)).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("not %s", what)
		}
	}
}

// TestPostgreSQLNotify appends events at one store. Another one, which never asks, hears
// of them, also after its listener was lost, and after the end of the store nobody
// listens.
func TestPostgreSQLNotify(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.Notify = true
	config.URL += " pool_max_conns=2" // the listener takes none
	list := replicas(t, config, 2)
	beside := db.connect(t)
	w := list[1].Watch()
	defer w.Close()
	until(t, "listening", func() bool { return listeners(t, beside, list[0]) == 2 })
	for _, scope := range []string{"acme", "globex", "acme"} {
		if err := list[0].Update(t.Context(), scope, appendEvent); err != nil {
			t.Fatal(err)
		}
		heard(t, w, scope)
	}

	execute(t, beside, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`)
	if err := list[0].Update(t.Context(), "initech", appendEvent); err != nil {
		t.Fatal(err)
	}
	heard(t, w, "initech") // whether or not somebody listened at the time
	until(t, "listening again", func() bool { return listeners(t, beside, list[0]) == 2 })
	if err := list[0].Update(t.Context(), "hooli", appendEvent); err != nil {
		t.Fatal(err)
	}
	heard(t, w, "hooli")

	other := open(t, db.config()) // another schema, without hints
	if err := other.Update(t.Context(), "elsewhere", appendEvent); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	until(t, "over", func() bool { return listeners(t, beside, list[0]) == 0 })
	for _, a := range w.Take() {
		if a.Scope == "elsewhere" {
			t.Error("a store hears of another schema")
		}
	}
}

// TestPostgreSQLNotifyRarely sends one hint for all that is committed until the next, and
// none for what has no events.
func TestPostgreSQLNotifyRarely(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.Notify = true
	s := open(t, config)
	postgres.NotifyPause(s, time.Hour)
	beside := db.connect(t)
	execute(t, beside, `LISTEN `+pgx.Identifier{postgres.Channel(s)}.Sanitize())
	err := s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "lease", Key: "k"})
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	hints := 0
	for wait := patience; ; wait = 100 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := beside.WaitForNotification(ctx)
		cancel()
		if err != nil {
			break
		}
		hints++
	}
	if hints != 1 {
		t.Errorf("%d hints for 50 updates within a pause, want 1", hints)
	}
}

// TestPostgreSQLNotifyPooler refuses hints where there are no sessions, and says what to
// do.
func TestPostgreSQLNotifyPooler(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.URL = postgrestest.StartPooler(t, config.URL, "transaction", 2)
	config.Notify = true
	s, err := postgres.Open(t.Context(), config)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "leave Notify out") {
		t.Errorf("Open: %v", err)
	}
}
