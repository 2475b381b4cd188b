package provision

import (
	"context"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Restored tells every consumer that the store was restored from a backup: it is as it
// was at an earlier time, and what consumers have seen since then did not happen. It is
// called once after a restore, before any process delivers events again; the command
// store/storectl does it, too.
//
// Each consumer gets a [*CursorExpiredError] with Restored set, for each connection,
// until it has called [Consumer.Skip]. [Delivery.Fence] of each connection goes on with
// numbers that were never used.
func (e *Engine) Restored(ctx context.Context) error {
	e = e.present()
	var ids, consumers []string
	err := e.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		names, err := records.Consumer.List(r, "", 0)
		if err != nil {
			return err
		}
		consumers = nil
		for _, c := range names {
			consumers = append(consumers, c.Key)
		}
		ended, err := records.ConnectionEnded.List(r, "", 0)
		if err != nil {
			return err
		}
		ids = nil
		for _, c := range ended {
			ids = append(ids, c.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	listed, err := e.connectionIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range append(ids, listed...) {
		err := e.store().Update(ctx, id, func(_ context.Context, tx store.Tx) error {
			for _, name := range consumers {
				if err := outbox.MarkRestored(tx, name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
