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
// The first walk meets every account. It leaves those alone that do not change,
// and stores what takes something away or changes nothing of what an account
// may do. It leaves to the second walk who would be deprovisioned, since the
// mass guard must know first how many they are, and to the third who would only
// gain. So nobody keeps a right because many others wait for theirs.
type job struct {
	Survey   walk `json:"survey"`
	Removing walk `json:"removing"`
	Granting walk `json:"granting"`

	// Surveyed says that the first walk has ended, and Removed the second.
	Surveyed bool `json:"surveyed,omitempty"`
	Removed  bool `json:"removed,omitempty"`

	// Active is how many active accounts the first walk has met, Gone how many
	// of them would be deprovisioned, and Hold that these are too many.
	Active int  `json:"active,omitempty"`
	Gone   int  `json:"gone,omitempty"`
	Hold   bool `json:"hold,omitempty"`

	// Force says that the mass guard holds nobody.
	Force bool `json:"force,omitempty"`

	Accounts int                `json:"accounts"` // derived so far
	Actor    Actor              `json:"actor"`
	Cause    *store.ResourceRef `json:"cause,omitempty"`
}

// waits reports whether an account may not have been derived yet.
func (j *job) waits(account string) bool {
	return !j.Surveyed && j.Survey.waits(account) ||
		!j.Removed && j.Removing.left(account) || j.Granting.left(account)
}

// renew makes the job derive every account from now on.
func (j *job) renew() {
	if j.Surveyed {
		j.Survey = walk{}
	} else {
		j.Survey.renew()
	}
	j.Surveyed, j.Active, j.Gone, j.Hold = false, 0, 0, false
	j.Removed, j.Removing, j.Granting = false, walk{}, walk{}
}

// startJob asks for all accounts to be derived by [Engine.Run]. A job that is
// under way begins again. It is guarded when this cause is, also if the one
// before was not: whom that holds, an operator can still release.
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
	j.Actor, j.Cause, j.Force = c.actor, c.cause, c.forcing
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
		c.actor, c.cause, c.forcing = j.Actor, j.Cause, j.Force
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

// batch does the next part of a job and reports whether the job is done.
func (c *change) batch(j *job) (done bool, err error) {
	switch {
	case !j.Surveyed:
		guarded := c.engine.Limits.deprovision() >= 0 && !j.Force
		j.Surveyed, err = j.Survey.step(c, func(a *Account) error { return c.survey(j, a, guarded) })
		if err == nil && j.Surveyed && j.Gone > 0 {
			err = c.decideHold(j)
		}
	case !j.Removed && j.Removing.some():
		c.holding = j.Hold
		j.Removed, err = j.Removing.step(c, func(a *Account) error { return c.remove(j, a) })
	case j.Granting.some():
		done, err = j.Granting.step(c, func(a *Account) error {
			j.Accounts++
			return c.resettle(a)
		})
	}
	finished := j.Surveyed && (j.Removed || !j.Removing.some()) && (done || !j.Granting.some())
	return finished, err
}

// survey settles a stored account, or leaves it to a later walk: to the second
// if it would be deprovisioned and that is guarded, to the third if it would
// only gain.
func (c *change) survey(j *job, before *Account, guarded bool) error {
	if before.Status == policy.Deleted {
		return nil
	}
	c.counting = guarded
	after, notes, err := c.prepareAgain(before)
	c.counting = false
	if err != nil {
		return err
	}
	if before.Status == policy.Active {
		j.Active++
		if guarded && after.Status != policy.Active {
			j.Gone++
			j.Removing.leave(before.ID)
			return nil
		}
	}
	return c.settleUnlessGain(j, before, after, notes)
}

// decideHold decides whether the second walk of a job holds the accounts that
// it meets.
func (c *change) decideHold(j *job) (err error) {
	if j.Removing.Many {
		j.Granting = walk{} // the second walk meets all, and leaves them again
	}
	j.Hold, err = c.tooManyOf(j.Gone, j.Active)
	return err
}

// remove settles a stored account unless it would only gain.
func (c *change) remove(j *job, before *Account) error {
	if before.Status == policy.Deleted {
		return nil
	}
	after, notes, err := c.prepareAgain(before)
	if err != nil {
		return err
	}
	return c.settleUnlessGain(j, before, after, notes)
}

// settleUnlessGain settles a prepared account, or leaves it to the last walk of
// a job when there is only something to give.
func (c *change) settleUnlessGain(j *job, before, after *Account, notes []store.EventType) error {
	if gains(before, after) && !gains(after, before) {
		j.Granting.leave(before.ID)
		return nil
	}
	j.Accounts++
	if err := c.settlePrepared(before, after, notes); err != nil {
		return err
	}
	waits, err := c.waitsForDefaults(after)
	if waits {
		j.Granting.leave(before.ID)
	}
	return err
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
