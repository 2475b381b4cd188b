package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// database is an empty database for a test, in which each store has a schema.
type database struct {
	url     string
	schemas atomic.Int64
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	return &database{url: postgrestest.Start(t).Database(t)}
}

// config returns where the next empty store is.
func (d *database) config() postgres.Config {
	return postgres.Config{URL: d.url, Schema: fmt.Sprintf("store%d", d.schemas.Add(1))}
}

// open opens a store that is closed with the test.
func open(t *testing.T, config postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// connect connects beside the stores.
func (d *database) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// execute runs a statement beside the stores.
func execute(t *testing.T, conn *pgx.Conn, query string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// appendEvent is an update that appends an event.
func appendEvent(_ context.Context, tx store.Tx) error {
	return tx.AppendEvent(&store.Event{Type: store.AccountUpdated})
}

// lastEvent returns the sequence of the last event of a scope.
func lastEvent(t *testing.T, s store.Store, scope string) (last int64) {
	t.Helper()
	err := s.View(t.Context(), scope, func(_ context.Context, r store.Reader) (err error) {
		_, last, err = r.EventRange()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// poll waits until a query answers with a number that is not 0.
func poll(t *testing.T, conn *pgx.Conn, query string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		n := 0
		if err := conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not become true: %s", query)
		}
		time.Sleep(10 * time.Millisecond) // another process is to do something
	}
}
