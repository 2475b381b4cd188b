package provision

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/internal/failures"
	"github.com/scimjit/provision/internal/outbox"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// The types of package store that a host meets when it uses the engine.
type (
	// Store keeps the state of all connections.
	Store = store.Store
	// Resource is a SCIM user, group or custom resource: a fact.
	Resource = store.Resource
	// Account is the derived state of one person.
	Account = store.Account
	// Event is one change, in order.
	Event = store.Event
	// EventType names what happened, such as store.AccountDisabled.
	EventType = store.EventType
	// Change is one attribute before and after an event.
	Change = store.Change
	// Actor is who caused an event.
	Actor = store.Actor
	// Source says which way of provisioning a fact came from.
	Source = store.Source
	// AccountGroup is a group that an account carries.
	AccountGroup = store.AccountGroup
	// AccountQuery selects accounts.
	AccountQuery = store.AccountQuery
	// ConflictError says that a unique value is taken.
	ConflictError = store.ConflictError
	// UnavailableError says that the store is busy or away.
	UnavailableError = store.UnavailableError
)

// Engine turns facts into accounts. One Engine serves all connections of a
// [Store]; its zero value with a Store is ready to use.
//
// Set the exported fields before the first call and do not change them after.
// An Engine is safe for concurrent use and must not be copied.
type Engine struct {
	// Store keeps everything. It is required.
	Store Store

	// Now tells the time; nil means time.Now. Times are kept in UTC, in
	// milliseconds. A clock that jumps, here or across a restart, costs seconds; see
	// [Engine.ConfirmClock] for what waits then. How long something lasts that replicas
	// share, such as a lease, goes by the clock of the Store: a Store without a server,
	// such as memory.Store, should have the same Now.
	Now func() time.Time

	// Rand is the source of ids and secrets; nil means crypto/rand.
	Rand io.Reader

	// Logger receives what administrators must see; nil means slog.Default().
	// Nothing logged holds a secret.
	Logger *slog.Logger

	// Limits bounds the work of one transaction.
	Limits Limits

	// Guard counts the site admins that the host has by other ways; nil means
	// that it has none.
	Guard Guard

	// Linker finds the accounts that the host had before; nil means that it had
	// none.
	Linker Linker

	// Secrets seals what settings keep that must be read again, such as the password of
	// a directory ([SecretText]); nil means that no such secret can be saved. Give all
	// processes the same; see [NewSecretKeys].
	Secrets Secrets

	// SyncSource opens the directory of a connection ([Connection.LDAP]) for a sync of
	// [Engine.Run] or [Directory.SyncNow]. since is empty for a sync of everything, or a
	// mark that an earlier source gave (see [SyncSource]), for one of what has changed
	// since then. The error is [ErrSyncMark] where the mark is no good any more: then a
	// sync of everything follows. nil means that no directory is read. Package jit/ldap
	// has one.
	SyncSource func(ctx context.Context, c Connection, since string) (SyncSource, error)

	// Permissions are the names of the permissions that the host has beside
	// "webdav", "ftp" and "sftp". Policy option permissions and [AccountEdit] may
	// name these and no others, in any case.
	Permissions []string

	// Outbound is how addresses are reached that customers have named, such as
	// [SAML.MetadataURL]. The zero value reaches public ones only.
	Outbound Outbound

	// Retention is how long events are kept; 0 means 90 days, and a negative one
	// keeps them for ever. [Engine.Run] removes older ones, also those that a
	// consumer has not seen yet: see [CursorExpiredError].
	Retention time.Duration

	// RetentionBytes is how many bytes of events, as JSON, are kept of a connection;
	// 0 means 10 GiB, and a negative number keeps any size. [Engine.Run] looks every
	// ten minutes and removes the oldest that are too much, never a part of what one
	// transaction appended. It counts the newest ones only when there are many: one
	// for each MiB.
	RetentionBytes int64

	// RequestRetention is how long the request log is kept ([Directory.Requests]); 0 means
	// 30 days, and a negative one keeps it whatever its age. It is also bounded by
	// Limits.Requests.
	RequestRetention time.Duration

	// Indexes are attributes by which filters are to find resources without looking at
	// all of them: what Set.Indexes of package schema returns for the schemas that are
	// served (scim.Handler.Schemas), of all connections together. nil means those of the
	// standard schemas. When one is added, Run indexes what is there, see
	// [Directory.Indexing]. Give all processes the same.
	Indexes []store.Index

	// SingleProcess says that nobody but this Engine writes the Store while it runs:
	// there is one process, with one Engine. [Engine.Authenticate] then relies on
	// what it has read within the last second. With another writer, a credential
	// revoked there would be accepted here for that second. [Consumer.Deliver] then
	// relies on nobody else delivering to its consumer.
	SingleProcess bool

	marked      marks
	connections connectionCache
	credentials credentialCache
	refusals    requestlog.Counts
	requests    requestlog.Journal
	failures    failures.Counts
	scans       scans
	stagings    turns
	processOnce sync.Once
	processID   string
	signing     signingKey
	beforeJump  atomic.Pointer[time.Time] // of the clock, while work waits; nil otherwise
	jobs        outbox.News               // of connections with a new job
	redriven    outbox.News               // of connections where parked events are tried again
	moved       outbox.News               // of connections where a consumer got on
	hung        outbox.Hung               // calls of consumers that were left behind
}

