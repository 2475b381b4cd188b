package pgxfollow_test

import (
	"context"
	"log"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/follow/pgxfollow"
	"github.com/scimjit/provision/store/memory"
)

// A table in PostgreSQL follows the accounts.
func Example() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	pool, err := pgxpool.New(ctx, "postgres://app@localhost/app")
	if err != nil {
		log.Fatal(err)
	}
	write := func(ctx context.Context, tx pgx.Tx, d provision.Delivery) (hostID string, err error) {
		if d.Account == nil {
			return "", nil
		}
		err = tx.QueryRow(ctx, `INSERT INTO users (account, email, status) VALUES ($1, $2, $3)
			ON CONFLICT (account) DO UPDATE SET email = excluded.email, status = excluded.status
			RETURNING id::text`, d.Account.ID, d.Account.Email, d.Account.Status).Scan(&hostID)
		return hostID, err
	}
	users := follow.New(engine, "users-table", pgxfollow.Pool(pool), write)
	users.Prefix = "app.follow_"
	if err := users.Create(ctx); err != nil {
		log.Fatal(err)
	}
	log.Fatal(users.Deliver(ctx, provision.DeliveryOptions{}))
}
