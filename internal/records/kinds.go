package records

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/scimjit/provision/store"
)

// The kinds. Each is a row of the table of [Rows].
var (
	// Connection holds the settings of a connection, in its own scope. Read it by
	// [LiveConnection]: the record outlives the connection.
	Connection = kind[json.RawMessage](Row{Name: "connection", Owner: "connections"})

	// ConnectionList lists the connections.
	ConnectionList = kind[Listed](Row{Name: "connectionList", Owner: "connections", Key: "id of the connection", Global: true})

	// ConnectionEnded lists the connections that were deleted and may have events.
	ConnectionEnded = kind[Listed](Row{Name: "connectionEnded", Owner: "retention", Key: "id of the connection", Global: true})

	// Credential is what is known of a secret.
	Credential = kind[StoredCredential](Row{Name: "credential", Owner: "credentials", Key: "id of the credential"})

	// Secret reserves a secret for a connection, which is its value.
	Secret = kind[string](Row{Name: "secret", Owner: "credentials", Key: "hash of the secret", Global: true})

	// Sealed is a secret among the settings of a connection, as Engine.Secrets has sealed
	// it.
	Sealed = kind[[]byte](Row{Name: "sealed", Owner: "secrets", Key: "name of the setting"})

	// SigningKey is the key by which an engine signs.
	SigningKey = kind[[]byte](Row{Name: "signingKey", Owner: "signatures", Global: true})

	// ClockSeen is when any process last looked at the clock of the store.
	ClockSeen = kind[Clock](Row{Name: "clockSeen", Owner: "clock", Global: true})

	// Once is a key that has been used.
	Once = kind[struct{}](Row{Name: "once", Owner: "replay caches", Key: "hash of the used key", Expires: "as the user of the key says"})

	// Allowance is how many requests a credential may still send to all processes.
	Allowance = kind[Left](Row{Name: "allowance", Owner: "rate limits", Key: "hash of the credential", Expires: "when there are as many as at first"})

	// Attempts is when something was tried that may be tried a few times.
	Attempts = kind[[]int64](Row{Name: "attempts", Owner: "logins", Key: "hash of what is tried", Expires: "when the last one counts no more"})

	// Portal is a link for the administrator of a customer, and the session that it began.
	Portal = kind[PortalLink](Row{Name: "portal", Owner: "portal", Key: "hash of the code", Expires: "with the link, or with its session"})

	// MetadataRefresh is when the metadata of a connection is fetched again.
	MetadataRefresh = kind[Refresh](Row{Name: "metadataRefresh", Owner: "metadata"})

	// Job is the derivation of many accounts of a connection.
	Job = kind[DeriveJob](Row{Name: "job", Owner: "jobs", Expires: "with the lease of its runner; never while there is none"})

	// Indexed says which of the attributes are indexed that a host has marked. Whoever
	// changes what is complete or building saves the connection, too.
	Indexed = kind[IndexedAttributes](Row{Name: "indexed", Owner: "indexes"})

	// JobPeople lists users whose accounts a job derives.
	JobPeople = kind[[]string](Row{Name: "jobPeople", Owner: "jobs", Key: "list / last user in the record"})

	// Staging is the stage by which the members of a group change.
	Staging = kind[Stage](Row{Name: "staging", Owner: "staged members", Key: "group"})

	// MassCount counts the accounts that were deprovisioned within an hour.
	MassCount = kind[Mass](Row{Name: "massCount", Owner: "mass guard"})

	// Hold says since when and why an account is held.
	Hold = kind[Held](Row{Name: "hold", Owner: "mass guard", Key: "account"})

	// Offboarding is how far the deletion of the connection has come.
	Offboarding = kind[Ending](Row{Name: "offboarding", Owner: "connections"})

	// AccountCounts is how many accounts the connection has.
	AccountCounts = kind[Counts](Row{Name: "accountCounts", Owner: "counts of accounts"})

	// LastAdmin is the account that is kept as the last site admin.
	LastAdmin = kind[string](Row{Name: "lastAdmin", Owner: "last-admin guard"})

	// Deletion is when an account was deprovisioned that deleteAfterDays will
	// delete.
	Deletion = kind[Deprovisioned](Row{Name: "deletion", Owner: "deletion", Key: "account"})

	// DefaultGroup is the name of a default group that an account waits for,
	// because no group has the name yet.
	DefaultGroup = kind[string](Row{Name: "defaultGroup", Owner: "default groups", Key: "escaped folded name / account"})

	// DefaultGiven is the group of the connection by which a default group was
	// given last.
	DefaultGiven = kind[string](Row{Name: "defaultGiven", Owner: "default groups", Key: "escaped folded name"})

	// DefaultLost is a default group that accounts have lost, because the identity
	// provider deleted the group and made another one with its name.
	DefaultLost = kind[string](Row{Name: "defaultLost", Owner: "default groups", Key: "escaped folded name", Expires: "30 days after the other one was made"})

	// Warned are the warnings of a connection that were told.
	Warned = kind[[]string](Row{Name: "warned", Owner: "warnings"})

	// HostGroup is a group of the host.
	HostGroup = kind[Group](Row{Name: "hostGroup", Owner: "host groups", Key: "escaped id"})

	// HostGroupName is the id of the group of the host with a name.
	HostGroupName = kind[string](Row{Name: "hostGroupName", Owner: "host groups", Key: "escaped folded name"})

	// HostAccount is the account that is linked to an account of the host.
	HostAccount = kind[string](Row{Name: "hostAccount", Owner: "linking", Key: "escaped id of the host"})

	// Identity is the account that is bound to an id which logins assert.
	Identity = kind[string](Row{Name: "identity", Owner: "logins", Key: "kind of id / escaped id"})

	// LoginName is the account that logged in as a NameID, by whatever format.
	LoginName = kind[string](Row{Name: "loginName", Owner: "logouts", Key: "hash of the NameID", Expires: "with the last session of the name"})

	// LoginSessions are the sessions at the identity provider that logins of an
	// account belong to.
	LoginSessions = kind[[]LoginSession](Row{Name: "loginSessions", Owner: "logouts", Key: "account", Expires: "with the last of them"})

	// LoginsWrote says that a login has created a resource in the connection.
	LoginsWrote = kind[bool](Row{Name: "loginsWrote", Owner: "logins"})

	// Conflict is the name or e-mail of which an account was told that somebody
	// else has it.
	Conflict = kind[string](Row{Name: "conflict", Owner: "logins", Key: "account"})

	// Evidence says on which day a login told the groups of an account last.
	Evidence = kind[bool](Row{Name: "evidence", Owner: "lapse of rights", Key: "day / account"})

	// LapsedThrough is up to which key of Evidence rights have lapsed.
	LapsedThrough = kind[string](Row{Name: "lapsedThrough", Owner: "lapse of rights"})

	// Synced says that a sync has reported a user or created a group.
	Synced = kind[SyncMark](Row{Name: "synced", Owner: "sync", Key: "resource"})

	// Imported says that the import of the connection has come to its end.
	Imported = kind[bool](Row{Name: "imported", Owner: "import"})

	// SyncLease names the run of the sync that is under way.
	SyncLease = kind[SyncRunning](Row{Name: "syncLease", Owner: "sync", Expires: "two minutes after its holder was heard of"})

	// SyncEnded is the last sync that ended, as the engine tells it.
	SyncEnded = kind[json.RawMessage](Row{Name: "syncEnded", Owner: "sync"})

	// SyncPlan is when the directory of the connection is read next, and from where.
	SyncPlan = kind[Planned](Row{Name: "syncPlan", Owner: "sync"})

	// Waiting is a user whose account waits for the mode of the connection: nobody has one
	// yet whom the host has not heard of.
	Waiting = kind[WaitingUser](Row{Name: "waiting", Owner: "modes", Key: "user"})

	// FactsChanged counts the transactions that changed facts while accounts waited.
	FactsChanged = kind[int64](Row{Name: "factsChanged", Owner: "modes"})

	// Plan is the last plan that was asked for, and how far it is.
	Plan = kind[PlanState](Row{Name: "plan", Owner: "plans"})

	// PlanPeople are the rows of a plan, in order of their cursors. None has a name.
	PlanPeople = kind[json.RawMessage](Row{Name: "planPeople", Owner: "plans", Key: "plan / cursor of the last row"})

	// PlanLink is the user for whom a plan takes an account of the host, or one that an earlier
	// user has left.
	PlanLink = kind[string](Row{Name: "planLink", Owner: "plans", Key: "plan / h / escaped id of the host, or plan / a / account"})

	// Failures are how often authentications have failed lately, in all processes.
	Failures = kind[map[string][]int64](Row{Name: "failures", Owner: "failed authentications", Global: true})

	// Consumer lists the consumers that have ever delivered.
	Consumer = kind[Listed](Row{Name: "consumer", Owner: "delivery", Key: "consumer", Global: true})

	// Cursor is where a consumer stands in the events.
	Cursor = kind[DeliveryCursor](Row{Name: "cursor", Owner: "delivery", Key: "consumer", Expires: "with the lease of its holder; never while nobody holds it"})

	// EventSize is how large the events are.
	EventSize = kind[EventsSize](Row{Name: "eventSize", Owner: "retention"})

	// Erasure is up to where names leave the events of an account that was deleted.
	Erasure = kind[ErasedEvents](Row{Name: "erasure", Owner: "erasure", Key: "account"})

	// Refusals are the refused requests of a minute.
	Refusals = kind[[]Refused](Row{Name: "refusals", Owner: "request log", Key: "minute", Expires: "30 days after the minute"})

	// RefusalDay is how many rows the refusals of a day have.
	RefusalDay = kind[int](Row{Name: "refusalDay", Owner: "request log", Key: "day", Expires: "30 days after the day"})

	// RequestHour counts the requests of an hour.
	RequestHour = kind[Requests](Row{Name: "requestHour", Owner: "request log", Key: "hour", Expires: "30 days after the hour"})

	// RequestLast is what the connection was asked last.
	RequestLast = kind[LastRequests](Row{Name: "requestLast", Owner: "request log"})

	// RequestErasure is by what the requests of an account that was deleted are found, from
	// which names are to leave.
	RequestErasure = kind[ErasedRequests](Row{Name: "requestErasure", Owner: "erasure", Key: "account"})
)