// Limits bounds what one transaction does, and one connection. A zero field means
// its default.
type Limits struct {
	// Inline is how many accounts a change may touch and still derive them in
	// its own transaction; a larger one leaves a job to [Engine.Run]. The
	// default is 500.
	Inline int

	// InlineMembers is how many memberships a change writes in its own transaction. A
	// larger one is staged in several, each of as many at most, and then seen at once;
	// see [Directory.Update]. The default is 500.
	InlineMembers int

	// Batch is how many accounts at most a job derives in one transaction. The default
	// is 500.
	Batch int

	// Members is how many members one request may add or remove. The default
	// is 200,000.
	Members int

	// Nesting is how many levels groups in groups may have: how many groups a chain
	// has of which each is in the next one. A request that would make a longer one is
	// refused with a [*LimitError]. Groups that are in each other are no endless
	// chain: it ends where it meets itself. What was stored deeper stays and can be
	// changed, but not be nested deeper. The default is 100.
	Nesting int

	// Scans is how many scans a connection may have at a time in this process, those
	// that wait for the store included: queries with more than a thousand candidates,
	// see [Directory.Query]. A further one is refused with a [*LimitError]. The default
	// is 2.
	Scans int

	// Requests is how many entries the request log of a connection has
	// ([Directory.Requests]), of which a twentieth is for strangers. The default is
	// 100,000; a negative number keeps none.
	Requests int

	// Deprovision is how many accounts of a connection may be deprovisioned
	// within an hour, or a fifth of its active accounts where that is more. The
	// others are held: they stay as they are until [Directory.Release] or
	// [Directory.Keep]. The default is 10; a negative number holds none.
	Deprovision int
}

func (l Limits) inline() int        { return orDefault(l.Inline, 500) }
func (l Limits) inlineMembers() int { return orDefault(l.InlineMembers, 500) }

func (l Limits) batch() int   { return orDefault(l.Batch, 500) }
func (l Limits) members() int { return orDefault(l.Members, 200_000) }
func (l Limits) scans() int   { return orDefault(l.Scans, 2) }
func (l Limits) nesting() int { return orDefault(l.Nesting, 100) }

func (l Limits) requests() int {
	if l.Requests < 0 {
		return 0
	}
	return orDefault(l.Requests, 100_000)
}

func (l Limits) deprovision() int {
	if l.Deprovision < 0 {
		return -1
	}
	return orDefault(l.Deprovision, 10)
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// Directory returns the operations of one connection, acting as the system
// until [Directory.As] names somebody else. It does not check that the
// connection exists: the operations do, and return [ErrNotFound].
func (e *Engine) Directory(connection string) *Directory {
	return &Directory{engine: e.present(), connection: connection, actor: Actor{Kind: "system"}, source: store.SourceOperator}
}

// present returns e, or where it is nil an Engine whose store says so.
func (e *Engine) present() *Engine {
	if e == nil {
		return &Engine{Store: missingStore{errNoEngine}}
	}
	return e
}

// store returns the Store, or one that says that there is none.
func (e *Engine) store() Store {
	if e.Store == nil {
		return missingStore{errNoStore}
	}
	return e.Store
}

var (
	errNoEngine = errors.New("provision: the Engine is nil")
	errNoStore  = errors.New("provision: Engine.Store is nil: every Engine needs a store, such as memory.New() or sqlite.Open")
)

// missingStore is the store of an Engine that has none.
type missingStore struct{ err error }

func (s missingStore) View(context.Context, string, func(context.Context, store.Reader) error) error {
	return s.err
}

func (s missingStore) Update(context.Context, string, func(context.Context, store.Tx) error) error {
	return s.err
}

func (s missingStore) Watch() store.Watcher { return missingWatcher(s) }

func (s missingStore) Scan(context.Context, string, store.Query) (store.Page, error) {
	return store.Page{}, s.err
}

func (s missingStore) Ping(context.Context) error { return s.err }

func (s missingStore) Close() error { return s.err }

type missingWatcher struct{ err error }

func (missingWatcher) C() <-chan struct{} { return nil }

func (missingWatcher) Take() []store.Appended { return nil }

func (w missingWatcher) Look(context.Context) ([]store.Appended, error) { return nil, w.err }

func (missingWatcher) Close() {}

// now is the time as it is stored and shown.
func (e *Engine) now() time.Time { return e.reading().UTC().Truncate(time.Millisecond) }

// reading is the time as the clock gave it. Windows and waits of this process lie
// between two readings: those of time.Now have a monotonic part, so that nobody who
// sets the clock moves them. Where Now tells times without one, they are measured
// by these, and one that is still to come is not believed.
func (e *Engine) reading() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

func (e *Engine) logger() *slog.Logger {
	if e.Logger != nil {
		return e.Logger
	}
	return slog.Default()
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (e *Engine) randomBytes(n int) ([]byte, error) {
	r := e.Rand
	if r == nil {
		r = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("provision: reading randomness: %w", err)
	}
	return b, nil
}

// random returns n random bytes as lower-case text without punctuation.
func (e *Engine) random(n int) (string, error) {
	b, err := e.randomBytes(n)
	return idEncoding.EncodeToString(b), err
}

// newID returns an id of 128 random bits.
func (e *Engine) newID() (string, error) { return e.random(16) }
