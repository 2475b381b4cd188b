package provision

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Run reads the directory of a connection: everything every [LDAP.IntervalSeconds], and
// every few minutes what has changed since, where the source can say that. When the next
// time is, and up to where was read, is one record, which is written when a sync ends.
// Whether it is time is asked again in the transaction that takes the lease, so that one
// process does it. All times are those of the store.

const (
	syncLook      = time.Minute
	syncChanges   = 5 * time.Minute // between two reads of what changed
	syncRetry     = time.Minute     // after a failure; doubled for each further one
	syncRetryMost = time.Hour
	syncWorkers   = 2 // directories that a process reads at a time
)

// errNotDue ends a sync that another process has done meanwhile.
var errNotDue = errors.New("provision: the directory need not be read now")

// SyncNow is [Directory.Sync] from the directory of the connection ([Connection.LDAP]),
// which [Engine.SyncSource] opens. [Engine.Run] does so by the clock. With
// [SyncOptions.Changes] it reads what changed since the last sync, or everything where
// that is not known; the report says which.
//
// Beside the errors of Sync there is a [*ConnectionError] where the connection has no
// directory or is disabled, [ErrSyncGroups], [ErrSyncMembers], and that of Engine.SyncSource.
func (d *Directory) SyncNow(ctx context.Context, o SyncOptions) (SyncReport, error) {
	conn, err := d.engine.connection(ctx, d.connection)
	if err != nil {
		return SyncReport{DryRun: o.DryRun, Problems: []SyncProblem{}}, err
	}
	reason := ""
	switch {
	case conn.LDAP == nil:
		reason = "the connection has no directory"
	case d.engine.SyncSource == nil:
		reason = "whoever runs the application has not set Engine.SyncSource, so that no directory is read"
	case conn.Disabled:
		reason = "the connection is disabled"
	}
	if reason != "" {
		return SyncReport{DryRun: o.DryRun, Problems: []SyncProblem{}}, &ConnectionError{Connection: conn.ID, Field: "ldap", Reason: reason}
	}
	return d.syncDirectory(ctx, conn, o, nil)
}

// syncDirectory reads the directory of a connection. due, when not nil, says in the
// transaction that begins it whether it is time.
func (d *Directory) syncDirectory(ctx context.Context, conn *compiled, o SyncOptions, due func(records.Planned, time.Time) bool) (SyncReport, error) {
	s := newSyncing(d, o)
	s.directory, s.due = conn.LDAP.digest(), due
	s.open = func(ctx context.Context) (SyncSource, error) { return s.openDirectory(ctx, conn) }
	err := s.run(ctx)
	if s.lostMark(err) {
		whole := newSyncing(d, o)
		whole.options.Changes, whole.report.Changes = false, false
		whole.directory = s.directory
		whole.open = func(ctx context.Context) (SyncSource, error) { return whole.openDirectory(ctx, conn) }
		s = whole
		err = s.run(ctx)
	}
	return s.report, err
}

// openDirectory opens the source: of what has changed, where that is wanted and known.
func (s *syncing) openDirectory(ctx context.Context, conn *compiled) (SyncSource, error) {
	since := ""
	if s.options.Changes {
		plan, err := records.SyncPlan.View(ctx, s.engine.store(), s.connection, "")
		if err != nil {
			return nil, err
		}
		if plan.Value.Settings == s.directory {
			since = plan.Value.Mark
		}
		if since == "" {
			s.options.Changes, s.report.Changes = false, false
		}
	}
	src, err := s.engine.SyncSource(ctx, conn.Clone(), since)
	if err == nil && src == nil {
		err = &ArgumentError{Argument: "src", Reason: "Engine.SyncSource returned no source"}
	}
	return src, err
}

// digest names what a mark is of: another server or another search has another one.
func (l *LDAP) digest() string {
	c := l.clone()
	c.Login, c.IntervalSeconds = false, 0
	sum := sha256.Sum256(account.JSON(c))
	return hex.EncodeToString(sum[:16])
}

// syncs reports whether the directory of a connection is read by the clock. That of a
// paused one waits.
func (c *compiled) syncs() bool {
	return !c.Disabled && c.Mode != ModePaused && c.LDAP != nil && c.LDAP.interval() > 0
}

// Whether, and what, is to be read of a directory.
type dueSync int

const (
	noSync dueSync = iota
	changesSync
	wholeSync
)

// dueBy returns what is to be read now. Settings that were edited are tried at once.
func (c *compiled) syncDue(plan records.Planned, now time.Time) dueSync {
	switch interval := c.LDAP.interval(); {
	case plan.Settings != c.LDAP.digest():
		return wholeSync
	case records.Ahead(plan.Retry, now, syncRetryMost):
		return noSync
	case !records.Ahead(plan.Whole, now, interval):
		return wholeSync
	case plan.Mark != "" && !records.Ahead(plan.Changes, now, syncChanges):
		return changesSync
	}
	return noSync
}

