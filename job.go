package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scimjit/provision/store"
)

const recordJob = "job"

// job is the durable work of deriving all accounts of a connection again, after
// a change that touches more accounts than one transaction may. A connection
// has at most one: it walks the accounts in order of id, and a change that
// comes while it walks makes it walk on, past the end and round again, to where
// it stood. So every account is derived after the last change that needed it.
type job struct {
	// Cursor is the last account that was derived in this round.
	Cursor string `json:"cursor"`

	// Again, when not empty, asks for another round up to this account.
	Again string `json:"again,omitempty"`

	// Until, when not empty, ends this round after this account.
	Until string `json:"until,omitempty"`

	Accounts int                `json:"accounts"` // derived so far
	Actor    Actor              `json:"actor"`
	Cause    *store.ResourceRef `json:"cause,omitempty"`
}

// waits reports whether an account has not been derived yet.
func (j *job) waits(account string) bool {
	if account > j.Cursor && (j.Until == "" || account <= j.Until) {
		return true
	}
	return account <= j.Again
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
		j.Again, j.Until = j.Cursor, ""
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
	err = e.update(ctx, connection, Actor{Kind: "system"}, func(c *change) error {
		more = false
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
		e.logger().Info("job finished", "connection", connection, "accounts", j.Accounts)
		return c.append(&store.Event{Type: store.JobFinished})
	})
	return more, err
}

// batch derives the next accounts and reports whether the job is done.
func (c *change) batch(j *job) (done bool, err error) {
	size := c.engine.Limits.batch()
	list, err := c.tx.Accounts(store.AccountQuery{After: j.Cursor, Limit: size})
	if err != nil {
		return false, err
	}
	ended := len(list) < size
	for _, a := range list {
		if j.Until != "" && a.ID > j.Until {
			ended = true
			break
		}
		if err := c.resettle(a); err != nil {
			return false, err
		}
		j.Cursor = a.ID
		j.Accounts++
	}
	if !ended {
		return false, nil
	}
	if j.Again == "" {
		return true, nil
	}
	j.Cursor, j.Until, j.Again = "", j.Again, ""
	return false, nil
}
