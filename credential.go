package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
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

func (s Secret) check() error {
	switch {
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

// Credential is what is known of a secret without knowing it.
type Credential struct {
	ID         string    `json:"id"`
	Connection string    `json:"connection"`
	Method     string    `json:"method"` // "token" or "basic"
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"` // zero: never
}

type storedCredential struct {
	Credential
	Hash string `json:"hash"`
}

// NewToken makes a random token of 256 bits.
func (e *Engine) NewToken() (string, error) {
	t, err := e.random(32)
	return TokenPrefix + t, err
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
	sum := secret.hash()
	cred := storedCredential{Hash: hex.EncodeToString(sum[:])}
	cred.Connection, cred.Method, cred.Expires = connection, "basic", expires.UTC()
	if secret.Token != "" {
		cred.Method = "token"
	}
	id, err := e.newID()
	if err != nil {
		return Credential{}, err
	}
	if err := e.claimSecret(ctx, cred.Hash, connection); err != nil {
		return Credential{}, err
	}
	var revoked []storedCredential
	err = e.update(ctx, connection, actor, func(c *change) error {
		revoked = nil
		same := false
		live, err := liveCredentials(c.tx)
		if err != nil {
			return err
		}
		cred.ID, cred.Created = id, c.now
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
		return c.putCredential(cred)
	})
	if err != nil {
		return Credential{}, err
	}
	return cred.Credential, e.releaseSecrets(ctx, connection, revoked, cred.Hash)
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
	}
	return out, nil
}

func (c *change) putCredential(cred storedCredential) error {
	value, err := json.Marshal(cred)
	if err != nil {
		return err
	}
	if err := c.tx.PutRecord(&store.Record{Kind: recordCredential, Key: cred.ID, Value: value}); err != nil {
		return err
	}
	return c.append(&store.Event{Type: store.CredentialCreated, Resource: &store.ResourceRef{Type: "Credential", ID: cred.ID}})
}

func (c *change) revoke(creds []storedCredential) error {
	for _, cred := range creds {
		if err := c.tx.DeleteRecord(recordCredential, cred.ID, 0); err != nil {
			return err
		}
		err := c.append(&store.Event{Type: store.CredentialRevoked, Resource: &store.ResourceRef{Type: "Credential", ID: cred.ID}})
		if err != nil {
			return err
		}
	}
	return nil
}

// claimSecret reserves a secret for a connection: no two connections may use the
// same. The reservation alone lets nobody in, since a credential counts only
// when the connection lists it too; a crash in between leaves it unused.
func (e *Engine) claimSecret(ctx context.Context, hash, connection string) error {
	return e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		old, err := tx.Record(recordCredential, hash)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return tx.PutRecord(&store.Record{Kind: recordCredential, Key: hash, Value: []byte(connection)})
		case err != nil:
			return err
		case string(old.Value) != connection:
			return &ConnectionError{Connection: connection, Field: "scim", Reason: "another connection uses the same secret"}
		}
		return nil
	})
}

// releaseSecrets forgets the reservations of revoked credentials, but for one
// hash that is still used.
func (e *Engine) releaseSecrets(ctx context.Context, connection string, revoked []storedCredential, keep string) error {
	e.credentials.forget(connection)
	if len(revoked) == 0 {
		return nil
	}
	return e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		for _, old := range revoked {
			if old.Hash == keep {
				continue
			}
			if err := tx.DeleteRecord(recordCredential, old.Hash, 0); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

// Authenticate finds the connection of a secret. The error is
// [ErrUnauthenticated] for every kind of refusal, and a store error otherwise.
//
// A found credential is remembered for one second, so that a busy identity
// provider costs no store access for it; a change made through this Engine
// counts at once.
func (e *Engine) Authenticate(ctx context.Context, secret Secret) (Credential, Connection, error) {
	sum := secret.hash()
	now := e.now()
	entry, generation := e.credentials.get(sum, now)
	if entry != nil {
		return entry.credential, entry.connection.Connection, entry.check(now)
	}
	entry, err := e.findCredential(ctx, sum)
	if err != nil {
		return Credential{}, Connection{}, err
	}
	if err := entry.check(now); err != nil {
		return Credential{}, Connection{}, err
	}
	e.credentials.put(sum, entry, now, generation)
	return entry.credential, entry.connection.Connection, nil
}

func (e *Engine) findCredential(ctx context.Context, sum [sha256.Size]byte) (*credentialEntry, error) {
	hash := hex.EncodeToString(sum[:])
	var connection string
	err := e.Store.View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		rec, err := r.Record(recordCredential, hash)
		if err != nil {
			return err
		}
		connection = string(rec.Value)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	var entry *credentialEntry
	err = e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		conn, err := e.connections.load(connection, r)
		if err != nil {
			return err
		}
		live, err := liveCredentials(r)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(live, func(c storedCredential) bool { return c.Hash == hash })
		if i < 0 {
			return ErrUnauthenticated
		}
		entry = &credentialEntry{credential: live[i].Credential, connection: conn}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnauthenticated
	}
	return entry, err
}

// credentialCache remembers found credentials for a moment. The generation
// keeps an entry that was read before a revocation from being put after it.
type credentialCache struct {
	mu         sync.RWMutex
	m          map[[sha256.Size]byte]*credentialEntry
	generation int
}

type credentialEntry struct {
	credential Credential
	connection *compiled
	until      time.Time
}

const credentialTTL = time.Second

func (c *credentialEntry) check(now time.Time) error {
	expired := !c.credential.Expires.IsZero() && !now.Before(c.credential.Expires)
	if expired || c.connection.Disabled {
		return ErrUnauthenticated
	}
	return nil
}

// get returns a live entry or nil, and the generation to put one with.
func (cc *credentialCache) get(sum [sha256.Size]byte, now time.Time) (*credentialEntry, int) {
	cc.mu.RLock()
	defer cc.mu.RUnlock()
	if entry := cc.m[sum]; entry != nil && now.Before(entry.until) {
		return entry, cc.generation
	}
	return nil, cc.generation
}

func (cc *credentialCache) put(sum [sha256.Size]byte, entry *credentialEntry, now time.Time, generation int) {
	entry.until = now.Add(credentialTTL)
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.generation != generation {
		return
	}
	if cc.m == nil {
		cc.m = map[[sha256.Size]byte]*credentialEntry{}
	}
	cc.m[sum] = entry
}

// forget drops the entries of a connection.
func (cc *credentialCache) forget(connection string) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.generation++
	for sum, entry := range cc.m {
		if entry.credential.Connection == connection {
			delete(cc.m, sum)
		}
	}
}
