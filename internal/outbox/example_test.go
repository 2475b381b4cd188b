package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// What a store holds of events goes to a consumer, once.
func Example() {
	ctx, st := context.Background(), memory.New()
	err := st.Update(ctx, "acme", func(_ context.Context, tx store.Tx) error {
		return tx.AppendEvent(&store.Event{Type: store.AccountCreated, Connection: "acme", AccountID: "ada"})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &outbox.Consumer{
		Name: "host", Store: st, Now: time.Now, Logger: slog.Default(),
		Connections: func(context.Context) ([]string, error) { return []string{"acme"}, nil },
		Pending:     func(_ store.Reader, list []*store.Account) ([]*store.Account, error) { return list, nil },
		Redriven:    &outbox.News{}, Moved: &outbox.News{},
	}
	for range 2 {
		err := c.DeliverOnce(ctx, func(_ context.Context, d outbox.Delivery) error {
			fmt.Println(d.Event.Sequence, d.Event.Type, d.Event.AccountID)
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output: 1 account.created ada
}
