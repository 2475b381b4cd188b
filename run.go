package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// deletionInterval is how often accounts are looked for that
// deleteAfterDays deletes.
const deletionInterval = time.Minute

// indexInterval is how often it is looked whether an attribute was marked.
const indexInterval = time.Minute

// Run does the background work of all connections until ctx ends: it derives
// the accounts that large changes left to a job, deletes those whose
// deleteAfterDays are over, withdraws rights that have lapsed, tells of
// credentials that expire and of new warnings ([Directory.Warnings]), fetches
// metadata from [SAML.MetadataURL], reads directories ([Connection.LDAP]) by
// [Engine.SyncSource], indexes attributes that were marked
// ([Directory.Indexing]), erases deleted people from many events, settles staged
// members that were left behind, removes
// events beyond [Engine.Retention] and used keys, and stores what
// [Plumbing.CountRefusal] counted and [Plumbing.NoteRequest] noted, also before it ends. It logs what fails and tries
// again. After a jump of the clock, what cannot be undone waits; see
// [Engine.ConfirmClock]. It returns ctx.Err().
//
// A host calls Run once in each process, in a goroutine of its own. Of several
// processes one does the job of a connection. Where its Run ends another takes over with its
// next look, and where it no longer goes on, ten seconds later. Events are delivered by [Consumer.Deliver].
func (e *Engine) Run(ctx context.Context) error {
	e = e.present()
	b := newBackground(e, newClockWatch(e), func(what, scope string, err error) {
		if ctx.Err() == nil {
			e.logger().Error(what, "connection", scope, "error", err)
		}
	})
	defer b.close()
	defer e.storingRequests(ctx, func(err error) { b.failed(storingRequests, store.Global, err) })()
	defer e.sharingFailures(ctx, func(err error) { b.failed(sharingFailures, store.Global, err) })()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			b.leave(ctx)
			return ctx.Err()
		case <-b.jobs.C():
			b.newJobs(ctx)
		case <-timer.C:
			timer.Reset(b.round(ctx))
		}
	}
}

