package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ErrEmptySync says that the source of a sync had no users. Nothing was written:
// a broken source looks the same.
var ErrEmptySync = errors.New("provision: the sync has no users; nothing was changed")

// ErrSyncMark says that a source does not know what has changed since a mark: it is of
// another server, or too old.
var ErrSyncMark = errors.New("provision: the source does not know the mark of the last sync")

// SyncSource is a whole directory: everyone and every group that a connection is to
// have, or with [SyncOptions.Changes] what has changed of one. [Directory.Sync] reads the
// users to their end before the groups, each once.
//
// A source may have a method Mark() string. When users and groups were read to their
// ends it says up to which change that was, in words of its own. The mark is stored once
// all was written, and [Engine.SyncSource] gets it for the next changes; an empty one
// means that there is none.
//
// An error of a source may have a method SyncCode() string. The code is stable, and the one
// of the failure in [SyncStatus] and in the event; without one that is "sync_source".
type SyncSource interface {
	// Users streams all users. An error ends the sync.
	Users(ctx context.Context) iter.Seq2[SyncUser, error]

	// Groups streams all groups. It returns nil when the source knows nothing
	// of groups: then groups and memberships stay as they are.
	Groups(ctx context.Context) iter.Seq2[SyncGroup, error]
}

// SyncUser is one user of a [SyncSource].
type SyncUser struct {
	// ID is the id by which another SCIM server knew the user. A sync does not
	// look at it; [Directory.Import] does.
	ID string

	// Key is how the groups of the source name the user. Where it is empty, it
	// is the externalId of the document, else its userName.
	Key     string
	Content Content

	// Problem, when not empty, is a stable code that says why the source cannot tell
	// all of the user, such as "sync_no_name". The user counts as present, nothing of it
	// is written, and the report has the problem. The content needs what is known of
	// externalId and userName, so that the user is found.
	Problem string

	// Keeping, when not nil, is asked for the content of a user who is stored, as by
	// this document, where that differs from Content. It is for what a source may not see
	// for a time, or has several of: the e-mail that is there stays. An e-mail that the
	// Content lacks goes all the same where another user has it by now. It must not use
	// the connection, and returns the same for the same document.
	Keeping func(stored store.Document) Content
}

// SyncGroup is one group of a [SyncSource].
type SyncGroup struct {
	// ID is as in [SyncUser].
	ID string

	// Key is how other groups of the source name this one. Where it is empty, it
	// is the externalId of the document, else its displayName.
	Key     string
	Content Content

	// Members are the direct members: the key, externalId or user name of a
	// user, or the key, externalId or display name of a group.
	Members []string

	// Problem is as in [SyncUser]: the group stays as it is, with its members.
	Problem string

	// MayBe, of a source of changes, reports whether the user or group with an externalId
	// may be one of those Members whom the connection does not know. Whoever may be stays
	// in the group until everything is read; nil means that everybody may.
	MayBe func(ctx context.Context, externalID string) (bool, error)
}

// SyncOptions says how to sync. The zero value is the usual way.
type SyncOptions struct {
	// DryRun reports what a sync would do and writes nothing.
	DryRun bool

	// Force overrides the mass guard: everybody whom the sync deprovisions loses
	// access, also those whom an earlier sync deprovisioned and the guard held.
	// Those whom an operator keeps by [Directory.Keep] stay.
	Force bool

	// Changes says that the source has only what changed. Nobody is absent by it, and
	// groups that it has not stay as they are; those that it has come with all their
	// members, of whom those that it has not are named by externalId or name. Nobody
	// leaves a group that has members whom nobody knows: they may be those who seem to
	// leave. It may be empty.
	Changes bool

	// Progress, when not nil, is called after each batch with the counts so
	// far, from the goroutine of Sync.
	Progress func(SyncReport)
}

