package requestlog_test

import (
	"context"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// What nobody is known for is counted for the connection "".
func Example() {
	ctx := context.Background()
	log := &requestlog.Log{
		Counts:      &requestlog.Counts{},
		Store:       memory.New(),
		Now:         func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) },
		Connections: func(context.Context) ([]string, error) { return nil, nil },
	}
	log.Count("made-up", "192.0.2.1:50000", "unauthenticated")
	log.Count("", "192.0.2.1:50001", "unauthenticated")
	if err := log.Flush(ctx); err != nil {
		panic(err)
	}
	rows, err := log.Refusals(ctx, store.Global, time.Time{})
	for _, r := range rows {
		fmt.Println(r.Minute.Format(time.TimeOnly), r.Address, r.Cause, r.Count)
	}
	fmt.Println(err)
	// Output:
	// 03:04:00 192.0.2.1 unauthenticated 2
	// <nil>
}
