package provision

import "context"

// Bounds of what is kept of refusals.
const (
	RefusalMinute = refusalMinute
	RefusalDay    = refusalDay
	RefusalBuffer = refusalBuffer
)

// FlushRefusals stores what was counted, as Run does.
func (e *Engine) FlushRefusals(ctx context.Context) error { return e.flushRefusals(ctx) }

// PruneRefusals removes what is old, as Run does.
func (e *Engine) PruneRefusals(ctx context.Context, scope string) error {
	return e.pruneRefusals(ctx, scope)
}

// WaitingRefusals returns how many rows are not stored yet.
func (e *Engine) WaitingRefusals() int {
	e.refusals.mu.Lock()
	defer e.refusals.mu.Unlock()
	return len(e.refusals.rows)
}
