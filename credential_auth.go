package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scimjit/provision/store"
)

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
	e.credentials.use(entry.credential.Connection, entry.credential.ID, now)
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

	// used is when credentials were used, by connection and id, where that is
	// not written yet.
	used map[string]map[string]time.Time
}

type credentialEntry struct {
	credential Credential
	connection *compiled
	until      time.Time
}

const credentialTTL = time.Second

func (c *credentialEntry) check(now time.Time) error {
	if c.credential.expired(now) || c.connection.Disabled {
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

// use notes that a credential was used. It is called when an entry is put, so
// at most once a second and credential.
func (cc *credentialCache) use(connection, id string, at time.Time) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.used == nil {
		cc.used = map[string]map[string]time.Time{}
	}
	if cc.used[connection] == nil {
		cc.used[connection] = map[string]time.Time{}
	}
	if at.After(cc.used[connection][id]) {
		cc.used[connection][id] = at
	}
}

// takeUsed returns the uses of a connection that are to be written.
func (cc *credentialCache) takeUsed(connection string) map[string]time.Time {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	used := cc.used[connection]
	delete(cc.used, connection)
	return used
}

// lastUsed returns a use that has not been written, or the zero time.
func (cc *credentialCache) lastUsed(connection, id string) time.Time {
	cc.mu.RLock()
	defer cc.mu.RUnlock()
	return cc.used[connection][id]
}
