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
// A stored Event is never changed.
type Event struct {
	Sequence   int64           `json:"sequence"` // per connection, without gaps
	Time       time.Time       `json:"time"`     // UTC
	Type       EventType       `json:"type"`
	Connection string          `json:"connection"`
	Actor      Actor           `json:"actor"`
	Resource   *ResourceRef    `json:"resource,omitempty"`
	AccountID  string          `json:"accountId,omitempty"`
	Account    *Account        `json:"account,omitempty"` // as it is after the change
	Changes    []Change        `json:"changes,omitempty"`
	Reasons    []policy.Reason `json:"reasons,omitempty"`
	Tolerances []string        `json:"tolerances,omitempty"` // dialect rules that a request needed
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
	LoginDenied                  EventType = "login.denied"
	GuardBlocked                 EventType = "guard.blocked"
	DeliveryParked               EventType = "delivery.parked"
	JobFinished                  EventType = "job.finished"
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
// Before is null on creation, After on deletion.
type Change struct {
	Attribute string          `json:"attribute"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
}
