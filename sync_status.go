package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// SyncRun is one sync of a connection, dry runs apart.
type SyncRun struct {
	Began  time.Time  `json:"began"`
	Ended  time.Time  `json:"ended,omitzero"` // zero: it goes on
	Actor  Actor      `json:"actor"`          // who began it
	Report SyncReport `json:"report"`         // what it did so far

	// Failure says, for people, why it ended early, and Code is stable and says it
	// shortly, such as "sync_source". Both are empty where it came to its end.
	Failure string `json:"failure,omitempty"`
	Code    string `json:"code,omitempty"`
}

// SyncStatus is how it stands with the syncs of a connection.
type SyncStatus struct {
	Running *SyncRun `json:"running,omitempty"` // told every few seconds
	Last    *SyncRun `json:"last,omitempty"`    // the last that ended

	// Next is when [Engine.Run] reads the directory next, changes or everything; zero
	// where it does not. Failures is how often that has failed since it succeeded.
	Next     time.Time `json:"next,omitzero"`
	Failures int       `json:"failures,omitempty"`
}

// SyncStatus returns how it stands with the syncs of the connection, in whatever process
// they run. The error is [ErrNotFound] for an unknown connection.
func (d *Directory) SyncStatus(ctx context.Context) (s SyncStatus, err error) {
	err = d.view(ctx, func(r store.Reader) error {
		s = SyncStatus{}
		conn, err := d.engine.connections.load(d.connection, r)
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
		if held(&lease, now) {
			if s.Running, err = runOf(lease.Value.Run); err != nil {
				return err
			}
		}
		if s.Last, err = lastRun(r); err != nil {
			return err
		}
		plan, err := records.SyncPlan.Value(r, "")
		if err == nil && d.engine.SyncSource != nil && conn.syncs() {
			s.Next, s.Failures = conn.nextSync(plan, now), plan.Failures
		}
		return err
	})
	return s, err
}

// held reports whether a sync goes on.
func held(lease *records.Entry[records.SyncRunning], now time.Time) bool {
	return lease.Stored() && records.Ahead(lease.Expires, now, syncLease)
}

// lastRun returns the last sync that ended, or nil.
func lastRun(r store.RecordReader) (*SyncRun, error) {
	raw, err := records.SyncEnded.Value(r, "")
	if err != nil {
		return nil, err
	}
	return runOf(raw)
}

func runOf(raw json.RawMessage) (*SyncRun, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	run := &SyncRun{}
	if err := json.Unmarshal(raw, run); err != nil {
		return nil, fmt.Errorf("provision: stored sync: %w", err)
	}
	return run, nil
}

// run returns what is to be told of the sync.
func (s *syncing) told() SyncRun { return SyncRun{Began: s.began, Actor: s.actor, Report: s.report} }

// failureLength is how many bytes of a failure are kept.
const failureLength = 500

// fail notes why a sync has ended early.
func (run *SyncRun) fail(err error) {
	if err == nil {
		return
	}
	text := strings.ToValidUTF8(strings.TrimPrefix(err.Error(), "provision: "), "?")
	if len(text) > failureLength {
		text = strings.ToValidUTF8(text[:failureLength], "") + "..."
	}
	run.Failure, run.Code = text, syncCode(err)
}

// The codes of a [SyncRun] that failed. The error of a source may have its own; see
// [SyncSource].
const (
	syncFailedEmpty       = "sync_empty"
	syncFailedNoGroups    = "sync_no_groups"
	syncFailedNoMembers   = "sync_no_members"
	syncFailedNobody      = "sync_unidentified"
	syncFailedIDs         = "sync_ids_changed"
	syncFailedInterrupted = "sync_interrupted"
	syncFailedStore       = "sync_store"
	syncFailedSource      = "sync_source"
)

func syncCode(err error) string {
	var source interface {
		error
		SyncCode() string
	}
	var coded interface { // settings, and what else is wrong with the arguments
		error
		Code() string
	}
	var away *store.UnavailableError
	switch {
	case errors.As(err, &source):
		return cmp.Or(source.SyncCode(), syncFailedSource)
	case errors.As(err, &coded):
		return cmp.Or(coded.Code(), syncFailedSource)
	case errors.Is(err, ErrEmptySync):
		return syncFailedEmpty
	case errors.Is(err, ErrSyncGroups):
		return syncFailedNoGroups
	case errors.Is(err, ErrSyncMembers):
		return syncFailedNoMembers
	case errors.Is(err, ErrSyncUnidentified):
		return syncFailedNobody
	case errors.Is(err, ErrSyncIDs):
		return syncFailedIDs
	case errors.Is(err, context.Canceled):
		return syncFailedInterrupted
	case errors.As(err, &away):
		return syncFailedStore
	}
	return syncFailedSource
}

// changed reports whether a sync has written anything that is more than a mark.
func (r *SyncReport) changed() bool {
	some := func(c SyncCounts) bool { return c.Created+c.Updated+c.Returned+c.Absent > 0 }
	return some(r.Users) || some(r.Groups) || r.MembersAdded+r.MembersRemoved > 0
}

// tell stores a sync that ended, and appends its event: of one that changed something,
// that is the first, or that succeeds after a failure; and of a failure that has another
// code than the last, as texts have ports and times that differ. The others are in [SyncStatus] alone, as there may be many.
func (c *change) tellSync(run *SyncRun) error {
	last, err := lastRun(c.tx)
	if err != nil {
		return err
	}
	if err := records.SyncEnded.Put(c.tx, "", account.JSON(run)); err != nil {
		return err
	}
	ev := &store.Event{Type: store.SyncFinished}
	switch {
	case run.Code == syncFailedInterrupted:
		return nil
	case run.Failure != "":
		if last != nil && last.Code == run.Code {
			return nil
		}
		ev.Type = store.SyncFailed
	case last != nil && last.Failure == "" && !run.Report.changed():
		return nil
	}
	ev.Changes = append(ev.Changes, store.Change{Attribute: "report", After: account.JSON(countsOf(&run.Report))})
	if run.Failure != "" {
		ev.Changes = append(ev.Changes, account.TextChange("failure", "", run.Failure), account.TextChange("code", "", run.Code))
	}
	c.resource = nil
	return c.append(ev)
}

// syncCounts is what an event tells of a sync: nobody's name.
type syncCounts struct {
	Changes        bool       `json:"changes,omitempty"`
	Users          SyncCounts `json:"users"`
	Groups         SyncCounts `json:"groups"`
	MembersAdded   int        `json:"membersAdded"`
	MembersRemoved int        `json:"membersRemoved"`
	MembersUnknown int        `json:"membersUnknown"`
	Unidentified   int        `json:"unidentified,omitempty"`
	Held           bool       `json:"held"`
	ProblemCount   int        `json:"problemCount"`
}

func countsOf(r *SyncReport) syncCounts {
	return syncCounts{
		Changes: r.Changes, Users: r.Users, Groups: r.Groups,
		MembersAdded: r.MembersAdded, MembersRemoved: r.MembersRemoved, MembersUnknown: r.MembersUnknown, Unidentified: r.Unidentified,
		Held: r.Held, ProblemCount: r.ProblemCount,
	}
}