// line describes the kinds of [Line].
var line = Row{Name: "line", Owner: "delivery", Key: "account, after a prefix"}

// Line returns the kind of the accounts whose events wait for a consumer. Each
// consumer has a kind of its own, so that its lines are listed alone.
func Line(consumer string) Kind[DeliveryLine] {
	row := line
	row.Name += "/" + url.QueryEscape(consumer)
	return Kind[DeliveryLine]{&row}
}

func kind[V any](row Row) Kind[V] { return Kind[V]{&row} }

// Rows returns the table of kinds.
func Rows() []Row {
	return []Row{
		Connection.Row(),
		ConnectionList.Row(),
		ConnectionEnded.Row(),
		Credential.Row(),
		Secret.Row(),
		Sealed.Row(),
		SigningKey.Row(),
		ClockSeen.Row(),
		Once.Row(),
		Allowance.Row(),
		Attempts.Row(),
		Portal.Row(),
		MetadataRefresh.Row(),
		Job.Row(),
		Indexed.Row(),
		JobPeople.Row(),
		Staging.Row(),
		MassCount.Row(),
		Hold.Row(),
		Offboarding.Row(),
		AccountCounts.Row(),
		LastAdmin.Row(),
		Deletion.Row(),
		DefaultGroup.Row(),
		DefaultGiven.Row(),
		DefaultLost.Row(),
		Warned.Row(),
		HostGroup.Row(),
		HostGroupName.Row(),
		HostAccount.Row(),
		Identity.Row(),
		LoginName.Row(),
		LoginSessions.Row(),
		LoginsWrote.Row(),
		Conflict.Row(),
		Evidence.Row(),
		LapsedThrough.Row(),
		Synced.Row(),
		Imported.Row(),
		SyncLease.Row(),
		SyncEnded.Row(),
		SyncPlan.Row(),
		Waiting.Row(),
		FactsChanged.Row(),
		Plan.Row(),
		PlanPeople.Row(),
		PlanLink.Row(),
		Failures.Row(),
		Consumer.Row(),
		Cursor.Row(),
		line,
		EventSize.Row(),
		Erasure.Row(),
		Refusals.Row(),
		RefusalDay.Row(),
		RequestHour.Row(),
		RequestLast.Row(),
		RequestErasure.Row(),
	}
}

