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

// Refusals returns what [Plumbing.CountRefusal] counted for a connection since a
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

func (e *Engine) requestLog() *requestlog.Log {
	return &requestlog.Log{Counts: &e.refusals, Store: e.Store, Now: e.now, Connections: e.connectionIDs}
}
