package records

import (
	"encoding/json"
	"time"

	"github.com/scimjit/provision/store"
)

// WaitingUser is a user whose account waits, with what an operator has decided about the
// person.
type WaitingUser struct {
	Choice string `json:"choice,omitempty"` // empty: nothing was decided
	HostID string `json:"hostId,omitempty"` // of the choice to link

	// Person is who it was decided about: the choice is void for anybody else.
	Person string `json:"person,omitempty"`
}

// PlanState is how far a plan is.
type PlanState struct {
	ID    string      `json:"id"`
	Mode  string      `json:"mode"` // that it leads out of
	Actor store.Actor `json:"actor"`
	Asked time.Time   `json:"asked"`
	Ended time.Time   `json:"ended,omitzero"`

	// Facts and Connection are the count of changed facts, and the version of the
	// connection, from which it was begun.
	Facts      int64 `json:"facts"`
	Connection int64 `json:"connection"`

	Cleared bool   `json:"cleared,omitempty"` // nothing is left of the plan before
	Cursor  string `json:"cursor,omitempty"`  // of the last person who was looked at
	Done    int    `json:"done"`              // people so far

	Totals json.RawMessage `json:"totals,omitempty"`
}

// Opening is what a job does first of a connection that has gone live or resumes. It
// tells of the groups, then lets in those who wait.
type Opening struct {
	Plan string `json:"plan,omitempty"` // links are made as it says; empty: as they come

	Groups   bool   `json:"groups,omitempty"`   // are to be told
	GroupsAt int64  `json:"groupsAt,omitempty"` // position of the last one that was
	Users    bool   `json:"users,omitempty"`    // are to be let in
	UsersAt  string `json:"usersAt,omitempty"`  // the last one who was looked at

	// Reread makes the walks take over what users say that was written meanwhile.
	Reread bool `json:"reread,omitempty"`
}

// Left reports whether anything of it is left to do before the walks.
func (o *Opening) Left() bool { return o != nil && (o.Groups || o.Users) }
