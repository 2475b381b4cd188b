package sqlite_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// TestBatchRows queues updates behind one: as many are committed together as write 2,000
// rows, and the one that comes to that.
func TestBatchRows(t *testing.T) {
	for _, test := range []struct{ updates, rows, commits int }{
		{20, 1, 1},
		{13, 300, 2}, // 7, and 6
		{3, 2500, 3},
		{6, 1000, 3},
	} {
		s, tr := openTraced(t, sqlite.Config{})
		sqlite.BatchTime(s, time.Hour)
		update(t, s, func(tx store.Tx) error { return tx.AppendEvent(&store.Event{}) })
		tr.take()
		var group sync.WaitGroup
		write := func(tx store.Tx) error {
			for range test.rows {
				if err := tx.AppendEvent(&store.Event{Type: store.AccountUpdated}); err != nil {
					return err
				}
			}
			return nil
		}
		update(t, s, func(tx store.Tx) error {
			for range test.updates - 1 {
				group.Go(func() {
					err := s.Update(t.Context(), benchScope, func(_ context.Context, tx store.Tx) error { return write(tx) })
					if err != nil {
						t.Error(err)
					}
				})
			}
			for s.Waiting() < test.updates-1 {
				time.Sleep(time.Millisecond) // they wait in goroutines of their own
			}
			return write(tx)
		})
		group.Wait()
		if got := count(tr.take(), "COMMIT"); got != test.commits {
			t.Errorf("%d updates of %d rows: %d commits, want %d", test.updates, test.rows, got, test.commits)
		}
	}
}