// SyncCounts counts the users or the groups of a sync.
type SyncCounts struct {
	Seen      int `json:"seen"` // in the source
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Returned  int `json:"returned"` // users that were absent before
	Absent    int `json:"absent"`   // users blocked, or groups deleted, because the source has them no longer

	// LeftAlone counts those that the source has not and that stay as they are,
	// because no sync has ever reported them: only SCIM or logins wrote them.
	LeftAlone int `json:"leftAlone"`
}

// SyncReport is what a sync did, or with DryRun would do.
type SyncReport struct {
	DryRun  bool `json:"dryRun"`
	Changes bool `json:"changes,omitempty"` // of changes alone

	Users  SyncCounts `json:"users"`
	Groups SyncCounts `json:"groups"`

	MembersAdded   int `json:"membersAdded"`
	MembersRemoved int `json:"membersRemoved"`

	// MembersUnknown counts members that are neither in the source nor in the
	// connection. They are left out.
	MembersUnknown int `json:"membersUnknown"`

	// Unidentified counts users and groups of the source that nobody is found by, as
	// neither the id nor the name can be read; Problems names them. Each may be
	// anybody. Where there are some, nobody is taken for absent, no group is deleted, and
	// no member removed, but with [SyncOptions.Force].
	Unidentified int `json:"unidentified,omitempty"`

	// Held says that the mass guard holds the accounts of the users that are
	// absent, no longer active, or in no required group any more. See
	// [Directory.Release].
	Held bool `json:"held"`

	// Problems are objects that could not be written, at most 100, and
	// ProblemCount is how many there were. The next sync tries them again.
	Problems     []SyncProblem `json:"problems"`
	ProblemCount int           `json:"problemCount"`
}

// SyncProblem is an object that a sync left as it was.
type SyncProblem struct {
	Type   string `json:"type"`
	Key    string `json:"key"`   // by which the source knows it
	Code   string `json:"code"`  // stable; docs/troubleshooting.md explains each
	Value  string `json:"value"` // its userName or displayName, folded and shortened
	Reason string `json:"reason"`
}

const (
	syncBatch    = 200  // objects in one transaction
	syncPage     = 1000 // objects read at once
	syncProblems = 100
)

// Sync makes the connection have the users, groups and memberships of the
// source. It is recorded as actor kind "sync".
//
// A user is found by externalId, else by user name ([store.SameName]); a group by
// externalId, else by display name. Where the connection does not say that an
// externalId is immutable, that of a user whom no sync wrote, or who was absent,
// counts only together with the user name. Those that are found get the content of
// the source as with PUT; those that already have it are not written: no version, no
// event.
//
// A user whom an earlier sync reported and this one does not is blocked by source
// sync, until a sync reports it again. Users whom only SCIM or logins wrote are
// left alone. A group is deleted when an earlier sync created it, or took it over from
// logins, and this one does not report it; one of SCIM loses the members that syncs
// added. Of the memberships, a sync adds and removes those of source sync only, and
// removes those of logins in a group that it takes over.
//
// What takes something away waits until the source was read to its end without
// an error: users are written as they come, groups are kept in memory. The mass
// guard takes the whole sync for one cause. Before anybody loses access it counts
// the users who will: those that are absent, that became inactive, and that leave
// their last required group. Where a group is so large that its change is left to a
// job of [Engine.Run], the job counts its users once more.
//
// The work is done in batches, each a transaction, between which other requests
// go on. A sync that ended early, for whatever reason, is completed by running it
// again. A connection has one sync at a time, in all processes together; a dry
// run may go along. The place of one whose process ended can be taken after two
// minutes, and that of one whose source has said nothing after half an hour.
//
// The error is [ErrEmptySync] when the source has no users, and
// [ErrSyncUnidentified] when it does not tell who they are, both also with Force;
// [ErrSyncIDs] when all of them have other ids;
// [ErrNotFound] for an unknown connection, [ErrSyncRunning] beside another sync,
// or the source's own; the report counts what was done until then.
func (d *Directory) Sync(ctx context.Context, src SyncSource, o SyncOptions) (SyncReport, error) {
	if src == nil {
		return SyncReport{DryRun: o.DryRun, Problems: []SyncProblem{}}, &ArgumentError{Argument: "src", Reason: "there is no source"}
	}
	s := newSyncing(d, o)
	s.open = func(context.Context) (SyncSource, error) { return src, nil }
	err := s.run(ctx)
	return s.report, err
}

