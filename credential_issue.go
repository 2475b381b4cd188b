package provision

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/store"
)

// DefaultCredentialLifetime is how long a generated credential counts where
// nobody says otherwise.
const DefaultCredentialLifetime = 365 * 24 * time.Hour

// maxCredentials is how many live credentials a connection may have: two, so
// that the old one works until the identity provider has the new one.
const maxCredentials = 2

// IssueToken generates a bearer token for a connection and returns it. This is
// the only time it can be read: the store keeps its hash. A zero expires means
// after [DefaultCredentialLifetime].
//
// A connection has at most two live credentials. A third is refused with a
// [*ConnectionError] rather than put in the place of one that may be in use:
// revoke one of them first. Credentials that have expired, and passwords, since
// a connection has one method at a time, are revoked at once.
//
// The connection must have been saved, or the error is [ErrNotFound].
func (e *Engine) IssueToken(ctx context.Context, connection string, expires time.Time, actor Actor) (token string, _ Credential, err error) {
	if token, err = e.Plumbing().NewToken(); err != nil {
		return "", Credential{}, err
	}
	cred, err := e.issue(ctx, connection, Secret{Token: token}, expires, actor)
	if err != nil {
		return "", Credential{}, err
	}
	return token, cred, nil
}

// IssueBasic is [Engine.IssueToken] for HTTP Basic: it generates a password for
// a user name, and revokes the tokens of the connection.
func (e *Engine) IssueBasic(ctx context.Context, connection, userName string, expires time.Time, actor Actor) (password string, _ Credential, err error) {
	if password, err = e.Plumbing().NewToken(); err != nil {
		return "", Credential{}, err
	}
	cred, err := e.issue(ctx, connection, Secret{UserName: userName, Password: password}, expires, actor)
	if err != nil {
		return "", Credential{}, err
	}
	return password, cred, nil
}

func (e *Engine) issue(ctx context.Context, connection string, secret Secret, expires time.Time, actor Actor) (Credential, error) {
	if err := secret.check(); err != nil {
		return Credential{}, &ConnectionError{Connection: connection, Field: "scim", Reason: err.Error()}
	}
	made, err := e.newCredential(connection, secret, expires)
	if err != nil {
		return Credential{}, err
	}
	if err := e.claimSecret(ctx, made.Hash, connection); err != nil {
		return Credential{}, err
	}
	var cred storedCredential
	var revoked []storedCredential
	err = e.update(ctx, connection, actor, func(c *change) error {
		cred, revoked = made, nil
		if err := c.expire(&cred.Credential, expires); err != nil {
			return err
		}
		all, err := liveCredentials(c.tx)
		if err != nil {
			return err
		}
		for _, old := range all {
			if old.Method != cred.Method || old.expired(c.now) {
				revoked = append(revoked, old)
			}
		}
		if len(all)-len(revoked) >= maxCredentials {
			return &ConnectionError{
				Connection: connection, Field: "scim",
				Reason: fmt.Sprintf("%d credentials are live, revoke one first", maxCredentials),
			}
		}
		if err := c.revoke(revoked); err != nil {
			return err
		}
		cred.Created = c.now
		return c.createCredential(cred)
	})
	if err != nil {
		revoked = []storedCredential{made} // nobody knows this secret
	}
	// A reservation that stays lets nobody in, and is no reason to lose a secret
	// that can be read only now.
	if rerr := e.releaseSecrets(ctx, connection, revoked, ""); rerr != nil && err == nil {
		e.logger().Warn("forgetting revoked secrets", "connection", connection, "error", rerr)
	}
	return cred.Credential, err
}

// expire sets when a credential ends; zero means after the default lifetime.
func (c *change) expire(cred *Credential, at time.Time) error {
	if at.IsZero() {
		at = c.now.Add(DefaultCredentialLifetime)
	}
	cred.Expires = at.UTC().Truncate(time.Millisecond)
	if cred.expired(c.now) {
		return &ConnectionError{Connection: cred.Connection, Field: "expires", Reason: "must be in the future"}
	}
	return nil
}

// Credentials returns the credentials of a connection, expired ones included,
// oldest first, or [ErrNotFound] for an unknown connection.
func (e *Engine) Credentials(ctx context.Context, connection string) ([]Credential, error) {
	if connection == store.Global {
		return nil, ErrNotFound
	}
	var out []Credential
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		if _, err := e.connections.load(connection, r); err != nil {
			return err
		}
		all, err := liveCredentials(r)
		if err != nil {
			return err
		}
		out = make([]Credential, len(all))
		for i, cred := range all {
			out[i] = cred.Credential
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if at := e.credentials.lastUsed(connection, out[i].ID); at.After(out[i].LastUsed) {
			out[i].LastUsed = at
		}
	}
	slices.SortStableFunc(out, func(a, b Credential) int { return a.Created.Compare(b.Created) })
	return out, nil
}

// ExtendCredential changes when a credential expires, and not its secret. A zero
// until means [DefaultCredentialLifetime] from now; an earlier time than before
// ends an overlap by date. A credential that has expired counts again.
//
// An unknown credential is [ErrNotFound], a time that has passed is a
// [*ConnectionError].
func (e *Engine) ExtendCredential(ctx context.Context, connection, id string, until time.Time, actor Actor) (Credential, error) {
	var cred storedCredential
	err := e.update(ctx, connection, actor, func(c *change) error {
		var err error
		if cred, err = credentialByID(c.tx, id); err != nil {
			return err
		}
		before := cred.Expires
		if err := c.expire(&cred.Credential, until); err != nil {
			return err
		}
		if cred.Expires.Equal(before) {
			return nil
		}
		cred.Noticed = cred.notice(c.now)
		if err := c.putCredential(cred); err != nil {
			return err
		}
		return c.append(cred.event(store.ConnectionUpdated, store.Change{
			Attribute: "expires", Before: timeJSON(before), After: timeJSON(cred.Expires),
		}))
	})
	if err != nil {
		return Credential{}, err
	}
	e.credentials.forget(connection)
	return cred.Credential, nil
}

// RevokeCredential revokes one credential at once, on every replica: see
// [Engine.Exclusive]. An unknown one, or one of another connection, is
// [ErrNotFound].
func (e *Engine) RevokeCredential(ctx context.Context, connection, id string, actor Actor) error {
	var revoked []storedCredential
	err := e.update(ctx, connection, actor, func(c *change) error {
		cred, err := credentialByID(c.tx, id)
		if err != nil {
			return err
		}
		revoked = []storedCredential{cred}
		return c.revoke(revoked)
	})
	if err != nil {
		return err
	}
	return e.releaseSecrets(ctx, connection, revoked, "")
}

func credentialByID(r store.RecordReader, id string) (storedCredential, error) {
	all, err := liveCredentials(r)
	if err != nil {
		return storedCredential{}, err
	}
	i := slices.IndexFunc(all, func(c storedCredential) bool { return c.ID == id })
	if i < 0 {
		return storedCredential{}, ErrNotFound
	}
	return all[i], nil
}
