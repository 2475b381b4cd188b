package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/store"
)

// Hurry makes Deliver wait a thousandth of what it waits otherwise. The clock
// of the engine is another matter.
func Hurry(e *Engine) { e.pace = func(d time.Duration) time.Duration { return d / 1000 } }

// Lease returns the fence of a delivery, and when its lease ends.
func Lease(e *Engine, ctx context.Context, consumer, connection string) (fence int64, ends time.Time, err error) {
	err = e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		c, err := readCursor(r, consumer)
		if err != nil {
			return err
		}
		fence, ends = c.Fence, c.expires
		return nil
	})
	return fence, ends, err
}