// Listed is the value of [ConnectionList], [ConnectionEnded] and [Consumer].
type Listed struct{}

// StoredCredential is what is known of a secret without knowing it.
type StoredCredential struct {
	ID           string    `json:"id"`
	Connection   string    `json:"connection"`
	Method       string    `json:"method"`
	UserName     string    `json:"userName,omitempty"` // no secret
	Created      time.Time `json:"created"`
	Expires      time.Time `json:"expires,omitzero"`
	LastUsed     time.Time `json:"lastUsed,omitzero"`
	PendingUntil time.Time `json:"pendingUntil,omitzero"` // it waits to be activated; zero: it counts
	Hash         string    `json:"hash"`
	Noticed      int       `json:"noticed,omitempty"` // the last notice of expiry, in days before
}

// LoginSession is a session at the identity provider.
type LoginSession struct {
	Index           string    `json:"index,omitempty"`
	Name            string    `json:"name"` // of the NameID
	Format          string    `json:"format,omitempty"`
	NameQualifier   string    `json:"nameQualifier,omitempty"`
	SPNameQualifier string    `json:"spNameQualifier,omitempty"`
	Until           time.Time `json:"until"`
}

// EventsSize is how large those events are, as JSON, that are kept and were counted.
type EventsSize struct {
	Through int64 `json:"through"` // the last one that was counted
	Bytes   int64 `json:"bytes"`
}

