package postgres_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// It needs a server, so that it is compiled and not run.
func Example() {
	ctx := context.Background()
	s, err := postgres.Open(ctx, postgres.Config{URL: os.Getenv("DATABASE_URL")})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()

	err = s.Update(ctx, "okta", func(_ context.Context, tx store.Tx) error {
		return tx.PutResource(&store.Resource{
			ID: "2819c223", Type: "User", Version: 1, Display: "bjensen",
			Document: store.Document(`{"userName":"bjensen"}`),
			Keys:     []store.Key{{Attribute: "userName", Value: "bjensen", Unique: true}},
		})
	})
	if err != nil {
		log.Print(err)
		return
	}
	err = s.View(ctx, "okta", func(_ context.Context, r store.Reader) error {
		user, err := r.Resource("User", "2819c223", 0)
		if err == nil {
			fmt.Println(user.Display, string(user.Document))
		}
		return err
	})
	if err != nil {
		log.Print(err)
	}
}
