package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

const recordJob = "job"

// job is the durable work of deriving all accounts of a connection again, after
// a change that touches more accounts than one transaction may. A connection
// has at most one.
//
// Revocations come first: a walk over the accounts stores what takes something
// away or changes nothing of what an account may do, and leaves alone the
// accounts that would only gain. Another walk, if there are such, derives all. So nobody keeps a right because many others wait for theirs.
//
// Before both a walk counts who would be deprovisioned. When these are too many
// at once, the walks that follow hold them.
type job struct {
	Counting walk `json:"counting"`
	Revoking walk `json:"revoking"`
	Granting walk `json:"granting"`

	// Counted says that the first walk has ended, Gone how many it has found,
	// and Hold that they are too many.
	Counted bool `json:"counted,omitempty"`
	Gone    int  `json:"gone,omitempty"`
	Hold    bool `json:"hold,omitempty"`

	// Revoked says that the second walk has ended, and Left that it has left
	// accounts to the third.
	Revoked bool `json:"revoked,omitempty"`
	Left    bool `json:"left,omitempty"`

	Accounts int                `json:"accounts"` // derived so far
	Actor    Actor              `json:"actor"`
	Cause    *store.ResourceRef `json:"cause,omitempty"`
}

// walk goes over the accounts in order of id. A change that comes while it walks
// makes it walk on, past the end and round again, to where it stood. So every
// account is met after the last change that needed it.
type walk struct {
	// Cursor is the last account that was met in this round.
	Cursor string `json:"cursor,omitempty"`

	// Again, when not empty, asks for another round up to this account.
	Again string `json:"again,omitempty"`

	// Until, when not empty, ends this round after this account.
	Until string `json:"until,omitempty"`
}

// waits reports whether the walk has not met an account yet.
func (w *walk) waits(account string) bool {
	if account > w.Cursor && (w.Until == "" || account <= w.Until) {
		return true
	}
	return account <= w.Again
}

// renew makes the walk meet every account from now on.
func (w *walk) renew() { w.Again, w.Until = w.Cursor, "" }

// step calls visit with the next accounts and reports whether the walk is done.
func (w *walk) step(c *change, visit func(*Account) error) (done bool, err error) {
	size := c.engine.Limits.batch()
	list, err := c.tx.Accounts(store.AccountQuery{After: w.Cursor, Limit: size})
	if err != nil {
		return false, err
	}
	ended := len(list) < size
	for _, a := range list {
		if w.Until != "" && a.ID > w.Until {
			ended = true
			break
		}
		if err := visit(a); err != nil {
			return false, err
		}
		w.Cursor = a.ID
	}
	if !ended {
		return false, nil
	}
	done = w.Again == ""
	w.Cursor, w.Until, w.Again = "", w.Again, ""
	return done, nil
}

// waits reports whether an account may not have been derived yet.
func (j *job) waits(account string) bool {
	return !j.Revoked && j.Revoking.waits(account) || j.Left && j.Granting.waits(account)
}

// renew makes the job derive every account from now on.
func (j *job) renew() {
	j.Counting, j.Counted, j.Gone, j.Hold = walk{}, false, 0, false
	if j.Revoked {
		j.Revoked, j.Revoking = false, walk{}
	} else {
		j.Revoking.renew()
	}
	j.Granting.renew()
}

// startJob asks for all accounts to be derived by [Engine.Run].
func (c *change) startJob() error {
	c.jobs++
	j, version, err := readJob(c.tx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		j = &job{}
	case err != nil:
		return err
	default:
		j.renew()
	}
	j.Actor, j.Cause = c.actor, c.cause
	return writeJob(c.tx, j, version)
}

func readJob(r store.RecordReader) (*job, int64, error) {
	rec, err := r.Record(recordJob, "derive")
	if err != nil {
		return nil, 0, err
	}
	var j job
	if err := json.Unmarshal(rec.Value, &j); err != nil {
		return nil, 0, fmt.Errorf("provision: stored job: %w", err)
	}
	return &j, rec.Version, nil
}

func writeJob(w store.RecordWriter, j *job, version int64) error {
	value, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return w.PutRecord(&store.Record{Kind: recordJob, Key: "derive", Value: value, Version: version})
}

