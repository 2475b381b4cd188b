package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// TokenPrefix starts every generated token, so that leak scanners recognize it.
const TokenPrefix = "scimjit_"

// MinSecretLength is the least length, in bytes, of a token or password that a
// configuration chooses. Secrets are kept as one SHA-256, so they must not be
// guessable.
const MinSecretLength = 32

// Secret is the secret part of a credential: a bearer token, or a user name
// and password for HTTP Basic.
type Secret struct {
	Token    string
	UserName string
	Password string
}

// hash is the key a credential is found by. It covers the whole secret, so a
// wrong user name, a wrong password and an unknown token are all the same
// lookup that finds nothing.
func (s Secret) hash() [sha256.Size]byte {
	if s.Token != "" {
		return sha256.Sum256([]byte("token\x00" + s.Token))
	}
	return sha256.Sum256([]byte("basic\x00" + s.UserName + "\x00" + s.Password))
}

// Validate checks what a configuration chose. The error never quotes a secret.
func (s Secret) Validate() error { return s.check() }

func (s Secret) check() error {
	switch {
	case strings.TrimSpace(s.Token) != s.Token:
		return errors.New("the token begins or ends with white space, which no client can send")
	case strings.Contains(s.UserName, ":"):
		return errors.New("the user name has a colon, which HTTP Basic cannot carry")
	case s.Token != "" && (s.UserName != "" || s.Password != ""):
		return errors.New("a token or a user name and password, not both")
	case s.Token != "" && len(s.Token) < MinSecretLength:
		return fmt.Errorf("the token must have at least %d characters", MinSecretLength)
	case s.Token == "" && s.UserName == "":
		return errors.New("the user name is missing")
	case s.Token == "" && len(s.Password) < MinSecretLength:
		return fmt.Errorf("the password must have at least %d characters", MinSecretLength)
	}
	return nil
}

// The methods of a credential.
const (
	methodToken = "token"
	methodBasic = "basic"
)

