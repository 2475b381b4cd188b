//go:build unix

package postgrestest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLPlans checks that what forgets the scope is seen, however it is sent.
func TestPostgreSQLPlans(t *testing.T) {
	config := Empty(t, 3)
	s, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		return tx.AppendEvent(&store.Event{Type: store.AccountUpdated})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var recorded plans
	pool := newPool(t, shared.admin.Config().ConnString(), recorded.record)
	defer pool.Close()
	for _, test := range []struct {
		query string
		args  []any
		want  int
	}{
		{`SELECT data FROM %s.provision_events WHERE scope = $1 AND sequence > $2`, []any{"acme", int64(0)}, 1},
		{`SELECT data FROM %s.provision_events WHERE sequence > $1`, []any{int64(0)}, 3},
		{`DELETE FROM %s.provision_events WHERE sequence > $1`, []any{int64(7)}, 3},
		{`SELECT scope, sequence FROM %s.provision_scopes WHERE sequence > $1`, []any{int64(0)}, 3},
	} {
		text := fmt.Sprintf(test.query, `"`+config.Schema+`"`)
		if _, err := pool.Exec(t.Context(), text, test.args...); err != nil {
			t.Fatal(err)
		}
		sent := recorded.next
		if len(sent) != 1 || sent[0].text != text {
			t.Fatalf("%s was sent as %v", text, sent)
		}
		partitions, err := sent[0].plan(t.Context(), shared.admin)
		if err != nil || len(partitions) != test.want {
			t.Errorf("%s: partitions %v, %v, want %d", text, partitions, err, test.want)
		}
		var failures failed
		recorded.check(t.Context(), &failures, shared.admin)
		if got, want := len(failures.list) > 0, test.want > 1 && !strings.Contains(text, "provision_scopes"); got != want {
			t.Errorf("%s fails a test: %t, want %t: %q", text, got, want, failures.list)
		}
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var batch pgconn.Batch
	batch.ExecParams(`SELECT last FROM "`+config.Schema+`".provision_nothing`, nil, nil, nil, nil)
	_, _ = conn.Conn().PgConn().ExecBatch(t.Context(), &batch).ReadAll() // there is no such table
	if len(recorded.next) != 1 {
		t.Errorf("a batch was recorded as %v", recorded.next)
	}
}

// failed is a test that only remembers how it fails.
type failed struct {
	testing.TB
	list []string
}

func (f *failed) Helper() {}

func (f *failed) Errorf(format string, args ...any) {
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

func (f *failed) Error(args ...any) { f.list = append(f.list, fmt.Sprint(args...)) }

// TestPostgreSQLEmpty checks that a store that was used before is empty.
func TestPostgreSQLEmpty(t *testing.T) {
	var schema string
	for range 2 {
		t.Run("store", func(t *testing.T) {
			config := Empty(t, 0)
			if schema != "" && config.Schema != schema {
				t.Errorf("the tables of %s are not used again, but those of %s", schema, config.Schema)
			}
			schema = config.Schema
			s, err := postgres.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			err = s.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
				e := &store.Event{Type: store.AccountUpdated}
				err := tx.AppendEvent(e)
				if e.Sequence != 1 {
					t.Errorf("the first event has the number %d", e.Sequence)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
