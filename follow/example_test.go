package follow_test

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	_ "modernc.org/sqlite"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store/memory"
)

// An application keeps its users table right, and the accounts know its rows.
func Example() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	corp := engine.Directory("corp").As(provision.Actor{Kind: "operator", ID: "setup"})
	if _, err := corp.SaveConnection(ctx, provision.Connection{Name: "Corp"}); err != nil {
		fmt.Println(err)
		return
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if _, err := db.ExecContext(ctx, `CREATE TABLE users (id INTEGER PRIMARY KEY, account TEXT UNIQUE, email TEXT, active INTEGER)`); err != nil {
		fmt.Println(err)
		return
	}

	users := follow.New(engine, "users-table", follow.SQL(db, follow.SQLite), writeUser)
	if err := users.Create(ctx); err != nil {
		fmt.Println(err)
		return
	}
	// A server runs this in a goroutine: users.Deliver(ctx, provision.DeliveryOptions{})
	deliver := func() error { return users.Consumer().DeliverOnce(ctx, users.Take) }

	ann, err := corp.Login(ctx, provision.Identity{ID: "00u1", UserName: "ann", Email: "ann@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(deliver())
	ann, err = corp.Account(ctx, ann.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	email, active := "", false
	err = db.QueryRowContext(ctx, `SELECT email, active FROM users WHERE id = $1`, ann.HostID).Scan(&email, &active)
	fmt.Println(email, active, err)
	// Output:
	// <nil>
	// ann@example.com true <nil>
}

// writeUser makes the row of an account be what the account is.
func writeUser(ctx context.Context, tx *sql.Tx, d provision.Delivery) (hostID string, err error) {
	a := d.Account
	if a == nil {
		return "", nil // about a group, the connection or a credential
	}
	var id int64
	err = tx.QueryRowContext(ctx, `INSERT INTO users (account, email, active) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET email = excluded.email, active = excluded.active RETURNING id`,
		a.ID, a.Email, a.Status == policy.StatusActive).Scan(&id)
	return strconv.FormatInt(id, 10), err
}
