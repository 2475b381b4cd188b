package provision

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// pollInterval is how long the engine waits for news that another process may
// have stored; news of its own process wakes it at once.
const pollInterval = time.Second

// pruneInterval is how often events beyond Engine.Retention are removed.
const pruneInterval = time.Hour

// deletionInterval is how often accounts are looked for that
// deleteAfterDays deletes.
const deletionInterval = time.Minute

// pruneBatch bounds how many events one transaction removes.
const pruneBatch = 10_000

// Run does the background work of all connections until ctx ends: it derives
// the accounts that large changes left to a job, deletes those whose
// deleteAfterDays are over, removes events older than [Engine.Retention], and
// stores what [Plumbing.CountRefusal] counted, also before it ends. It logs what
// fails and tries again. It returns ctx.Err().
//
// A host calls Run once, in a goroutine of its own.
func (e *Engine) Run(ctx context.Context) error {
	last := map[string]time.Time{}
	for {
		news := e.news.next()
		ids, err := e.connectionIDs(ctx)
		if err != nil && ctx.Err() == nil {
			e.logger().Error("listing connections", "error", err)
		}
		for _, id := range ids {
			e.runConnection(ctx, id, last)
		}
		e.runTasks(ctx, store.Global, last, []task{
			{"storing refusals", requestlog.Interval, func() error { return e.requestLog().Flush(ctx) }},
			{"pruning refusals", pruneInterval, func() error { return e.requestLog().Prune(ctx, store.Global) }},
		})
		if err := wait(ctx, news, pollInterval); err != nil {
			e.flushLast(ctx)
			return err
		}
	}
}

func (e *Engine) runConnection(ctx context.Context, id string, last map[string]time.Time) {
	for ctx.Err() == nil && e.hasJob(ctx, id) {
		more, err := e.work(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
			e.logger().Error("deriving accounts", "connection", id, "error", err)
		}
		if !more || err != nil {
			break
		}
	}
	now := e.now()
	e.runTasks(ctx, id, last, []task{
		{"looking after credentials", credentialInterval, func() error { return e.tendCredentials(ctx, id) }},
		{"deleting accounts", deletionInterval, func() error { return e.deleteDue(ctx, id) }},
		{"withdrawing lapsed rights", lapseInterval, func() error { return e.lapse(ctx, id) }},
		{"pruning used keys", deletionInterval, func() error { return e.pruneOnce(ctx, id) }},
		{"pruning events", pruneInterval, func() error { return e.prune(ctx, id, now.Add(-e.Retention)) }},
		{"pruning refusals", pruneInterval, func() error { return e.requestLog().Prune(ctx, id) }},
		{"forgetting a deleted connection", deletionInterval, func() error { return e.unlist(ctx, id) }},
	})
}

// task is work that Run does again and again.
type task struct {
	what  string
	every time.Duration
	do    func() error
}

// runTasks does the tasks of a scope whose time has come.
func (e *Engine) runTasks(ctx context.Context, scope string, last map[string]time.Time, tasks []task) {
	now := e.now()
	for _, task := range tasks {
		if key := task.what + "/" + scope; now.Sub(last[key]) >= task.every {
			last[key] = now
			if err := task.do(); err != nil && ctx.Err() == nil {
				e.logger().Error(task.what, "connection", scope, "error", err)
			}
		}
	}
}

// flushWait is how long Run takes at most to store the last refusals.
const flushWait = 5 * time.Second

// flushLast stores the refusals that were counted before Run ends.
func (e *Engine) flushLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWait)
	defer cancel()
	if err := e.requestLog().Flush(ctx); err != nil {
		e.logger().Error("storing refusals", "error", err)
	}
}

// prune removes the events of a connection that are older than a time, if there
// is a retention.
func (e *Engine) prune(ctx context.Context, connection string, horizon time.Time) error {
	for e.Retention > 0 {
		n := 0
		err := e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
			first, _, err := tx.EventRange()
			if err != nil || first == 0 {
				return err
			}
			list, err := tx.Events(first-1, pruneBatch)
			if err != nil {
				return err
			}
			old := 0
			for old < len(list) && list[old].Time.Before(horizon) {
				old++
			}
			if old == 0 {
				return nil
			}
			removed, err := tx.PruneEvents(list[old-1].Sequence)
			n = removed
			return err
		})
		if err != nil || n < pruneBatch {
			return err
		}
	}
	return nil
}

// wait returns nil at news or after a while, and ctx.Err() when ctx ends.
func wait(ctx context.Context, news <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-news:
	case <-t.C:
	}
	return nil
}