// ErasedEvents says which events of an account were looked at to erase names.
type ErasedEvents struct {
	At      int64 `json:"at"`      // up to this sequence they were
	Through int64 `json:"through"` // the last one that may have a name
}

// Left is how many requests were left of an allowance when some were taken last.
type Left struct {
	Left float64   `json:"left"`
	At   time.Time `json:"at"`
}

// Refresh is how it stands with the metadata that is fetched from an address.
type Refresh struct {
	URL      string    `json:"url"`
	Next     time.Time `json:"next,omitzero"`      // it is fetched again
	Leased   time.Time `json:"leased,omitzero"`    // until when a process fetches it
	Failures int       `json:"failures,omitempty"` // since it was had last
}

// Group is a group of the host.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// SyncRunning is a sync that is under way.
type SyncRunning struct {
	ID  string          `json:"id"`
	Run json.RawMessage `json:"run,omitempty"` // as the engine tells it
}

// Planned is when a directory is read.
type Planned struct {
	Settings string `json:"settings"`       // names those by which it was read
	Mark     string `json:"mark,omitempty"` // up to where it was; empty: what changed since is not known

	Whole    time.Time `json:"whole,omitzero"`     // everything is read again
	Changes  time.Time `json:"changes,omitzero"`   // what changed is
	Retry    time.Time `json:"retry,omitzero"`     // after a failure, nothing is before
	Failures int       `json:"failures,omitempty"` // since it succeeded

	Secrets int `json:"secrets,omitempty"` // how often a secret of the settings was replaced
}

// SyncMark is what syncs have said of a resource.
type SyncMark struct {
	State SyncState `json:"state"`

	// ID is the externalId by which the source knows a user, where the resource has
	// another one or none, because a source writes it that knows better.
	ID string `json:"id,omitempty"`
}

// SyncState is how a source had a resource last.
type SyncState string

// The states of a resource. The empty one is of what no sync has reported.
const (
	SyncHas      SyncState = "present"
	SyncInactive SyncState = "inactive" // present, and the user is not to be active
	SyncAbsent   SyncState = "absent"   // the user was reported once and is not now
)