func newSyncing(d *Directory, o SyncOptions) *syncing {
	return &syncing{
		Directory: d.via(store.SourceSync),
		options:   o, report: SyncReport{DryRun: o.DryRun, Changes: o.Changes, Problems: []SyncProblem{}},
		pending: map[string]string{}, renaming: map[string]string{}, unclear: map[string]bool{},
	}
}

// syncing is one run of a sync.
type syncing struct {
	*Directory
	options SyncOptions
	report  SyncReport

	open func(context.Context) (SyncSource, error)
	mark string // of the source, when it was read

	// The rest of this is for the directory of the connection alone.
	directory string                                // names its settings; empty for another source
	secrets   int                                   // records.Planned.Secrets when it began
	due       func(records.Planned, time.Time) bool // nil: it is

	began   time.Time
	lease   string       // of this run; empty for a dry run
	renewed time.Time    // when the lease was prolonged
	heard   atomic.Int64 // how often the source has said something

	conn          Connection
	immutable     bool // an externalId says who somebody is
	users, groups *syncIndex
	ids           idsSeen
	knowsGroups   bool        // the source has something to say about groups
	batch         []userWrite // not written yet
	leaving       []userWrite // users that become inactive
	again         []userWrite // users whose name another one had
	renamed       []userWrite // users that wait for the end of the users
	kept          []keptUser  // users who have e-mails that the source does not tell

	pending  map[string]string // the names of users in batch that are new, by externalId
	renaming map[string]string // the names of those in renamed, by id
	unclear  map[string]bool   // externalIds that several users of the source have

	orphans      []string // marks of what is no more
	absent       []string // users that the source has no longer
	absentBefore []string // users that it had no longer before
}

func (s *syncing) run(ctx context.Context) (err error) {
	// An unknown connection must not look like an empty one.
	conn, err := s.engine.Directory(s.connection).Connection(ctx)
	if err != nil {
		return err
	}
	s.conn, s.immutable = conn, conn.externalIDImmutable()
	if !s.options.DryRun {
		if err := s.begin(ctx); err != nil {
			return err
		}
		defer func() { s.end(ctx, err) }()
	}
	source, err := s.read(ctx)
	if err != nil {
		return err
	}
	groups, err := s.planGroups(source)
	if err != nil {
		return err
	}
	if err := s.doubtMembers(ctx, groups); err != nil {
		return err
	}
	if !s.options.Changes {
		s.findAbsent()
	}
	if err := s.askGuard(ctx, groups); err != nil {
		return err
	}
	if err := s.retire(ctx); err != nil {
		return err
	}
	if err := s.retryUsers(ctx); err != nil {
		return err
	}
	if s.knowsGroups {
		if err := s.syncGroups(ctx, groups); err != nil {
			return err
		}
	}
	return s.letGo(ctx)
}

// read opens the source and reads it to its end. Users are written as they come, but for
// what takes something away.
func (s *syncing) read(ctx context.Context) (groups []SyncGroup, err error) {
	ctx, stop := s.whileReading(ctx)
	defer func() {
		if lost := context.Cause(ctx); err != nil && errors.Is(lost, ErrSyncRunning) {
			err = lost
		}
		stop()
	}()
	src, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if s.users, err = s.load(ctx, TypeUser); err != nil {
		return nil, err
	}
	if s.groups, err = s.load(ctx, TypeGroup); err != nil {
		return nil, err
	}
	if err := s.loadMarks(ctx); err != nil {
		return nil, err
	}
	if err := s.readUsers(ctx, src); err != nil {
		return nil, err
	}
	if groups, err = s.readGroups(ctx, src); err != nil {
		return nil, err
	}
	if marked, ok := src.(interface{ Mark() string }); ok {
		s.mark = marked.Mark()
	}
	return groups, nil
}

