package postgres_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestPostgreSQLBatchLimits queues updates behind one: at most 60 are committed together,
// or as many as write 2,000 rows, and the one that comes to that.
func TestPostgreSQLBatchLimits(t *testing.T) {
	db := newDatabase(t)
	s := open(t, db.config())
	postgres.BatchTime(s, time.Hour)
	var commits atomic.Int64
	postgres.Sent(s, func(text string, _ []any) {
		if text == "COMMIT" {
			commits.Add(1)
		}
	})
	for _, test := range []struct {
		updates, rows int
		commits       int64
	}{
		{60, 1, 1},
		{61, 1, 2},
		{13, 300, 2}, // 7, and 6
		{3, 2500, 3},
		{6, 1000, 3},
	} {
		write := func(_ context.Context, tx store.Tx) error {
			for range test.rows {
				if err := tx.AppendEvent(&store.Event{Type: store.AccountUpdated}); err != nil {
					return err
				}
			}
			return nil
		}
		if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
			t.Fatal(err)
		}
		before := commits.Load()
		var group sync.WaitGroup
		err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
			for range test.updates - 1 {
				group.Go(func() {
					if err := s.Update(t.Context(), "acme", write); err != nil {
						t.Error(err)
					}
				})
			}
			for s.Waiting() < test.updates {
				time.Sleep(time.Millisecond) // they wait in goroutines of their own
			}
			return write(ctx, tx)
		})
		group.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := commits.Load() - before; got != test.commits {
			t.Errorf("%d updates of %d rows: %d commits, want %d", test.updates, test.rows, got, test.commits)
		}
	}
}
