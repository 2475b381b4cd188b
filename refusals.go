package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/requestlog"
)

// Refusal counts the requests of one minute that were refused for one cause.
type Refusal struct {
	Minute  time.Time `json:"minute"`  // UTC, its beginning
	Address string    `json:"address"` // IP address; empty for all that are not counted one by one
	Cause   string    `json:"cause"`   // a short code, such as "unauthenticated"
	Count   int       `json:"count"`
}

// Refusals returns what [Engine.CountRefusal] counted for a connection since a
// time, in order of minute, address and cause; what other processes have counted
// in the last ten seconds may be missing. The connection "" has the refusals that
// belong to no connection that exists, such as those of unknown credentials; any
// other that does not exist is [ErrNotFound].
func (e *Engine) Refusals(ctx context.Context, connection string, since time.Time) ([]Refusal, error) {
	rows, err := e.requestLog().Refusals(ctx, connection, since)
	if err != nil {
		return nil, err
	}
	var out []Refusal
	for _, row := range rows {
		out = append(out, Refusal(row))
	}
	return out, nil
}

// CountRefusal counts a request that was refused before it could change
// anything: by connection, minute, address and cause. It returns at once;
// [Engine.Run] stores the counts every ten seconds and keeps them for 30 days.
// They are not events: a host hears nothing of them.
//
// Connection is the one that the request was for, as far as that is known; it may
// be text of the client. Counts of one that does not exist are kept with those of
// "": its name is never stored. Address is an IP address, with or without a port;
// other text counts as no address. Cause is a code of the caller's own, never text
// of the client: 1 to 40 letters, digits, "_", "-" or "."; anything else counts as
// "other".
//
// For each connection at most 100 addresses and causes a minute, and 5,000 a
// day, are told apart.
func (e *Engine) CountRefusal(connection, address, cause string) {
	if !isConnectionID(connection) {
		connection = ""
	}
	e.requestLog().Count(connection, address, cause)
}

func (e *Engine) requestLog() *requestlog.Log {
	return &requestlog.Log{Counts: &e.refusals, Store: e.Store, Now: e.now, Connections: e.connectionIDs}
}
