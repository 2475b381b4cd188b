// Package store defines what a provisioning store keeps and the interface that
// every store implements.
//
// # What a store holds
//
// A store holds facts (a [Resource] and its [Membership] rows, as the identity
// provider wrote them), the [Account] derived from them for each person, the
// [Event] stream that tells a host what changed, the log of what was asked, and small
// versioned [Record] values such as connection settings, credentials and delivery cursors.
//
// Everything belongs to exactly one scope, the id of a connection. Nothing in
// one scope can be read or written from another: the scope is an argument of
// [Store.View] and [Store.Update], never of a method inside them. The scope
// [Global] holds only records, and log entries of what belongs to no connection.
//
// # Implementing a store
//
// Implement [Store], [Reader] and [Tx], then run the conformance suite of
// package storetest, under the race detector. A store narrows a [Query] by the
// indexed keys that [Narrow] finds and lets a [Matcher] decide each candidate, so
// that all stores give the same answers. What it keeps of an [Account] is in the
// table that [AccountFields] returns; [Account.Complete] adds the rest.
package store

import (
	"context"
	"time"
)

// Global is the scope outside any connection. It holds records and log entries only.
const Global = ""

// Store keeps the state of all connections. Implementations are safe for
// concurrent use.
type Store interface {
	// View runs fn on one consistent, read-only snapshot of a scope. Views run
	// in parallel with each other. An unknown scope reads as empty.
	//
	// When ctx ends before fn has started, fn does not run and the error wraps
	// ctx.Err(). When it ends while fn runs, reads may fail with such an error
	// from then on, and View with them, whatever fn returns.
	//
	// fn must not keep r, nor anything that r iterates, after it returns, and
	// must not write to the network: a slow client would hold the snapshot.
	View(ctx context.Context, scope string, fn func(ctx context.Context, r Reader) error) error

	// Update runs fn on a scope and commits everything it wrote, or nothing
	// when fn returns an error or panics. Updates of one scope are serial:
	// each sees all that the one before it wrote. Update returns after the
	// commit is durable (as far as the store is configured to be).
	//
	// fn may run more than once, so it assigns results only as its last step,
	// and does no I/O but through tx. Its turn may begin only with its first call of
	// a method of tx: a clock is read after that. The ctx it receives marks the
	// transaction: calling View or Update of the same store with it returns
	// [ErrNested]. After a method of tx fails with anything but [ErrNotFound],
	// [ErrVersion] or a [*ConflictError], fn must return an error.
	//
	// When ctx ends before fn has started, nothing happens and the error wraps
	// ctx.Err(). A store that is busy or away returns an [*UnavailableError].
	Update(ctx context.Context, scope string, fn func(ctx context.Context, tx Tx) error) error

	// Watch returns a watcher of the events of all scopes, which hears what is
	// appended from now on. It must be closed. On a store that is closed or not
	// usable its Look fails. Watchers are independent of each other, and each is
	// used by one goroutine at a time.
	Watch() Watcher

	// Scan returns one page of the resources that match q, as [ResourceReader] does
	// in a View, where there may be many candidates. It runs beside Views and Updates,
	// also those of its own scope, and lets none of them wait for it. A store runs few
	// scans at once, which rest for half of the time; further ones wait in the order in
	// which they came.
	//
	// The resources are those of one moment after the call. Memberships, in the filter
	// and as parts of the page, may be newer by as long as the scan works.
	//
	// A scan that has more candidates or takes longer than q allows fails with a
	// [*ScanError]. When ctx ends, the error wraps ctx.Err(): waiting ends at once, and
	// a scan that works calls ctx.Err at the latest for every [ScanLook] resources,
	// and as it sorts. Inside a transaction of the store the error is [ErrNested].
	Scan(ctx context.Context, scope string, q Query) (Page, error)

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// Close releases the store. Calls after Close fail.
	Close() error
}

// SerialStore is a store in which updates of all scopes wait for each other. An update
// that may leave work to a later one ends early where others wait for it.
type SerialStore interface {
	Store

	// Awaited reports whether updates wait for the one that runs.
	Awaited() bool
}

// Reader reads one scope. It is the sum of narrow roles, so that a function can
// ask for no more than it uses.
//
// Values that a Reader returns are the caller's for reading only: they may be
// shared with the store and with other readers.
type Reader interface {
	ResourceReader
	MemberReader
	AccountReader
	EventReader
	LogReader
	RecordReader
	Clock

	// Expect announces what will be read. A store over a network asks for all of it
	// together with the next read, so that its caller waits once; other stores do
	// nothing. The results come from the ordinary methods, as if nothing had been
	// announced: Expect changes none of them and never fails. What is announced and
	// not read has cost the database nevertheless.
	//
	// Each of reads is called at once or never. It calls methods of the Reader that it
	// is given, which answer as if the scope were empty, and ignores what they return.
	Expect(reads ...Read)
}

