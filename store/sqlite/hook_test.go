package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// TestInTx keeps a table of the host in the transactions of the store.
func TestInTx(t *testing.T) {
	refused := errors.New("refused by the host")
	tr := &trace{}
	db := openHost(t, filepath.Join(t.TempDir(), "host.db"), tr)
	if _, err := db.Exec("CREATE TABLE users (account TEXT PRIMARY KEY, sequence INTEGER)"); err != nil {
		t.Fatal(err)
	}
	var kept sqlite.Tx
	s, err := sqlite.Open(t.Context(), sqlite.Config{DB: db, InTx: func(ctx context.Context, tx sqlite.Tx, events []store.Event) error {
		kept = tx
		for _, e := range events {
			_, err := tx.ExecContext(ctx, "INSERT INTO users VALUES (?, ?)", e.AccountID, e.Sequence)
			if err != nil {
				return err
			}
			if e.AccountID == "a"+userID(2) {
				return refused
			}
			if e.AccountID == "a"+userID(3) {
				panic(refused)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()

	if err := create(s, 1); err != nil {
		t.Fatal(err)
	}
	if err := create(s, 2); !errors.Is(err, refused) {
		t.Errorf("error %v of a change that the host refuses", err)
	}
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, refused) {
				t.Errorf("recovered %v", err)
			}
		}()
		_ = create(s, 3)
	}()
	if err := create(s, 1); !errors.Is(err, store.ErrVersion) {
		t.Errorf("error %v of a change that fails by itself", err)
	}
	update(t, s, func(tx store.Tx) error { return tx.PutRecord(&store.Record{Kind: "k", Key: "no event"}) })
	if err := create(s, 4); err != nil {
		t.Fatal(err)
	}

	rows, err := db.Query("SELECT account, sequence FROM users ORDER BY sequence")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	type row struct {
		Account  string
		Sequence int64
	}
	var got []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.Account, &r.Sequence); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]row{{"a" + userID(1), 1}, {"a" + userID(4), 2}}, got); diff != "" {
		t.Errorf("rows of the host (-want +got):\n%s", diff)
	}
	if n := users(t, s); n != 2 {
		t.Errorf("%d users", n)
	}
	if _, err := kept.ExecContext(t.Context(), "DELETE FROM users"); err == nil {
		t.Error("the transaction works after the function returned")
	}
}