// RunOnce does all the work of [Engine.Run] that is due by [Engine.Now], whenever
// it was done last, until nothing is left, and returns what failed, joined. It takes
// over a job that another process does. It is for tests of hosts that move the clock,
// and for hosts that have a scheduler of their own.
func (e *Engine) RunOnce(ctx context.Context) error {
	e = e.present()
	var errs []error
	b := &background{engine: e, runner: newRunner(e), begun: map[string]bool{}, again: map[string]bool{}, failed: func(what, scope string, err error) {
		if scope != store.Global {
			what = fmt.Sprintf("%s of connection %q", what, scope)
		}
		errs = append(errs, fmt.Errorf("provision: %s: %w", what, err))
	}}
	b.runner.takes = true
	if err := b.list(ctx); err != nil {
		b.failed(listingConnections, store.Global, err)
	}
	if err := e.Plumbing().FlushRequests(ctx); err != nil {
		b.failed(storingRequests, store.Global, err)
	}
	for _, id := range b.ids {
		b.job(ctx, id)
		b.tend(ctx, id)
	}
	b.giveBack(context.WithoutCancel(ctx))
	b.global(ctx)
	if err := e.shareFailures(ctx); err != nil {
		b.failed(sharingFailures, store.Global, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// background is the work of Run.
type background struct {
	engine *Engine
	failed func(what, scope string, err error)

	ids    []string  // the connections
	listed time.Time // when they were, by a clock that nobody sets
	next   int       // where the round goes on

	runner runner          // of jobs
	begun  map[string]bool // connections whose job was begun here, and has not ended
	again  map[string]bool // connections whose job failed, or is done elsewhere: it is looked at again

	// The rest is nil for RunOnce, by which everything is due.
	schedules map[string]*schedule // by connection, or store.Global
	jobs      *outbox.Listener     // to new jobs of this process
	watcher   store.Watcher

	clock *clockWatch // nil: it is taken as it is
	held  bool        // what cannot be undone waits

	// What waits for a network is done beside, so that nothing else waits for it.
	fetching chan struct{} // has room for those that may run at once; nil: none is done beside
	syncing  chan struct{} // likewise
	fetchers sync.WaitGroup
}

func newBackground(e *Engine, clock *clockWatch, failed func(what, scope string, err error)) *background {
	return &background{
		engine: e, failed: failed, clock: clock,
		runner: newRunner(e), begun: map[string]bool{}, again: map[string]bool{},
		schedules: map[string]*schedule{store.Global: {}},
		jobs:      e.jobs.Listen(store.Global), watcher: e.store().Watch(),
		fetching: make(chan struct{}, refreshWorkers), syncing: make(chan struct{}, syncWorkers),
	}
}

func newRunner(e *Engine) runner { return runner{name: rand.Text(), alone: e.SingleProcess} }

func (b *background) close() {
	b.fetchers.Wait()
	b.watcher.Close()
	b.jobs.Close()
}

const (
	// listInterval is how often connections are listed anew, and looked at for jobs
	// whatever is known. Others make themselves known by events.
	listInterval = 10 * time.Minute

	// quietInterval is how often a task looks at least at a connection where nothing
	// has happened.
	quietInterval = 10 * time.Minute

	// roundTime is how long one round works. The rest is left to the next, so that
	// many connections, at the start for example, leave the processor to requests.
	roundTime = 50 * time.Millisecond
)

const listingConnections = "listing connections"

// round hears what is new and does what is due everywhere. It returns after how long
// the next one is.
func (b *background) round(ctx context.Context) time.Duration {
	began := time.Now()
	found, err := b.watcher.Look(ctx)
	if err != nil {
		b.failed("looking for news", store.Global, err)
	}
	pause := outbox.PollPause(time.Since(began))
	if b.held || b.clock.moved() {
		b.look(ctx)
	}
	for _, id := range slices.Collect(maps.Keys(b.again)) {
		b.job(ctx, id)
	}
	b.newJobs(ctx)
	if b.listed.IsZero() || time.Since(b.listed) >= listInterval {
		if err := b.list(ctx); err != nil {
			b.failed(listingConnections, store.Global, err)
		}
		for _, id := range b.ids {
			b.job(ctx, id)
		}
	}
	b.news(ctx, found)
	b.tendSome(ctx)
	b.global(ctx)
	return pause
}

// tendSome does the tasks of connections that are due, for a while.
func (b *background) tendSome(ctx context.Context) {
	began, now := time.Now(), b.engine.reading()
	for range b.ids {
		if ctx.Err() != nil || time.Since(began) >= roundTime {
			return
		}
		b.next %= len(b.ids)
		id := b.ids[b.next]
		b.next++
		if b.scheduleOf(id).due(now) {
			b.tend(ctx, id)
		}
	}
}

func (b *background) newJobs(ctx context.Context) {
	for _, id := range b.jobs.Take() {
		b.job(ctx, id)
	}
}

// look looks at the clock.
func (b *background) look(ctx context.Context) {
	held, err := b.clock.look(ctx)
	if err != nil {
		b.failed("looking at the clock", store.Global, err)
	}
	b.hold(held)
}

// hold says whether what cannot be undone waits. When that changes, it is due again,
// and so is to tell of it.
func (b *background) hold(held bool) {
	if b.held != held {
		for _, s := range b.schedules {
			s.next, s.warn = time.Time{}, true
		}
	}
	b.held = held
}

// list lists the connections and forgets the schedules of others.
func (b *background) list(ctx context.Context) error {
	ids, err := b.engine.connectionIDs(ctx)
	if err != nil {
		return err
	}
	b.ids, b.listed = ids, time.Now()
	known := map[string]bool{store.Global: true}
	for _, id := range ids {
		known[id] = true
		b.scheduleOf(id)
	}
	maps.DeleteFunc(b.schedules, func(id string, _ *schedule) bool { return !known[id] })
	return nil
}

// news hears in which connections something has happened: their tasks are due sooner,
// and another process may have left a job.
func (b *background) news(ctx context.Context, found []store.Appended) {
	now := b.engine.reading()
	for _, a := range found {
		if _, known := b.schedules[a.Scope]; !known {
			b.ids = append(b.ids, a.Scope) // a new one
		}
		s := b.scheduleOf(a.Scope)
		s.changed, s.next = now, time.Time{}
		if !b.engine.SingleProcess {
			b.job(ctx, a.Scope)
		}
	}
}

// global does what is due beside the connections.
func (b *background) global(ctx context.Context) {
	e := b.engine
	b.tasks(ctx, store.Global, []task{
		{"storing refusals", requestlog.Interval, always, func() error { return e.requestLog().Flush(ctx) }},
		{"pruning refusals", pruneInterval, unlessHeld, func() error { return e.requestLog().Prune(ctx, store.Global) }},
		{"pruning requests", pruneEventsInterval, unlessHeld, func() error { return e.pruneRequests(ctx, store.Global) }},
		{"pruning events of deleted connections", pruneInterval, unlessHeld, func() error { return e.pruneEnded(ctx) }},
	})
}

// tend does the tasks of a connection whose time has come.
func (b *background) tend(ctx context.Context, id string) {
	e := b.engine
	b.tasks(ctx, id, []task{
		{"looking after credentials", credentialInterval, always, func() error { return e.tendCredentials(ctx, id) }},
		{tellingWarnings, warningInterval, always, func() error { return unlessDeleted(e.tellWarnings(ctx, id)) }},
		{fetchingMetadata, refreshLook, always, func() error { return b.fetch(ctx, id) }},
		{"reading directories", syncLook, always, func() error { return b.syncDirectory(ctx, id) }},
		{"settling staged members", deletionInterval, always, func() error { return e.settleStages(ctx, id) }},
		{"deleting accounts", deletionInterval, unlessHeld, func() error { return unlessDeleted(e.deleteDue(ctx, id)) }},
		{"erasing deleted people", eraseInterval, always, func() error { return b.erase(ctx, id) }},
		{"indexing attributes", indexInterval, always, func() error { return b.index(ctx, id) }},
		{"withdrawing lapsed rights", lapseInterval, unlessHeld, func() error { return unlessDeleted(e.lapse(ctx, id)) }},
		{"pruning used keys", deletionInterval, unlessHeld, func() error { return e.pruneOnce(ctx, id) }},
		{"pruning sessions", pruneInterval, unlessHeld, func() error { return e.pruneSessions(ctx, id) }},
		{"pruning events", pruneEventsInterval, unlessHeld, func() error { return e.prune(ctx, id) }},
		{"pruning refusals", pruneInterval, unlessHeld, func() error { return e.requestLog().Prune(ctx, id) }},
		{"pruning requests", pruneEventsInterval, unlessHeld, func() error { return e.pruneRequests(ctx, id) }},
		{"erasing deleted people from requests", eraseInterval, always, func() error { return e.eraseRequests(ctx, id) }},
		{"forgetting a deleted connection", deletionInterval, always, func() error { return e.unlist(ctx, id) }},
	})
}

const (
	fetchingMetadata = "fetching metadata"
	tellingWarnings  = "telling warnings"
)

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
		return errAgain
	}
	b.fetchers.Go(func() {
		defer func() { <-b.fetching }()
		if err := b.engine.refreshDue(ctx, id); err != nil {
			b.failed(fetchingMetadata, id, err)
		}
	})
	return nil
}

// syncDirectory reads the directory of a connection if that is due.
func (b *background) syncDirectory(ctx context.Context, id string) error {
	if b.syncing == nil {
		return b.engine.syncDirectories(ctx, id)
	}
	due, _, soon, err := b.engine.lookAtSync(ctx, id)
	if err != nil {
		return err
	}
	if due != nil {
		select {
		case b.syncing <- struct{}{}:
		default:
			return errAgain
		}
		b.fetchers.Go(func() {
			defer func() { <-b.syncing }()
			if err := b.engine.syncDirectories(ctx, id); err != nil {
				b.failed("reading directories", id, err)
			}
		})
	}
	if soon {
		return errMore // a quiet connection is looked at too rarely
	}
	return nil
}

// erase erases deleted people from events: RunOnce all of them, Run for a while.
func (b *background) erase(ctx context.Context, id string) error {
	for {
		more, err := b.engine.erase(ctx, id)
		switch {
		case err != nil || !more:
			return err
		case b.schedules != nil:
			return errMore
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

// job does the job of a connection, if it has one, and makes its plan. Where that fails, or another process
// does it, Run looks again in the next round.
func (b *background) job(ctx context.Context, id string) {
	b.derive(ctx, id)
	b.plan(ctx, id)
}

// plan makes the plan of a connection, if one was asked for.
func (b *background) plan(ctx context.Context, id string) {
	for ctx.Err() == nil {
		began := time.Now()
		more, err := b.engine.plan(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			b.failed("making a plan", id, err)
			b.again[id] = true
		}
		if err != nil || !more {
			return
		}
		if b.engine.awaited() {
			b.rest(ctx, time.Since(began))
		}
	}
}

// derive does the job of a connection.
func (b *background) derive(ctx context.Context, id string) {
	delete(b.again, id)
	for ctx.Err() == nil {
		switch b.engine.lookForJob(ctx, id, b.runner) {
		case noJob:
			return
		case jobRuns:
			b.again[id] = true
			return
		}
		began := time.Now()
		b.begun[id] = true
		more, err := b.engine.work(ctx, id, b.runner)
		if err != nil && !errors.Is(err, ErrNotFound) {
			b.failed("deriving accounts", id, err)
			b.again[id] = true
		}
		if err != nil {
			return
		}
		if !more {
			delete(b.begun, id)
			return
		}
		if b.engine.awaited() {
			b.rest(ctx, time.Since(began))
		}
	}
}

// rest lets others have the writer and the processor for as long as a batch took, at
// most for a round.
func (b *background) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(min(d, roundTime))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// leaveWait is how long Run takes at most to end.
const leaveWait = 5 * time.Second

// leave is the end of Run: it gives jobs back, and stores the refusals that were counted.
func (b *background) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	b.giveBack(ctx)
	if err := b.engine.requestLog().Flush(ctx); err != nil {
		b.engine.logger().Error("storing refusals", "error", err)
	}
	if err := b.engine.Plumbing().FlushRequests(ctx); err != nil {
		b.engine.logger().Error(storingRequests, "error", err)
	}
}

// giveBack gives back the jobs that have not ended.
func (b *background) giveBack(ctx context.Context) {
	for id := range b.begun {
		if err := b.runner.giveBack(ctx, b.engine.store(), id); err != nil {
			b.engine.logger().Error("giving a job back", "connection", id, "error", err)
		}
	}
}