// Read is something that is going to be read, for [Reader.Expect].
type Read func(Reader)

// NothingMore says that a View reads nothing but what was announced with it and before. A
// store over a network may then ask for all of it without a transaction that waits for
// more. A View that reads more nevertheless has its function run again, as often as once.
func NothingMore(r Reader) {
	if to, ok := r.(interface{ ExpectNothingMore() }); ok {
		to.ExpectNothingMore()
	}
}

// Insertion returns what [ResourceWriter.PutResource] asks for where it inserts a
// resource: who has its id and its unique keys.
func Insertion(r *Resource) Read {
	return func(reader Reader) {
		if to, ok := reader.(interface{ ExpectInsertion(r *Resource) }); ok {
			to.ExpectInsertion(r)
		}
	}
}

// Tx reads and writes one scope. A Tx sees its own writes.
//
// A store copies what it is given or keeps it: the caller must not change a
// value after passing it to a Tx.
type Tx interface {
	Reader
	ResourceWriter
	MemberWriter
	AccountWriter
	EventWriter
	LogWriter
	RecordWriter
}

// ResourceReader reads resources.
type ResourceReader interface {
	// Resource returns one resource by type and id, with the parts asked for,
	// or [ErrNotFound]. An empty typ means any type.
	Resource(typ, id string, with Parts) (*Resource, error)

	// Types returns the types of resources by their ids. Those that do not exist are
	// left out.
	Types(ids ...string) (map[string]string, error)

	// Query returns one page of the resources that match q.
	//
	// It looks at no more than q.ScanRows candidates and works no longer than
	// q.ScanTime; where that is not enough it fails with a [*ScanError] rather than
	// return a partial result. The transaction goes on.
	Query(q Query) (Page, error)
}

// ResourceWriter writes resources.
type ResourceWriter interface {
	// PutResource inserts r when r.Version is 1 and replaces the stored one
	// otherwise. The stored version must be r.Version-1, or the error is
	// [ErrVersion]; inserting an id that exists is ErrVersion too, and
	// replacing one that does not is [ErrNotFound].
	//
	// The keys of r replace those stored before; nil Keys (not merely empty)
	// keep the stored ones. A key with Unique set that another resource of the
	// same type holds is a [*ConflictError] and nothing is written. On insertion the store assigns r.Position, greater
	// than that of every resource in the scope before; on replacement it keeps
	// the stored one. r.Groups and r.Members are ignored.
	PutResource(r *Resource) error

	// AddKeys adds index keys to a resource, without a new version. A value that it has
	// already stays as it is. None of those added is unique, whatever they say. It
	// returns [ErrNotFound] for an unknown id.
	AddKeys(typ, id string, keys []Key) error

	// DeleteResource removes a resource, its keys, and every membership that
	// it is the group or the member of. It returns [ErrNotFound] for an
	// unknown id.
	DeleteResource(typ, id string) error
}

// MemberReader reads memberships.
type MemberReader interface {
	// Memberships returns the memberships in a group in ascending order of
	// member id, then source, starting after the member id given, at most
	// limit rows (0: all). Direct memberships only.
	Memberships(group, after string, limit int) ([]Membership, error)

	// UnnamedMemberships is Memberships for who does not need Display, which may be
	// empty: a store that looks for each name elsewhere saves most of the work.
	UnnamedMemberships(group, after string, limit int) ([]Membership, error)

	// MembershipsOf returns the direct memberships of users and groups, in
	// ascending order of member id, group id, then source. It returns each once,
	// however often its member is given.
	MembershipsOf(members ...string) ([]Membership, error)

	// Ancestors returns the memberships of users and groups and of all groups above
	// them, in ascending order of member id, group id, then source, each once.
	Ancestors(members ...string) ([]Membership, error)

	// GroupsIn returns the direct memberships of groups in groups, in ascending
	// order of group id, member id, then source. It returns each once, however
	// often its group is given. Users in the groups cost nothing, or little.
	GroupsIn(groups ...string) ([]Membership, error)

	// IsMember reports whether member is directly in group, as an identity
	// provider reported it ([Source.Reported]). An empty member asks whether the
	// group has any such member; an empty group asks whether the member is in
	// any.
	IsMember(group, member string) (bool, error)
}

// MemberWriter writes memberships. Its cost does not depend on the size of the
// group.
type MemberWriter interface {
	// PutMembership adds a membership and reports whether it was new. The
	// caller has checked that group and member exist.
	PutMembership(m Membership) (added bool, err error)

	// DeleteMembership removes one membership and reports whether it was there.
	// An empty source removes those of every source.
	DeleteMembership(group, member string, source Source) (removed bool, err error)

	StageWriter
}

