package provision

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// deletionInterval is how often accounts are looked for that
// deleteAfterDays deletes.
const deletionInterval = time.Minute

// Run does the background work of all connections until ctx ends: it derives
// the accounts that large changes left to a job, deletes those whose
// deleteAfterDays are over, withdraws rights that have lapsed, tells of
// credentials that expire and of new warnings ([Directory.Warnings]), fetches
// metadata from [SAML.MetadataURL], erases deleted people from many events, removes
// events beyond [Engine.Retention] and used keys, and stores what
// [Plumbing.CountRefusal] counted, also before it ends. It logs what fails and tries
// again. After a jump of the clock, what cannot be undone waits; see
// [Engine.ConfirmClock]. It returns ctx.Err().
//
// A host calls Run once, in a goroutine of its own. Events are delivered by
// [Consumer.Deliver].
func (e *Engine) Run(ctx context.Context) error {
	e = e.present()
	news := e.news.Listen(store.Global)
	defer news.Close()
	b := &background{engine: e, last: map[string]time.Time{}, fetching: make(chan struct{}, refreshWorkers), failed: func(what, scope string, err error) {
		if ctx.Err() == nil {
			e.logger().Error(what, "connection", scope, "error", err)
		}
	}}
	defer b.fetchers.Wait()
	b.clock = newClockWatch(e)
	for {
		began := time.Now()
		b.all(ctx)
		if err := b.follow(ctx, news, outbox.PollPause(time.Since(began))); err != nil {
			e.flushLast(ctx)
			return err
		}
	}
}

// RunOnce does all the work of [Engine.Run] that is due by [Engine.Now], whenever
// it was done last, until nothing is left, and returns what failed, joined. It is
// for tests of hosts that move the clock, and for hosts that have a scheduler of
// their own.
func (e *Engine) RunOnce(ctx context.Context) error {
	e = e.present()
	var errs []error
	b := &background{engine: e, failed: func(what, scope string, err error) {
		if scope != store.Global {
			what = fmt.Sprintf("%s of connection %q", what, scope)
		}
		errs = append(errs, fmt.Errorf("provision: %s: %w", what, err))
	}}
	b.all(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// background is the work of Run.
type background struct {
	engine *Engine
	last   map[string]time.Time // when a task was done, by its name and scope; nil: all are due
	failed func(what, scope string, err error)

	clock *clockWatch // nil: it is taken as it is
	held  bool        // what cannot be undone waits

	// What waits for a network is done beside, so that nothing else waits for it.
	fetching chan struct{} // has room for those that may run at once; nil: none is done beside
	fetchers sync.WaitGroup
}

// all does what is due.
func (b *background) all(ctx context.Context) {
	e := b.engine
	if b.clock != nil {
		b.lookAtClock(ctx)
	}
	ids, err := e.connectionIDs(ctx)
	if err != nil {
		b.failed("listing connections", store.Global, err)
	}
	for _, id := range ids {
		b.connection(ctx, id)
	}
	b.tasks(ctx, store.Global, []task{
		{"storing refusals", requestlog.Interval, always, func() error { return e.requestLog().Flush(ctx) }},
		{"pruning refusals", pruneInterval, always, func() error { return e.requestLog().Prune(ctx, store.Global) }},
		{"pruning events of deleted connections", pruneInterval, unlessHeld, func() error { return e.pruneEnded(ctx) }},
	})
}

// follow does what is due in the connections of which there is news, for a while.
// It returns ctx.Err() when ctx ends.
func (b *background) follow(ctx context.Context, news *outbox.Listener, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-news.C():
			for _, id := range news.Take() {
				b.connection(ctx, id)
			}
		}
	}
}

