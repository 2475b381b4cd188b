package provision_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// A host keeps its users by events, and its login needs the user: it waits
// until its own consumer has seen the account.
func ExampleConsumer_Wait() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	engine := &provision.Engine{Store: memory.New()}
	conn := provision.Connection{ID: "corp"}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "setup"}).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}
	var users sync.Map // the table: the status of each account
	apply := func(_ context.Context, d provision.Delivery) error {
		if a := d.Account; a != nil {
			users.Store(a.ID, a.Status)
		}
		return nil
	}
	consumer := engine.Consumer("users-table")
	if err := consumer.Register(ctx); err != nil { // before the first login
		fmt.Println(err)
		return
	}
	go func() { _ = consumer.Deliver(ctx, apply, provision.DeliveryOptions{}) }()

	account, err := engine.Directory("corp").Login(ctx, provision.Identity{ID: "00u1", UserName: "ann@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	patience, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := consumer.Wait(patience, "corp", account.ID); err != nil {
		fmt.Println("try again in a minute:", err)
		return
	}
	fmt.Println(users.Load(account.ID))
	// Output: active true
}