// StageWriter changes more memberships of one group than one transaction may write.
//
// They are staged in several transactions, under a number that was never used before
// in the scope and is greater than 0: nobody sees anything of them. ShowStage shows
// all at once. What is left then, or of a stage that is given up, is settled in
// several transactions again, and changes nothing that anybody sees. All other
// methods, of readers and writers alike, know only what is seen.
//
// A group has one stage at a time: the one before was settled. The caller has found
// out which memberships a stage changes, and shows none after others changed them.
type StageWriter interface {
	// StageMembers stages memberships: those in joining begin, and those in leaving
	// end. Their Kind and Display count for nothing. The group need not exist until the
	// stage is shown. It returns how many were staged: none whose member does not
	// exist, or that is seen already, or that is not there to leave. A membership of
	// another group than the first, or of a stage below 1, is an error.
	StageMembers(stage int64, joining, leaving []Membership) (staged int, err error)

	// ShowStage shows what was staged under a number. It costs the same however much
	// that is.
	ShowStage(stage int64) error

	// DeleteStaged is DeleteResource of a group all of whose memberships were staged to
	// leave, and shows the stage: it costs the same however many they are. They are left
	// to SettleStage, which a group that is made again with the id does not change.
	// Memberships that were not staged must not be there.
	DeleteStaged(typ, id string, stage int64) error

	// SettleStage settles what is left of a stage, at most limit memberships, and
	// reports whether there may be more. Of one that was not shown, nothing becomes of
	// what was staged. After the last of it the number is free.
	SettleStage(stage int64, limit int) (more bool, err error)
}

// AccountReader reads accounts.
type AccountReader interface {
	// Account returns an account by id, or [ErrNotFound].
	Account(id string) (*Account, error)

	// AccountOf returns the account linked to a resource, or [ErrNotFound].
	AccountOf(resource string) (*Account, error)

	// BareAccountOf is AccountOf without Groups, which may be many: a store does not
	// decode them. Such an account must not be written.
	BareAccountOf(resource string) (*Account, error)

	// Accounts returns the accounts that match q in ascending order of id.
	Accounts(q AccountQuery) ([]*Account, error)
}

// AccountWriter writes accounts.
type AccountWriter interface {
	// PutAccount inserts or replaces an account by id. At most one account is
	// linked to a resource: a second one is a [*ConflictError] on attribute
	// "resourceId".
	PutAccount(a *Account) error
}

// EventReader reads the event stream.
type EventReader interface {
	// Events returns events with a sequence greater than after, in order, at
	// most limit (0: all).
	Events(after int64, limit int) ([]*Event, error)

	// LatestEvents returns the events that match q, newest first. Its cost does not
	// depend on how many others there are.
	LatestEvents(q EventQuery) ([]*Event, error)

	// EventRange returns the sequences of the oldest retained event and of the
	// newest one ever appended. Both are 0 when there was none; first is
	// last+1 when none is retained.
	EventRange() (first, last int64, err error)
}

// EventWriter writes the event stream.
type EventWriter interface {
	// AppendEvent assigns e.Sequence, one more than the newest in the scope,
	// and stores e. Sequences have no gaps: a transaction that rolls back
	// leaves none.
	AppendEvent(e *Event) error

	// ReplaceEvent replaces the event with the sequence of e, and reports whether it
	// is retained. Nothing is stored where it is not. Its AccountID stays. It is how the names of a deleted
	// person leave the stream; the event must still say what happened.
	ReplaceEvent(e *Event) (replaced bool, err error)

	// PruneEvents removes the events with a sequence up to and including
	// through, and reports how many.
	PruneEvents(through int64) (int, error)
}

// RecordReader reads records.
type RecordReader interface {
	// Record returns a record, or [ErrNotFound]. Expiry is not checked: the
	// caller compares Expires with its own clock.
	Record(kind, key string) (*Record, error)

	// Records returns the records of a kind in ascending byte order of key,
	// starting after the key given, at most limit (0: all).
	Records(kind, after string, limit int) ([]*Record, error)
}

// Clock tells the time of the store, by which processes that share it agree how long
// something lasts: leases, and waits that one process begins and another ends. What
// people are told, and what they have set, goes by the clock of the engine.
type Clock interface {
	// Now returns the time by the clock that the processes have in common: that of the
	// database where it has one, as it is now and not when the transaction began. A
	// store without a server has that of its process, which its user may set. It is
	// in UTC, cut to milliseconds, and without a monotonic part. The clock may be set,
	// like any other.
	Now() (time.Time, error)
}

// RecordWriter writes records.
type RecordWriter interface {
	// PutRecord writes r by compare-and-set: r.Version is the version the
	// caller read, 0 for a record that must not exist yet. On success it sets
	// r.Version to the new one; otherwise the error is [ErrVersion].
	PutRecord(r *Record) error

	// DeleteRecord removes a record; version 0 removes any version. It returns
	// [ErrNotFound] or [ErrVersion].
	DeleteRecord(kind, key string, version int64) error

	// PruneRecords removes the records of a kind that expired at or before
	// now, and reports how many.
	PruneRecords(kind string, now time.Time) (int, error)
}
