package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "provision.db")})
	if err != nil {
		log.Fatal(err)
	}

	err = s.Update(ctx, "okta", func(_ context.Context, tx store.Tx) error {
		return tx.PutResource(&store.Resource{
			ID: "2819c223", Type: "User", Version: 1, Display: "bjensen",
			Document: store.Document(`{"userName":"bjensen"}`),
			Keys:     []store.Key{{Attribute: "userName", Value: "bjensen", Unique: true}},
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	err = s.View(ctx, "okta", func(_ context.Context, r store.Reader) error {
		user, err := r.Resource("User", "2819c223", 0)
		if err == nil {
			fmt.Println(user.Display, string(user.Document))
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
	// Output: bjensen {"userName":"bjensen"}
}
