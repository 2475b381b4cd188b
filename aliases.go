package provision

import "github.com/scimjit/provision/store"

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
	// Actor is who caused an event.
	Actor = store.Actor
)
