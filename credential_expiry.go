package provision

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/scimjit/provision/store"
)

// credentialInterval is how often the credentials of a connection are looked
// after, and how much later a use must be to be written.
const credentialInterval = time.Minute

// expireCredentials appends an event 30, 7 and 1 days before a credential of a
// connection expires, each once, and writes when credentials were last used. Of
// several notices that are late only the last is sent; a credential that was set
// to expire sooner than a notice never has that notice.
//
// Replicas may do it at the same time. Without anything to do it only reads.
func (e *Engine) expireCredentials(ctx context.Context, connection string) error {
	used := e.credentials.takeUsed(connection)
	due := false
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		conn, err := e.connections.load(connection, r)
		if err != nil || conn.Disabled {
			return err
		}
		all, err := liveCredentials(r)
		for i := range all {
			due = due || all[i].tend(e.now(), used[all[i].ID])
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && due {
		err = e.tendCredentials(ctx, connection, used)
	}
	if err != nil {
		for id, at := range used {
			e.credentials.use(connection, id, at)
		}
	}
	return err
}

func (e *Engine) tendCredentials(ctx context.Context, connection string, used map[string]time.Time) error {
	return e.update(ctx, connection, Actor{Kind: "system"}, func(c *change) error {
		all, err := liveCredentials(c.tx)
		if err != nil {
			return err
		}
		for _, cred := range all {
			noticed := cred.Noticed
			if !cred.tend(c.now, used[cred.ID]) {
				continue
			}
			if err := c.putCredential(cred); err != nil {
				return err
			}
			if cred.Noticed == noticed {
				continue
			}
			err := c.append(cred.event(store.CredentialExpiring,
				store.Change{Attribute: "expires", After: timeJSON(cred.Expires)},
				store.Change{Attribute: "daysLeft", After: mustJSON(cred.Noticed)},
			))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// tend notes a use and the notice that is due, and reports whether that changed
// the credential.
func (c *storedCredential) tend(now, used time.Time) bool {
	changed := false
	if used.Sub(c.LastUsed) >= credentialInterval {
		c.LastUsed = used
		changed = true
	}
	if days := c.notice(now); days != 0 && (c.Noticed == 0 || days < c.Noticed) {
		c.Noticed = days
		changed = true
	}
	return changed
}

// notice returns which notice of expiry is the last at a time, as the days
// before, or 0 before the first.
func (c *Credential) notice(now time.Time) int {
	if c.Expires.IsZero() {
		return 0
	}
	for _, days := range []int{1, 7, 30} {
		if c.Expires.Sub(now) <= time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return 0
}

// timeJSON returns a time as an event shows it, with null for never.
func timeJSON(t time.Time) json.RawMessage {
	if t.IsZero() {
		return nil
	}
	return mustJSON(t)
}