// syncChange is a transaction of a sync.
type syncChange struct{ *change }

// cause is why the sync changes something, with what was decided of all that it takes
// out.
func (s *syncing) cause() cause {
	why := s.why()
	switch {
	case s.options.Force:
		why = why.decided(account.Force)
	case s.report.Held:
		why = why.decided(account.Hold)
	}
	return why
}

// update is a transaction of the sync. A dry run has none.
func (s *syncing) update(ctx context.Context, fn func(syncChange) error) error {
	if s.options.DryRun {
		return nil
	}
	return s.Directory.update(ctx, s.cause(), func(c *change) error {
		if err := s.renew(c.tx); err != nil {
			return err
		}
		return fn(syncChange{c})
	})
}

func (s *syncing) progress() {
	if s.options.Progress != nil {
		s.options.Progress(s.report)
	}
}

// problem reports an object of the source that is left as it was.
func (s *syncing) problem(typ, key, name, code string) {
	s.report.ProblemCount++
	if len(s.report.Problems) < syncProblems {
		s.report.Problems = append(s.report.Problems, SyncProblem{
			Type: typ, Key: key, Code: code, Value: shorten(name), Reason: cmp.Or(problemTexts[code], "the source cannot tell all of it"),
		})
	}
}

// The codes of a [SyncProblem].
const (
	problemNoName    = "sync_no_name"
	problemTwice     = "sync_twice"
	problemNotUnique = "sync_id_not_unique"
	problemNameTaken = "sync_name_taken"
	problemConflict  = "sync_conflict"
	problemNotLinked = "sync_not_linked"
	problemTooDeep   = "sync_too_deep"
	problemMembers   = "sync_members_unknown"
	problemAlike     = "sync_members_alike"
)

var problemTexts = map[string]string{
	problemNoName:    "it has no userName or displayName",
	problemTwice:     "the source has it twice",
	problemNotUnique: "the source has its externalId with several names: none of them is renamed or made",
	problemNameTaken: "another user has its userName",
	problemConflict:  "another one has its name, or it was deleted at the same time",
	problemNotLinked: "it resembles somebody to whom it may not be linked",
	problemTooDeep:   "groups in it would be nested in more levels than Limits.Nesting allows, and are left out",
	problemAlike:     "it has a member who may be either of two, whose names in the source are alike: neither joins or leaves",
	problemMembers:   "some of its members are unknown, so nobody leaves it before everything is read again",
}

// readUsers reads the users of the source and writes them, but for what takes
// something away.
func (s *syncing) readUsers(ctx context.Context, src SyncSource) error {
	for u, err := range src.Users(ctx) {
		if err != nil {
			return fmt.Errorf("provision: reading the users to sync: %w", err)
		}
		if err := s.keep(ctx); err != nil {
			return err
		}
		if s.report.Users.Seen++; s.report.Users.Seen%syncPage == 0 {
			s.progress()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		s.planUser(&u)
		if len(s.batch) >= syncBatch {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
		if len(s.renamed) >= syncRenames {
			if err := s.rename(ctx); err != nil {
				return err
			}
		}
	}
	if err := s.doubtUsers(); err != nil {
		return err
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	if err := s.rename(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// readGroups reads the groups of the source.
func (s *syncing) readGroups(ctx context.Context, src SyncSource) (list []SyncGroup, err error) {
	groups := src.Groups(ctx)
	if groups == nil {
		return nil, nil
	}
	s.knowsGroups = true
	for g, err := range groups {
		if err != nil {
			return nil, fmt.Errorf("provision: reading the groups to sync: %w", err)
		}
		if err := s.keep(ctx); err != nil {
			return nil, err
		}
		s.report.Groups.Seen++
		list = append(list, g)
	}
	if err := s.doubtGroups(list); err != nil {
		return nil, err
	}
	return list, ctx.Err()
}