// Clock is what was seen of the clock: the time of the last look, and that of the
// last jump, if it matters still, with the time of the look before the first of them.
type Clock struct {
	Seen   time.Time `json:"seen"`
	Jumped time.Time `json:"jumped,omitzero"`
	Before time.Time `json:"before,omitzero"`
}

// Deprovisioned is when an account was deprovisioned.
type Deprovisioned struct {
	Since time.Time `json:"since"`

	// Met is when Since was first seen to be still to come, as a clock that was wrong
	// has it. It counts in its place until Since has come.
	Met time.Time `json:"met,omitzero"`
}

// At returns since when an account is out, as far as a clock believes: no time that
// is still to come. Whoever errs by it deletes later.
func (d Deprovisioned) At(now time.Time) time.Time {
	switch {
	case !d.Since.After(now):
		return d.Since
	case !d.Met.IsZero() && !d.Met.After(now):
		return d.Met
	}
	return now
}

// IndexedAttributes are attributes of types, such as "User:title".
type IndexedAttributes struct {
	Complete []string `json:"complete,omitempty"` // every resource has its keys
	Building []string `json:"building,omitempty"` // those up to At have, and all that was written since

	At   int64 `json:"at,omitempty"`   // the position of the last resource that was looked at
	Done int   `json:"done,omitempty"` // how many were
}

// Mass counts the accounts that a connection deprovisioned in an hour.
type Mass struct {
	Since time.Time `json:"since"`
	Count int       `json:"count"`

	// Active is how many accounts at least were active before the hour's
	// deprovisionings. They are counted only as far as it matters; Counted is
	// when all were, if they were.
	Active  int       `json:"active,omitempty"`
	Counted time.Time `json:"counted,omitzero"`
}

// Held is since when an account is held, and by whose change of what.
type Held struct {
	Since    time.Time          `json:"since"`
	Actor    store.Actor        `json:"actor"`
	Resource *store.ResourceRef `json:"resource,omitempty"`
}

// Ending is how far the deletion of a connection has come.
type Ending struct {
	Started time.Time   `json:"started"`
	Heard   time.Time   `json:"heard"` // of whoever deletes it
	Actor   store.Actor `json:"actor"`
	Done    int         `json:"done"`
	Total   int         `json:"total"`
}

// DeliveryCursor is where a consumer stands in the events of a connection, and
// the lease on moving it: one record, so that to move the cursor and to renew
// the lease is one write. The record expires when the lease does, and never once
// the lease is given back.
type DeliveryCursor struct {
	Sequence int64 `json:"sequence"` // of the last event that was seen or waits in a line
	Fence    int64 `json:"fence"`    // of the last lease

	// Restored says that the store was restored from a backup, and that the consumer
	// may have seen what did not happen.
	Restored bool `json:"restored,omitempty"`
}

// DeliveryLine names the first event of an account that waits, because the
// consumer refused it, and nothing else: the others are those of the account up
// to the cursor, so that a line costs one record however many events follow.
type DeliveryLine struct {
	Sequence  int64     `json:"sequence"`
	Attempts  int       `json:"attempts,omitempty"`  // how often that event was refused
	LastError string    `json:"lastError,omitempty"` // of the consumer, shortened
	Since     time.Time `json:"since"`               // it was refused first, or parked

	// Next is when the event is tried again. The line is parked where it is zero.
	Next time.Time `json:"next,omitzero"`

	// Begun says that the last attempt began, is counted, and has not ended. It stays
	// where the process has ended meanwhile.
	Begun bool `json:"begun,omitempty"`

	// Redriven says that an operator had it tried again after it was parked.
	Redriven bool `json:"redriven,omitempty"`
}

// PortalLink is a link for the administrator of a customer. Its secrets are kept by their
// hashes.
type PortalLink struct {
	ID         string      `json:"id"`
	Recipient  string      `json:"recipient,omitempty"`
	Proof      string      `json:"proof"`
	Operations []string    `json:"operations"`
	Created    time.Time   `json:"created"`
	Until      time.Time   `json:"until"`             // it may be redeemed
	Guesses    int         `json:"guesses,omitempty"` // wrong proofs
	By         store.Actor `json:"by"`                // who made it

	Used         time.Time `json:"used,omitzero"`
	Session      string    `json:"session,omitempty"`
	SessionUntil time.Time `json:"sessionUntil,omitzero"`
}