// connection does what is due in a connection.
func (b *background) connection(ctx context.Context, id string) {
	b.job(ctx, id)
	e := b.engine
	b.tasks(ctx, id, []task{
		{"looking after credentials", credentialInterval, always, func() error { return e.tendCredentials(ctx, id) }},
		{"telling warnings", warningInterval, always, func() error { return unlessDeleted(e.tellWarnings(ctx, id)) }},
		{fetchingMetadata, refreshLook, always, func() error { return b.fetch(ctx, id) }},
		{"deleting accounts", deletionInterval, unlessHeld, func() error { return unlessDeleted(e.deleteDue(ctx, id)) }},
		{"erasing deleted people", eraseInterval, always, func() error { return b.erase(ctx, id) }},
		{"withdrawing lapsed rights", lapseInterval, unlessHeld, func() error { return unlessDeleted(e.lapse(ctx, id)) }},
		{"pruning used keys", deletionInterval, unlessHeld, func() error { return e.pruneOnce(ctx, id) }},
		{"pruning sessions", pruneInterval, unlessHeld, func() error { return e.pruneSessions(ctx, id) }},
		{"pruning events", pruneEventsInterval, unlessHeld, func() error { return e.prune(ctx, id) }},
		{"pruning refusals", pruneInterval, always, func() error { return e.requestLog().Prune(ctx, id) }},
		{"forgetting a deleted connection", deletionInterval, always, func() error { return e.unlist(ctx, id) }},
	})
}

const fetchingMetadata = "fetching metadata"

// fetch fetches the metadata of a connection if that is due. Where too many are being
// fetched, it is tried again as soon as all connections were looked at.
func (b *background) fetch(ctx context.Context, id string) error {
	if b.fetching == nil {
		return b.engine.refreshDue(ctx, id)
	}
	due, err := b.engine.dueForRefresh(ctx, id)
	if err != nil || due == nil {
		return err
	}
	select {
	case b.fetching <- struct{}{}:
	default:
		delete(b.last, taskKey(fetchingMetadata, id))
		return nil
	}
	b.fetchers.Go(func() {
		defer func() { <-b.fetching }()
		if err := b.engine.refreshDue(ctx, id); err != nil {
			b.failed(fetchingMetadata, id, err)
		}
	})
	return nil
}

// erase erases deleted people from events: RunOnce all of them, Run for a while.
func (b *background) erase(ctx context.Context, id string) error {
	for {
		more, err := b.engine.erase(ctx, id)
		if err != nil || !more || b.last != nil {
			return err
		}
	}
}

// unlessDeleted returns the error of work on a connection, but for that of one
// that was deleted and is still listed for its consumers.
func unlessDeleted(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// job does the job of a connection, if it has one.
func (b *background) job(ctx context.Context, id string) {
	for ctx.Err() == nil && b.engine.hasJob(ctx, id) {
		more, err := b.engine.work(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			b.failed("deriving accounts", id, err)
		}
		if !more || err != nil {
			return
		}
	}
}

// task is work that Run does again and again.
type task struct {
	what  string
	every time.Duration
	final bool
	do    func() error
}

// What cannot be undone is final: it waits while the clock may be wrong.
const (
	always     = false
	unlessHeld = true
)

func taskKey(what, scope string) string { return what + "/" + scope }

// waits reports whether what cannot be undone must wait. The clock may have jumped
// since all connections were looked at.
func (b *background) waits(ctx context.Context) bool {
	if b.clock != nil && b.clock.moved() {
		b.lookAtClock(ctx)
	}
	return b.held
}

func (b *background) lookAtClock(ctx context.Context) {
	var err error
	if b.held, err = b.clock.look(ctx); err != nil {
		b.failed("looking at the clock", store.Global, err)
	}
}

// tasks does the tasks of a scope whose time has come. One that was done in the
// future was so by a clock that has been set back since.
func (b *background) tasks(ctx context.Context, scope string, tasks []task) {
	now := b.engine.now()
	for _, task := range tasks {
		key := taskKey(task.what, scope)
		if ctx.Err() != nil || b.last != nil && records.Within(b.last[key], now, task.every) || task.final && b.waits(ctx) {
			continue
		}
		if b.last != nil {
			b.last[key] = now
		}
		if err := task.do(); err != nil {
			b.failed(task.what, scope, err)
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
