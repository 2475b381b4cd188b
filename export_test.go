package provision

import "context"

// Work does one batch of a connection's job.
func Work(e *Engine, ctx context.Context, connection string) (bool, error) {
	return e.work(ctx, connection)
}

// Prune removes the events beyond the retention.
func Prune(e *Engine, ctx context.Context, connection string) error {
	return e.prune(ctx, connection, e.now().Add(-e.Retention))
}

// DeleteDue deletes the accounts whose days are over.
func DeleteDue(e *Engine, ctx context.Context, connection string) error {
	return e.deleteDue(ctx, connection)
}
