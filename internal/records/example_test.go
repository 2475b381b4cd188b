package records_test

import (
	"context"
	"fmt"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// A mark is put, whatever is there, and read where it is needed.
func Example() {
	ctx, s := context.Background(), memory.New()
	err := s.Update(ctx, "acme", func(_ context.Context, tx store.Tx) error {
		return records.LastAdmin.Put(tx, "", "ann")
	})
	kept, viewErr := records.LastAdmin.View(ctx, s, "acme", "")
	fmt.Println(kept.Value, kept.Version, err, viewErr)
	// Output: ann 1 <nil> <nil>
}
