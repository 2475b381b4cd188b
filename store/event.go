package store

import (
	"encoding/json"
	"time"

	"github.com/scimjit/provision/policy"
)

// Event is one change of one account, group, connection or credential: an audit
// record and an outbox row in one. It is appended in the transaction that makes
// the change. It never holds a secret.
//
// A stored Event is never changed, but that names and addresses of a person leave it
// when their account is deleted: then it has no Changes but those of the status.
type Event struct {
	Sequence   int64           `json:"sequence"` // per connection, without gaps
	Time       time.Time       `json:"time"`     // UTC
	Type       EventType       `json:"type"`
	Connection string          `json:"connection"`
	Actor      Actor           `json:"actor"`
	Resource   *ResourceRef    `json:"resource,omitempty"`
	AccountID  string          `json:"accountId,omitempty"`
	Account    *EventAccount   `json:"account,omitempty"` // as it is after the event
	Changes    []Change        `json:"changes,omitempty"`
	Reasons    []policy.Reason `json:"reasons,omitempty"`
	Tolerances []string        `json:"tolerances,omitempty"` // dialect rules that a request needed
}

// EventQuery selects events, newest first.
type EventQuery struct {
	Account string // the AccountID of the events; empty: whatever they are about
	Before  int64  // only events with a lower sequence; 0: from the newest on
	Limit   int    // at most so many; 0: all
}

// Denial returns why a login was refused, of an event login.denied, or "".
func (e *Event) Denial() policy.Denial {
	if e.Type != LoginDenied {
		return ""
	}
	for _, r := range e.Reasons {
		if r.Effect == policy.EffectLoginDenied {
			return policy.Denial(r.Value)
		}
	}
	return ""
}

// EventAccount is what a consumer needs to apply the event of an account. What
// changed of the account is in the Changes of the event, and what it is by now is
// read from the account itself.
//
// An event about a person who has an account names it by AccountID. Account is
// nil where the event changes nothing of it, such as a refused login.
type EventAccount struct {
	ID      string        `json:"id"`               // that of Event.AccountID
	HostID  string        `json:"hostId,omitempty"` // the account of the host's own that it is linked to
	Status  policy.Status `json:"status"`
	Version int64         `json:"version"` // of the account: of two events the later has the greater one
}

// EventAccount returns what an event tells of an account.
func (a *Account) EventAccount() *EventAccount {
	return &EventAccount{ID: a.ID, HostID: a.HostID, Status: a.Status, Version: a.Version}
}

// EventType names what happened.
type EventType string

// The event types.
const (
	AccountCreated               EventType = "account.created"
	AccountUpdated               EventType = "account.updated"
	AccountActivated             EventType = "account.activated"
	AccountDisabled              EventType = "account.disabled"
	AccountDeleted               EventType = "account.deleted"
	AccountHeld                  EventType = "account.held"
	AccountDeprovisionSuppressed EventType = "account.deprovision_suppressed"
	AccountEmailConflict         EventType = "account.email_conflict"
	AccountIdentityRecycled      EventType = "account.identity_recycled"
	GroupCreated                 EventType = "group.created"
	GroupUpdated                 EventType = "group.updated"
	GroupDeleted                 EventType = "group.deleted"
	CredentialCreated            EventType = "credential.created"
	CredentialExpiring           EventType = "credential.expiring"
	CredentialRevoked            EventType = "credential.revoked"
	ConnectionUpdated            EventType = "connection.updated"
	ConnectionDeleted            EventType = "connection.deleted"
	ConnectionWarning            EventType = "connection.warning"

	// The mode of a connection is another one: the changes are "mode", "until" of a pause,
	// and "plan", by which it went live or resumed.
	ConnectionModeChanged EventType = "connection.mode_changed"

	LoginDenied    EventType = "login.denied"
	LoginEnded     EventType = "login.ended"
	GuardBlocked   EventType = "guard.blocked"
	DeliveryParked EventType = "delivery.parked"
	JobFinished    EventType = "job.finished"
	PortalUsed     EventType = "portal.used"

	// A sync that changed something, or the first that came to its end after a failure;
	// and one that did not, where it is for another reason than the last. The change
	// "report" has the counts, "failure" and "code" the reason. None has a name.
	SyncFinished EventType = "sync.finished"
	SyncFailed   EventType = "sync.failed"
)

// Actor is who caused an event.
type Actor struct {
	Kind string `json:"kind"`         // a Source, or "system"
	ID   string `json:"id,omitempty"` // credential, consumer or operator; never a secret
}

// ResourceRef names the resource that an event is about, or whose change caused
// it.
type ResourceRef struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Change is one attribute of an account or group before and after an event.
// Before is null on creation, After on deletion. The event that creates an account
// lists all that it is created with, and leaves out what is empty; the one that
// deletes it lists its status alone.
type Change struct {
	Attribute string          `json:"attribute"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
}