// Credential is what is known of a secret without knowing it.
type Credential struct {
	ID         string    `json:"id"`
	Connection string    `json:"connection"`
	Method     string    `json:"method"` // "token" or "basic"
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"` // zero: never

	// LastUsed is accurate to about a minute, and zero for a credential that was
	// never used. [Engine.Run] writes it.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

func (c *Credential) expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

type storedCredential struct {
	Credential
	Hash    string `json:"hash"`
	Noticed int    `json:"noticed,omitempty"` // the last notice of expiry, in days before

	version int64 // of the record
}

// SetCredential makes a secret the only credential of a connection: others are
// revoked at once. Setting the same secret with the same expiry again changes
// nothing. A zero expires never expires.
//
// The connection must exist. A weak secret is a [*ConnectionError].
func (e *Engine) SetCredential(ctx context.Context, connection string, secret Secret, expires time.Time, actor Actor) (Credential, error) {
	if err := secret.check(); err != nil {
		return Credential{}, &ConnectionError{Connection: connection, Field: "scim", Reason: err.Error()}
	}
	made, err := e.newCredential(connection, secret, expires)
	if err != nil {
		return Credential{}, err
	}
	cred := made
	if err := e.claimSecret(ctx, cred.Hash, connection); err != nil {
		return Credential{}, err
	}
	var revoked []storedCredential
	same := false
	err = e.update(ctx, connection, actor, func(c *change) error {
		cred, revoked, same = made, nil, false
		live, err := liveCredentials(c.tx)
		if err != nil {
			return err
		}
		for _, old := range live {
			if old.Hash == cred.Hash && old.Expires.Equal(cred.Expires) {
				cred, same = old, true
				continue
			}
			revoked = append(revoked, old)
		}
		if err := c.revoke(revoked); err != nil || same {
			return err
		}
		cred.Created = c.now
		return c.createCredential(cred)
	})
	if err != nil {
		return Credential{}, err
	}
	if !same {
		// Another process may have released the reservation before the
		// credential was listed; from now on it sees the new version and leaves
		// it alone.
		if err := e.claimSecret(ctx, cred.Hash, connection); err != nil {
			return Credential{}, err
		}
	}
	return cred.Credential, e.releaseSecrets(ctx, connection, revoked, cred.Hash)
}

// newCredential returns what is known of a secret, under a new id.
func (e *Engine) newCredential(connection string, secret Secret, expires time.Time) (storedCredential, error) {
	id, err := e.newID()
	if err != nil {
		return storedCredential{}, err
	}
	sum := secret.hash()
	cred := storedCredential{Hash: hex.EncodeToString(sum[:])}
	cred.ID, cred.Connection, cred.Method = id, connection, methodBasic
	if secret.Token != "" {
		cred.Method = methodToken
	}
	if !expires.IsZero() {
		cred.Expires = expires.UTC()
	}
	return cred, nil
}

// RevokeCredentials revokes all credentials of a connection at once.
func (e *Engine) RevokeCredentials(ctx context.Context, connection string, actor Actor) error {
	var revoked []storedCredential
	err := e.update(ctx, connection, actor, func(c *change) error {
		var err error
		if revoked, err = liveCredentials(c.tx); err != nil {
			return err
		}
		return c.revoke(revoked)
	})
	if err != nil {
		return err
	}
	return e.releaseSecrets(ctx, connection, revoked, "")
}

func liveCredentials(r store.RecordReader) ([]storedCredential, error) {
	recs, err := r.Records(recordCredential, "", 0)
	if err != nil {
		return nil, err
	}
	out := make([]storedCredential, len(recs))
	for i, rec := range recs {
		if err := json.Unmarshal(rec.Value, &out[i]); err != nil {
			return nil, fmt.Errorf("provision: stored credential: %w", err)
		}
		out[i].version = rec.Version
	}
	return out, nil
}

// createCredential stores a new credential, with its event.
func (c *change) createCredential(cred storedCredential) error {
	cred.Noticed = cred.notice(c.now)
	if err := c.putCredential(cred); err != nil {
		return err
	}
	return c.append(cred.event(store.CredentialCreated))
}

// putCredential stores a credential, new or changed.
func (c *change) putCredential(cred storedCredential) error {
	value, err := json.Marshal(cred)
	if err != nil {
		return err
	}
	return c.tx.PutRecord(&store.Record{Kind: recordCredential, Key: cred.ID, Value: value, Version: cred.version})
}

// event returns an event about the credential.
func (c *Credential) event(typ store.EventType, changes ...store.Change) *store.Event {
	return &store.Event{Type: typ, Resource: &store.ResourceRef{Type: "Credential", ID: c.ID}, Changes: changes}
}

func (c *change) revoke(creds []storedCredential) error {
	for _, cred := range creds {
		if err := c.tx.DeleteRecord(recordCredential, cred.ID, 0); err != nil {
			return err
		}
		if err := c.append(cred.event(store.CredentialRevoked)); err != nil {
			return err
		}
	}
	return nil
}

// claimSecret reserves a secret for a connection that exists: no two connections
// may use the same. The reservation alone lets nobody in, since a credential
// counts only when the connection lists it too. So one whose connection does not
// list the secret, because it failed or ended in between, is free to take.
func (e *Engine) claimSecret(ctx context.Context, hash, connection string) error {
	if _, err := e.connection(ctx, connection); err != nil {
		return err
	}
	holder, _, err := e.secretHolder(ctx, hash)
	if err != nil {
		return err
	}
	if holder != "" && holder != connection {
		used, err := e.lists(ctx, holder, hash)
		if err != nil {
			return err
		}
		if used {
			return &ConnectionError{Connection: connection, Field: "scim", Reason: "another connection uses the same secret"}
		}
	}
	return e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		rec, err := tx.Record(recordCredential, hash)
		switch {
		case errors.Is(err, store.ErrNotFound):
			rec = &store.Record{Kind: recordCredential, Key: hash}
		case err != nil:
			return err
		case string(rec.Value) != holder && string(rec.Value) != connection:
			return store.ErrVersion // somebody else took it meanwhile
		}
		return tx.PutRecord(&store.Record{Kind: recordCredential, Key: hash, Value: []byte(connection), Version: rec.Version})
	})
}

// secretHolder returns the connection that reserved a secret, or "", and the
// version of the reservation.
func (e *Engine) secretHolder(ctx context.Context, hash string) (holder string, version int64, err error) {
	err = e.Store.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		rec, err := r.Record(recordCredential, hash)
		if err != nil {
			return err
		}
		holder, version = string(rec.Value), rec.Version
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, nil
	}
	return holder, version, err
}

// lists reports whether a connection has a credential with a secret.
func (e *Engine) lists(ctx context.Context, connection, hash string) (bool, error) {
	found := false
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		live, err := liveCredentials(r)
		found = slices.ContainsFunc(live, func(c storedCredential) bool { return c.Hash == hash })
		return err
	})
	return found, err
}

// releaseSecrets forgets the reservations of revoked credentials, but for those
// that the connection uses again and those that are another one's by now.
func (e *Engine) releaseSecrets(ctx context.Context, connection string, revoked []storedCredential, keep string) error {
	e.credentials.forget(connection)
	for _, old := range revoked {
		if old.Hash == keep {
			continue
		}
		if err := e.releaseSecret(ctx, connection, old.Hash); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) releaseSecret(ctx context.Context, connection, hash string) error {
	holder, version, err := e.secretHolder(ctx, hash)
	if err != nil || holder != connection {
		return err
	}
	// The version is older than this look, so a claim after it keeps the record.
	if used, err := e.lists(ctx, connection, hash); used || err != nil {
		return err
	}
	err = e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return tx.DeleteRecord(recordCredential, hash, version)
	})
	if errors.Is(err, store.ErrVersion) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
