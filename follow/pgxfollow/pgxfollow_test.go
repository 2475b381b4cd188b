package pgxfollow_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/follow/internal/followtest"
	"github.com/scimjit/provision/follow/pgxfollow"
	"github.com/scimjit/provision/internal/postgrestest"
)

func TestPool(t *testing.T) {
	server := postgrestest.Start(t)
	followtest.Run(t, func(t *testing.T) follow.Database[pgx.Tx] {
		pool, err := pgxpool.New(t.Context(), server.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pgxfollow.Pool(pool)
	})
}
