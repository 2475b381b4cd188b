package postgres_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLGuards expects that a write which may skip a row is counted, and that one
// which cannot is not.
func TestPostgreSQLGuards(t *testing.T) {
	for _, test := range []struct {
		name, query string
		counted     bool
	}{
		{"insertion", "INSERT INTO provision_events (scope) VALUES (?)", false},
		{"insertion that skips", "INSERT INTO provision_keys (scope) VALUES (?) ON CONFLICT DO NOTHING", false}, // it may not
		{"insertion or change", "INSERT INTO provision_members (scope) VALUES (?)\n\t\tON CONFLICT (scope) DO UPDATE SET stage = NULL WHERE stage > 0", true},
		{"insertion of what is there", "INSERT INTO provision_accounts (scope) SELECT ? WHERE NOT EXISTS (SELECT 1)", true},
		{"change", "UPDATE provision_accounts SET data = ? WHERE scope = ?", true},
		{"deletion", "DELETE FROM provision_members WHERE scope = ?", true},
	} {
		sent := postgres.Guarded(test.query, 1)
		if counted := strings.HasPrefix(sent, "WITH written"); counted != test.counted || strings.Contains(sent, "NOTHING") {
			t.Errorf("%s: %s", test.name, sent)
		}
	}
}

// TestPostgreSQLReadsAgain loses a connection when a part of what was announced has
// arrived. Somebody else writes before the transaction begins again: it must read what
// is there then.
func TestPostgreSQLReadsAgain(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	direct := open(t, config)
	put := func(value string, version int64) error {
		return direct.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			return tx.PutRecord(&store.Record{Kind: "k", Key: "a", Value: []byte(value), Version: version})
		})
	}
	if err := put("old", 0); err != nil {
		t.Fatal(err)
	}
	var armed atomic.Int64 // results that still arrive
	config.URL = postgrestest.Between(t, config.URL, func(client, server net.Conn) {
		go func() { _, _ = io.Copy(server, client) }()
		for {
			head := make([]byte, 5)
			if _, err := io.ReadFull(server, head); err != nil {
				break
			}
			body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
			if _, err := io.ReadFull(server, body); err != nil {
				break
			}
			if head[0] == 'C' && armed.Load() > 0 && armed.Add(-1) == 0 { // CommandComplete
				_, _ = client.Write(append(head, body...))
				_ = server.Close()
				if err := put("new", 1); err != nil {
					t.Error(err)
				}
				break
			}
			if _, err := client.Write(append(head, body...)); err != nil {
				break
			}
		}
		_ = client.Close()
	})
	through := open(t, config)
	for round := range 2 { // the first one prepares what the second one runs
		if round == 1 {
			armed.Store(4) // BEGIN, the lock, the record and another read
		}
		got := ""
		err := through.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			tx.Expect(func(r store.Reader) { _, _ = r.Record("k", "a") }, func(r store.Reader) { _, _ = r.IsMember("g", "m") },
				func(r store.Reader) { _, _ = r.Types("x") })
			rec, err := tx.Record("k", "a")
			if err != nil {
				return err
			}
			got = string(rec.Value)
			return tx.PutRecord(&store.Record{Kind: "k", Key: "b", Value: rec.Value})
		})
		if want := []string{"old", "new"}[round]; got != want || round == 0 && err != nil {
			t.Errorf("round %d: read %q, want %q: %v", round, got, want, err)
		}
	}
	if armed.Load() != 0 {
		t.Errorf("the connection was not lost: %d", armed.Load())
	}
}

// TestPostgreSQLNothingMore expects that a view which reads more than it has announced,
// and announces that too, sees one moment.
func TestPostgreSQLNothingMore(t *testing.T) {
	st := open(t, newDatabase(t).config())
	put := func(value string, version int64) {
		err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			for _, key := range []string{"a", "b"} {
				if err := tx.PutRecord(&store.Record{Kind: "k", Key: key, Value: []byte(value), Version: version}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	put("old", 0)
	runs, got := 0, ""
	err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		runs++
		r.Expect(func(r store.Reader) { _, _ = r.Record("k", "a") }, store.NothingMore)
		a, err := r.Record("k", "a")
		if err != nil {
			return err
		}
		if runs == 1 {
			put("new", 1)
		}
		r.Expect(func(r store.Reader) { _, _ = r.Record("k", "b") })
		b, err := r.Record("k", "b")
		if err != nil {
			return err
		}
		got = string(a.Value) + " " + string(b.Value)
		return nil
	})
	if err != nil || got != "new new" || runs != 2 {
		t.Errorf("read %q in %d runs: %v", got, runs, err)
	}
}