// markPending returns the accounts with Pending set on those that wait for a
// job.
func markPending(r store.RecordReader, list []*Account) ([]*Account, error) {
	j, _, err := readJob(r)
	if errors.Is(err, store.ErrNotFound) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]*Account, len(list))
	for i, a := range list {
		out[i] = a
		if j.waits(a.ID) {
			c := *a
			c.Pending = true
			out[i] = &c
		}
	}
	return out, nil
}

// hasJob reports whether a connection has a job, without writing. It says yes
// when it cannot tell, so that the attempt to work shows the error.
func (e *Engine) hasJob(ctx context.Context, connection string) bool {
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		_, err := r.Record(recordJob, "derive")
		return err
	})
	return !errors.Is(err, store.ErrNotFound)
}

// work does one batch of the job of a connection and reports whether more is
// left.
func (e *Engine) work(ctx context.Context, connection string) (more bool, err error) {
	var finished *job
	err = e.update(ctx, connection, Actor{Kind: "system"}, func(c *change) error {
		more, finished = false, nil
		j, version, err := readJob(c.tx)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c.actor, c.cause = j.Actor, j.Cause
		done, err := c.batch(j)
		if err != nil {
			return err
		}
		if !done {
			more = true
			return writeJob(c.tx, j, version)
		}
		if err := c.tx.DeleteRecord(recordJob, "derive", version); err != nil {
			return err
		}
		finished = j
		return c.append(&store.Event{Type: store.JobFinished})
	})
	if err == nil && finished != nil {
		e.logger().Info("job finished", "connection", connection, "accounts", finished.Accounts)
	}
	return more, err
}

// batch derives the next accounts and reports whether the job is done.
func (c *change) batch(j *job) (done bool, err error) {
	if !j.Counted && c.engine.Limits.deprovision() >= 0 {
		return false, c.countBatch(j)
	}
	c.holding = j.Hold
	if j.Revoked {
		return j.Granting.step(c, func(a *Account) error {
			j.Accounts++
			return c.resettle(a)
		})
	}
	j.Revoked, err = j.Revoking.step(c, func(a *Account) error {
		left, err := c.revokeFirst(a)
		if left {
			j.Left = true
		} else {
			j.Accounts++
		}
		return err
	})
	return j.Revoked && !j.Left, err
}

// countBatch counts how many of the next accounts would be deprovisioned. It
// ends when they are too many already.
func (c *change) countBatch(j *job) (err error) {
	j.Counted, err = j.Counting.step(c, func(a *Account) error {
		goes, err := c.wouldGo(a)
		if goes {
			j.Gone++
		}
		return err
	})
	if err != nil || j.Gone == 0 {
		return err
	}
	j.Hold, err = c.tooManyGo(j.Gone)
	j.Counted = j.Counted || j.Hold
	return err
}

// revokeFirst settles a stored account unless it would only gain. It reports
// whether there is something left to give.
func (c *change) revokeFirst(before *Account) (left bool, err error) {
	if before.Status == policy.Deleted {
		return false, nil
	}
	after, notes, err := c.prepareAgain(before)
	if err != nil {
		return false, err
	}
	if gains(before, after) && !gains(after, before) {
		return true, nil
	}
	if err := c.settlePrepared(before, after, notes); err != nil {
		return false, err
	}
	return c.waitsForDefaults(after)
}

// gains reports whether an account may do something after that it may not
// before.
func gains(before, after *Account) bool {
	switch {
	case after.Status == policy.Active && before.Status != policy.Active,
		after.SiteAdmin && !before.SiteAdmin,
		after.ReadOnlySiteAdmin && !before.ReadOnlySiteAdmin:
		return true
	}
	for _, role := range after.Roles {
		if !slices.Contains(before.Roles, role) {
			return true
		}
	}
	for _, g := range after.Groups {
		had := slices.IndexFunc(before.Groups, func(have store.AccountGroup) bool { return have.ID == g.ID })
		if had < 0 || g.Admin && !before.Groups[had].Admin {
			return true
		}
	}
	return false
}
