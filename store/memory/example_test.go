package memory_test

import (
	"context"
	"fmt"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func Example() {
	ctx := context.Background()
	s := memory.New()
	err := s.Update(ctx, "acme", func(_ context.Context, tx store.Tx) error {
		return tx.PutResource(&store.Resource{
			ID: "1", Type: "User", Version: 1,
			Document: store.Document(`{"userName":"Ann"}`),
			Keys:     []store.Key{{Attribute: "userName", Value: "ann", Unique: true}},
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	filter := store.Compare{
		Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Op: store.EQ, Value: "ANN",
		Key: "userName", Folded: "ann",
	}
	err = s.View(ctx, "acme", func(_ context.Context, r store.Reader) error {
		page, err := r.Query(store.Query{Types: []string{"User"}, Filter: filter, Limit: 10})
		for _, user := range page.Resources {
			fmt.Println(user.ID, string(user.Document))
		}
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: 1 {"userName":"Ann"}
}
