package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

var errHost = errors.New("refused by the host")

// hostRows returns the rows of the table of a host, in order.
func hostRows(t *testing.T, conn *pgx.Conn, schema string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), fmt.Sprintf(`SELECT account || ' ' || sequence FROM %s.users ORDER BY sequence, account`, schema))
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// of is an update that appends an event of an account.
func of(account string) func(context.Context, store.Tx) error {
	return func(_ context.Context, tx store.Tx) error {
		return tx.AppendEvent(&store.Event{Type: store.AccountUpdated, AccountID: account})
	}
}

// TestPostgreSQLInTx keeps a table of the host in the transactions of the store.
func TestPostgreSQLInTx(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	p, url := newProxy(t, config.URL)
	config.URL = url
	conn := db.connect(t)
	var (
		kept  pgx.Tx
		calls = map[string]int{}
	)
	config.InTx = func(ctx context.Context, tx pgx.Tx, events []store.Event) error {
		kept = tx
		for _, e := range events {
			calls[e.AccountID]++
			_, err := tx.Exec(ctx, `INSERT INTO `+config.Schema+`.users VALUES ($1, $2)`, e.AccountID, e.Sequence)
			if err != nil {
				return err
			}
			switch e.AccountID {
			case "refused":
				return errHost
			case "panics":
				panic(errHost)
			case "again":
				if calls["again"] == 1 {
					_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
					return err
				}
			case "ignores":
				_, _ = tx.Exec(ctx, `SELECT 1/0`)
			case "open":
				_, err := tx.Query(ctx, `SELECT 1`) //nolint:sqlclosecheck // that is the mistake
				return err
			case "ends":
				return tx.Commit(ctx)
			case "nested":
				inner, err := tx.Begin(ctx)
				if err != nil {
					return err
				}
				if _, err := inner.Exec(ctx, `SELECT 1/0`); err == nil {
					return errors.New("1/0 is something")
				}
				return inner.Rollback(ctx)
			}
		}
		return nil
	}
	s := open(t, config)
	execute(t, conn, `CREATE TABLE `+config.Schema+`.users (account text, sequence bigint)`)
	for _, test := range []struct {
		account string
		cut     cut
		fails   bool
		calls   int
	}{
		{"first", never, false, 1},
		{"refused", never, true, 1},
		{"again", never, false, 2},
		{"ignores", never, true, 1},
		{"open", never, true, 4},
		{"ends", never, true, 1},
		{"nested", never, false, 1},
		{"committed", afterCommit, false, 1},
		{"lost", beforeCommit, false, 2},
		{"last", never, false, 1},
	} {
		p.arm(test.cut)
		err := s.Update(t.Context(), "acme", of(test.account))
		if (err != nil) != test.fails || calls[test.account] != test.calls {
			t.Errorf("%s: %d calls, want %d; %v", test.account, calls[test.account], test.calls, err)
		}
		if test.account == "refused" && !errors.Is(err, errHost) {
			t.Errorf("the error of the host became %v", err)
		}
	}
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, errHost) {
				t.Errorf("recovered %v", err)
			}
		}()
		_ = s.Update(t.Context(), "acme", of("panics"))
	}()
	want := []string{"first 1", "again 2", "nested 3", "committed 4", "lost 5", "last 6"}
	if diff := cmp.Diff(want, hostRows(t, conn, config.Schema)); diff != "" {
		t.Errorf("rows of the host (-want +got):\n%s", diff)
	}
	if got := lastEvent(t, s, "acme"); got != 6 {
		t.Errorf("%d events, want 6", got)
	}
	if _, err := kept.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("the transaction works after the function returned")
	}
}

// TestPostgreSQLInTxBatch lets the host refuse some updates of batches: their rows are
// undone, and nobody else's.
func TestPostgreSQLInTxBatch(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	conn := db.connect(t)
	config.InTx = func(ctx context.Context, tx pgx.Tx, events []store.Event) error {
		for _, e := range events {
			if _, err := tx.Exec(ctx, `INSERT INTO `+config.Schema+`.users VALUES ($1, $2)`, e.AccountID, e.Sequence); err != nil {
				return err
			}
			if e.AccountID == "refused" {
				_, err := tx.Exec(ctx, `SELECT 1/0`)
				return err
			}
		}
		return nil
	}
	s := open(t, config)
	execute(t, conn, `CREATE TABLE `+config.Schema+`.users (account text, sequence bigint)`)
	var group sync.WaitGroup
	var kept atomic.Int64
	for i := range 60 {
		group.Go(func() {
			account := fmt.Sprint("a", i)
			if i%5 == 0 {
				account = "refused"
			}
			err := s.Update(t.Context(), "acme", of(account))
			if err == nil {
				kept.Add(1)
			}
			if (err != nil) != (account == "refused") {
				t.Errorf("%s: %v", account, err)
			}
		})
	}
	group.Wait()
	got := hostRows(t, conn, config.Schema)
	if int64(len(got)) != kept.Load() || kept.Load() != 48 {
		t.Errorf("%d rows of %d updates, want 48", len(got), kept.Load())
	}
	events := map[string]bool{}
	err := s.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		list, err := r.Events(0, 0)
		for _, e := range list {
			events[fmt.Sprint(e.AccountID, " ", e.Sequence)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range got {
		if !events[row] {
			t.Errorf("the row %q has no event", row)
		}
	}
}

// It needs a server, so that it is compiled and not run.
func ExampleConfig_inTx() {
	var pool = postgres.Config{}.Pool // of the host
	_, _ = postgres.Open(context.Background(), postgres.Config{
		Pool: pool,
		InTx: func(ctx context.Context, tx pgx.Tx, events []store.Event) error {
			for _, e := range events {
				if e.Account == nil {
					continue
				}
				_, err := tx.Exec(ctx, `INSERT INTO users (id, status) VALUES ($1, $2)
					ON CONFLICT (id) DO UPDATE SET status = excluded.status`, e.AccountID, string(e.Account.Status))
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}