// nextSync returns when something is to be read.
func (c *compiled) nextSync(plan records.Planned, now time.Time) time.Time {
	next := plan.Whole
	if plan.Mark != "" && plan.Changes.Before(next) {
		next = plan.Changes
	}
	if plan.Retry.After(next) {
		next = plan.Retry
	}
	if c.syncDue(plan, now) != noSync {
		next = now
	}
	return next
}

// lookAtSync returns the connection where its directory is to be read now, or nil, and
// whether it is to be within the time in which a quiet connection is not looked at.
func (e *Engine) lookAtSync(ctx context.Context, id string) (due *compiled, what dueSync, soon bool, err error) {
	if e.SyncSource == nil {
		return nil, noSync, false, nil
	}
	err = e.store().View(ctx, id, func(_ context.Context, r store.Reader) error {
		due, what, soon = nil, noSync, false
		c, err := e.connections.load(id, r)
		if errors.Is(err, ErrNotFound) || err == nil && !c.syncs() {
			return nil
		}
		if err != nil {
			return err
		}
		now, err := r.Now()
		if err != nil {
			return err
		}
		lease, err := records.SyncLease.Load(r, "")
		if err != nil {
			return err
		}
		plan, err := records.SyncPlan.Value(r, "")
		if err != nil {
			return err
		}
		soon = c.nextSync(plan, now).Sub(now) < quietInterval
		if what = c.syncDue(plan, now); what != noSync && !held(&lease, now) {
			due = c
		}
		return nil
	})
	return due, what, soon, err
}

// syncDirectories reads the directory of a connection if it is time to, and no other
// process does it. What goes wrong there is told by the event and the status.
func (e *Engine) syncDirectories(ctx context.Context, id string) error {
	conn, what, _, err := e.lookAtSync(ctx, id)
	if err != nil || conn == nil {
		return err
	}
	d := e.Directory(id)
	still := func(plan records.Planned, now time.Time) bool { return conn.syncDue(plan, now) == what }
	report, err := d.syncDirectory(ctx, conn, SyncOptions{Changes: what == changesSync}, still)
	switch {
	case errors.Is(err, errNotDue), errors.Is(err, ErrSyncRunning), errors.Is(err, ErrNotFound), ctx.Err() != nil:
	case err != nil:
		e.logger().Warn("reading the directory", "connection", id, "error", err)
	case report.changed() || report.ProblemCount > 0:
		e.logger().Info("directory was read", "connection", id, "users", report.Users.Seen, "groups", report.Groups.Seen, "problems", report.ProblemCount)
	}
	return nil
}

// syncAnew has the directory read at once where secrets of its settings were replaced: the
// settings say of one only that it is there.
func (c *change) syncAnew(replaced []string) error {
	if len(replaced) == 0 {
		return nil
	}
	plan, err := records.SyncPlan.Load(c.tx, "")
	if err != nil {
		return err
	}
	plan.Value.Settings = ""
	plan.Value.Secrets++ // a sync that goes on may have read by the old one
	return records.SyncPlan.Save(c.tx, &plan)
}

// lostMark reports whether a sync of changes has ended as its mark is no good: everything
// is read next.
func (s *syncing) lostMark(failed error) bool {
	return s.options.Changes && errors.Is(failed, ErrSyncMark)
}

// replan notes when the directory is read next.
func (s *syncing) replan(c *change, now time.Time, failed error) error {
	e, err := records.SyncPlan.Load(c.tx, "")
	if err != nil {
		return err
	}
	plan := &e.Value
	if plan.Secrets != s.secrets {
		return nil // it is due, by the new secret
	}
	if plan.Settings != s.directory {
		*plan = records.Planned{Settings: s.directory, Secrets: plan.Secrets}
	}
	interval := time.Hour
	if c.conn.LDAP != nil && c.conn.LDAP.interval() > 0 {
		interval = c.conn.LDAP.interval()
	}
	switch {
	case s.lostMark(failed):
		plan.Mark, plan.Whole = "", time.Time{}
	case errors.Is(failed, context.Canceled):
		return nil // it is due as before
	case failed != nil:
		plan.Retry = now.Add(min(syncRetry<<min(plan.Failures, 8), interval, syncRetryMost))
		plan.Failures++
	default:
		plan.Retry, plan.Failures, plan.Mark = time.Time{}, 0, s.mark
		plan.Changes = now.Add(syncChanges)
		if !s.options.Changes {
			wait, err := s.engine.about(interval)
			if err != nil {
				return err
			}
			plan.Whole = now.Add(wait)
		}
	}
	return records.SyncPlan.Save(c.tx, &e)
}

// about returns a time within a tenth of another one, so that what many connections do is
// not done at once.
func (e *Engine) about(d time.Duration) (time.Duration, error) {
	random, err := e.randomBytes(8)
	if err != nil {
		return 0, err
	}
	part := time.Duration(binary.BigEndian.Uint64(random) % uint64(d/5))
	return d - d/10 + part, nil
}
