package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// The kinds of a [JobStatus].
const (
	JobDerive   = "derive"   // accounts are derived again, after a change that touches many
	JobSync     = "sync"     // a directory is read
	JobIndex    = "index"    // attributes that the host has marked are indexed
	JobOffboard = "offboard" // the connection is being deleted
)

// The states of a [JobStatus].
const (
	JobWaiting = "waiting" // for a process whose [Engine.Run] does it, or whose caller goes on
	JobRunning = "running"
)

// JobStatus is how far work has come that takes more than one transaction.
type JobStatus struct {
	ID    string `json:"id"` // of the connection's jobs; it is the same until the job ends
	Kind  string `json:"kind"`
	State string `json:"state"`

	// Progress is in accounts, users, or resources. A job may do more than its total says,
	// which was counted when it began, or estimated; 0 is not known.
	Progress

	Started time.Time `json:"started,omitzero"`
	Actor   Actor     `json:"actor"` // who caused it
}

// Jobs returns the work of the connection that is under way, in whatever process: at most
// one of each kind. What has ended is told by events and [Directory.SyncStatus]. The error
// is [ErrNotFound] for an unknown connection.
func (d *Directory) Jobs(ctx context.Context) ([]JobStatus, error) {
	var list []JobStatus
	err := d.view(ctx, func(r store.Reader) error {
		list = nil
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		now, err := r.Now()
		if err != nil {
			return err
		}
		for _, look := range []func(store.Reader, time.Time) (*JobStatus, error){deriving, syncRuns, offboarded} {
			job, err := look(r, now)
			if err != nil {
				return err
			}
			if job != nil {
				list = append(list, *job)
			}
		}
		if len(conn.indexed.Building) > 0 {
			page, err := r.Query(store.Query{Types: d.engine.marks().types})
			if err != nil {
				return err
			}
			list = append(list, JobStatus{
				ID: JobIndex, Kind: JobIndex, State: JobRunning, Actor: bySystem().actor,
				Progress: Progress{Done: conn.indexed.Done, Total: page.Total},
			})
		}
		return nil
	})
	return list, err
}

// deriving returns the job that derives accounts, if there is one.
func deriving(r store.Reader, now time.Time) (*JobStatus, error) {
	j, err := records.Job.Load(r, "")
	if err != nil || !j.Stored() {
		return nil, err
	}
	job := &JobStatus{ID: JobDerive, Kind: JobDerive, State: JobWaiting, Started: j.Value.Started, Actor: j.Value.Actor}
	if records.Ahead(j.Expires, now, jobLease) {
		job.State = JobRunning
	}
	job.Done = j.Value.Met
	if j.Value.Of == nil {
		counts, err := records.AccountCounts.Value(r, "")
		if err != nil {
			return nil, err
		}
		job.Total = AccountCounts(counts).People()
	}
	return job, nil
}

// syncRuns returns the sync that goes on, if there is one.
func syncRuns(r store.Reader, now time.Time) (*JobStatus, error) {
	lease, err := records.SyncLease.Load(r, "")
	if err != nil || !held(&lease, now) {
		return nil, err
	}
	run, err := runOf(lease.Value.Run)
	if err != nil || run == nil {
		return nil, err
	}
	job := &JobStatus{ID: lease.Value.ID, Kind: JobSync, State: JobRunning, Started: run.Began, Actor: run.Actor}
	job.Done = run.Report.Users.Seen
	last, err := lastRun(r)
	if err == nil && last != nil && !run.Report.Changes {
		job.Total = last.Report.Users.Seen
	}
	return job, err
}

// offboardLease is how long a deletion counts as running after its last batch.
const offboardLease = time.Minute

// offboarded returns the deletion of the connection, if it was begun.
func offboarded(r store.Reader, now time.Time) (*JobStatus, error) {
	e, err := records.Offboarding.Load(r, "")
	if err != nil || !e.Stored() {
		return nil, err
	}
	job := &JobStatus{ID: JobOffboard, Kind: JobOffboard, State: JobWaiting, Started: e.Value.Started, Actor: e.Value.Actor}
	job.Progress = Progress{Done: e.Value.Done, Total: e.Value.Total}
	if records.Within(e.Value.Heard, now, offboardLease) {
		job.State = JobRunning
	}
	return job, nil
}