// Refused is how often requests of one minute, address and cause were refused.
type Refused struct {
	Address string `json:"a,omitempty"`
	Cause   string `json:"c"`
	Count   int    `json:"n"`
}

// Requests counts the requests of an hour, by what came of them.
type Requests struct {
	Reads     int `json:"reads,omitempty"`
	Writes    int `json:"writes,omitempty"`
	Logins    int `json:"logins,omitempty"`
	Syncs     int `json:"syncs,omitempty"`
	Refused   int `json:"refused,omitempty"`
	Failed    int `json:"failed,omitempty"`
	Strangers int `json:"strangers,omitempty"`
	Dropped   int `json:"dropped,omitempty"`
}

// LastRequests are the last of some kinds of requests.
type LastRequests struct {
	Request LastRequest `json:"request,omitzero"`
	Change  LastRequest `json:"change,omitzero"`
	Refusal LastRequest `json:"refusal,omitzero"`
}

// LastRequest is when something was asked last.
type LastRequest struct {
	Time   time.Time `json:"time"`
	Number int64     `json:"number,omitempty"` // of its entry in the log
	Code   string    `json:"code,omitempty"`
}

// ErasedRequests says which entries of the request log are of somebody who was deleted.
type ErasedRequests struct {
	Keys   []string  `json:"keys"`   // of the entries
	Before int64     `json:"before"` // entries from this number on are of somebody new
	Time   time.Time `json:"time"`   // of the deletion
}

// Stage is a stage of memberships, see [store.StageWriter].
type Stage struct {
	Number int64  `json:"number"`
	Holder string `json:"holder"` // whoever stages, or settles what is left

	// Heard is when the holder was heard of last.
	Heard time.Time `json:"heard"`

	// Shown says that the members have changed: what is left is settled.
	Shown bool `json:"shown,omitempty"`

	// Deletes says that the group is being deleted: nobody joins it any more.
	Deletes bool `json:"deletes,omitempty"`
}

// DeriveJob is the durable work of deriving many accounts of a connection again.
// See [DeriveJob.Waits] for its three walks. One record has where it stands and who
// does it, so that a batch and to renew the lease are one write.
type DeriveJob struct {
	Runner string `json:"runner,omitempty"` // of the last batch, where several processes may be

	// Of says whose accounts, where these are not all. The walks over all are then in
	// order of user, not of account.
	Of *People `json:"of,omitempty"`

	// Lists are the lists of [JobPeople] that end with the job.
	Lists []string `json:"lists,omitempty"`

	Survey   Walk `json:"survey"`
	Removing Walk `json:"removing"`
	Granting Walk `json:"granting"`

	// Surveyed says that the first walk has ended, and Removed the second.
	Surveyed bool `json:"surveyed,omitempty"`
	Removed  bool `json:"removed,omitempty"`

	// Active is how many active accounts the first walk has met, Gone how many
	// of them would be deprovisioned, and Hold that these are too many.
	Active int  `json:"active,omitempty"`
	Gone   int  `json:"gone,omitempty"`
	Hold   bool `json:"hold,omitempty"`

	// Counted is the last account that was counted, where the first walk does not meet
	// all that are active, and Decided says that Hold is known.
	Counted string `json:"counted,omitempty"`
	Decided bool   `json:"decided,omitempty"`

	// Force says that the mass guard holds nobody.
	Force bool `json:"force,omitempty"`

	// Opening is what comes before the walks where a connection has gone live or resumes,
	// and Reviewed says that an operator has seen who loses access by that.
	Opening  *Opening `json:"opening,omitempty"`
	Reviewed bool     `json:"reviewed,omitempty"`

	Started  time.Time          `json:"started,omitzero"`
	Met      int                `json:"met,omitempty"` // accounts, by the first walk since the last change
	Accounts int                `json:"accounts"`      // derived so far
	Actor    store.Actor        `json:"actor"`
	Cause    *store.ResourceRef `json:"cause,omitempty"`
}
