package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Authenticate finds the connection of a secret. The error is
// [ErrUnauthenticated] for every kind of refusal, as an [*UnauthenticatedError] where
// the credential is known, and a store error otherwise.
//
// A found credential is remembered for one second, so that a busy identity
// provider is not looked up each time. That the credential and its connection are
// unchanged is looked at each time nevertheless, so that a revocation counts at
// once, whichever process made it; [Engine.SingleProcess] spares even that.
func (e *Engine) Authenticate(ctx context.Context, secret Secret) (Credential, Connection, error) {
	for {
		r, err := e.Plumbing().Recognize(ctx, secret)
		if err == nil {
			err = r.Confirm(ctx)
		}
		if errors.Is(err, errRecognizedBefore) {
			continue // it is not remembered any more
		}
		if err != nil {
			return Credential{}, Connection{}, err
		}
		return r.Credential, r.Connection, nil
	}
}

// Recognized is a credential that was found, perhaps a moment ago. Nothing may be
// answered to who has sent it before it is confirmed: by [Recognized.Confirm], or by
// any operation of [Recognized.Directory] that has read or written something. It is
// safe for concurrent use.
type Recognized struct {
	Credential Credential
	Connection Connection

	engine    *Engine
	sum       [sha256.Size]byte
	entry     *credentialEntry
	confirmed atomic.Bool
}

// errRecognizedBefore says that a credential or its connection has changed since it
// was remembered.
var errRecognizedBefore = fmt.Errorf("%w: it was changed a moment ago", ErrUnauthenticated)

// Recognize is [Engine.Authenticate] for a handler that begins to work with the
// directory at once: that a remembered credential is unchanged is looked at in the
// first transaction of [Recognized.Directory], which costs no trip to the store.
//
// Where it has changed the operation does nothing and its error is
// [ErrUnauthenticated]; so is that of Confirm. The handler then begins anew, with
// Authenticate: perhaps only the settings of the connection were edited.
func (p Plumbing) Recognize(ctx context.Context, secret Secret) (*Recognized, error) {
	e := p.engine
	sum := secret.hash()
	read := e.reading()
	now := read.UTC().Truncate(time.Millisecond)
	entry, generation := e.credentials.get(sum, read)
	if entry == nil {
		found, err := e.findCredential(ctx, sum)
		if err != nil {
			return nil, err
		}
		found.read = read
		if err := found.check(now); err != nil {
			return nil, err
		}
		e.credentials.put(sum, found, generation)
		e.credentials.use(found.credential.Connection, found.credential.ID, now)
		r := e.recognized(sum, found)
		r.confirmed.Store(true)
		return r, nil
	}
	r := e.recognized(sum, entry)
	r.confirmed.Store(e.SingleProcess) // a change through this Engine drops the entry
	if err := entry.check(now); err != nil {
		if confirmErr := r.Confirm(ctx); confirmErr != nil {
			err = confirmErr
		}
		if errors.Is(err, errRecognizedBefore) {
			return p.Recognize(ctx, secret)
		}
		return nil, err
	}
	return r, nil
}

func (e *Engine) recognized(sum [sha256.Size]byte, entry *credentialEntry) *Recognized {
	return &Recognized{Credential: entry.credential, Connection: entry.connection.Connection, engine: e, sum: sum, entry: entry}
}

// Directory returns the directory of the connection. Its first operation confirms the
// credential.
func (r *Recognized) Directory() *Directory {
	d := r.engine.Directory(r.Connection.ID)
	d.recognized = r
	return d
}

// Confirm looks whether the credential and the connection are unchanged, if that is not
// known yet.
func (r *Recognized) Confirm(ctx context.Context) error {
	if r.confirmed.Load() {
		return nil
	}
	return r.Directory().view(ctx, func(store.Reader) error { return nil })
}

// expect announces what confirm reads.
func (r *Recognized) expect(rd store.Reader) {
	if r != nil && !r.confirmed.Load() {
		rd.Expect(func(rd store.Reader) { _, _ = r.unchanged(rd) })
	}
}

// confirm is Confirm inside a transaction. A nil r is nobody's.
func (r *Recognized) confirm(rd store.Reader) error {
	if r == nil || r.confirmed.Load() {
		return nil
	}
	same, err := r.unchanged(rd)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !same:
		r.engine.credentials.drop(r.sum, r.entry)
		return errRecognizedBefore
	case err != nil:
		return err
	}
	r.confirmed.Store(true)
	return nil
}

// unchanged reports whether the credential and the connection are those that are
// stored: two reads by key.
func (r *Recognized) unchanged(rd store.Reader) (bool, error) {
	cred, credErr := records.Credential.Raw(rd, r.entry.credential.ID)
	conn, err := records.LiveConnection(rd)
	if err = cmp.Or(credErr, err); err != nil {
		return false, err
	}
	return cred.Version == r.entry.version && conn.Version == r.entry.connection.Version, nil
}

func (e *Engine) findCredential(ctx context.Context, sum [sha256.Size]byte) (*credentialEntry, error) {
	hash := hex.EncodeToString(sum[:])
	var connection string
	err := e.store().View(ctx, store.Global, func(_ context.Context, r store.Reader) error {
		claim, err := records.Secret.Find(r, hash)
		connection = claim.Value
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	var entry *credentialEntry
	err = e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		r.Expect(func(r store.Reader) { _, _ = records.Credential.List(r, "", 0) })
		conn, err := e.connections.load(connection, r)
		if err != nil {
			return err
		}
		all, err := records.Credential.List(r, "", 0)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(c storedCredential) bool { return c.Value.Hash == hash })
		if i < 0 {
			return ErrUnauthenticated
		}
		entry = &credentialEntry{credential: credentialOf(all[i].Value), version: all[i].Version, connection: conn}
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
	version    int64 // of the record of the credential
	connection *compiled
	read       time.Time // as the clock gave it
}

const credentialTTL = time.Second

func (c *credentialEntry) check(now time.Time) error {
	switch {
	case c.connection.Disabled:
		return &UnauthenticatedError{c.connection.ID, "disabledConnection", c.credential.ID}
	case !c.credential.PendingUntil.IsZero():
		return &UnauthenticatedError{c.connection.ID, "pendingCredential", c.credential.ID}
	case hasExpired(c.credential.Expires, now):
		return &UnauthenticatedError{c.connection.ID, "expiredCredential", c.credential.ID}
	}
	return nil
}

// get returns a live entry or nil, and the generation to put one with. An entry
// that was read in the future, by a clock that has been set back since, is none.
func (cc *credentialCache) get(sum [sha256.Size]byte, now time.Time) (*credentialEntry, int) {
	cc.mu.RLock()
	defer cc.mu.RUnlock()
	if entry := cc.m[sum]; entry != nil && records.Within(entry.read, now, credentialTTL) {
		return entry, cc.generation
	}
	return nil, cc.generation
}

func (cc *credentialCache) put(sum [sha256.Size]byte, entry *credentialEntry, generation int) {
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

// drop removes an entry unless another one is in its place.
func (cc *credentialCache) drop(sum [sha256.Size]byte, entry *credentialEntry) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.m[sum] == entry {
		delete(cc.m, sum)
	}
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
// at most once a second and credential. The last call counts, whatever the clock
// says: it may have been set back.
func (cc *credentialCache) use(connection, id string, at time.Time) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.used == nil {
		cc.used = map[string]map[string]time.Time{}
	}
	if cc.used[connection] == nil {
		cc.used[connection] = map[string]time.Time{}
	}
	cc.used[connection][id] = at
}

// useAgain notes uses that could not be written, unless there are newer ones.
func (cc *credentialCache) useAgain(connection string, used map[string]time.Time) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.used == nil {
		cc.used = map[string]map[string]time.Time{}
	}
	maps.Copy(used, cc.used[connection])
	cc.used[connection] = used
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

// credentialInterval is how often the credentials of a connection are looked
// after, and how much later a use must be to be written.
const credentialInterval = time.Minute

// tendCredentials appends an event 30, 7 and 1 days before a credential of a
// connection expires, each once, and writes when credentials were last used. Of
// several notices that are late only the last is sent; a credential that was set
// to expire sooner than a notice never has that notice. What a clock told that was
// ahead is told again in its time. Credentials that have waited too long to be activated
// are revoked.
//
// Replicas may do it at the same time. Without anything to do it only reads.
func (e *Engine) tendCredentials(ctx context.Context, connection string) error {
	used := e.credentials.takeUsed(connection)
	due := false
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		conn, err := e.connections.load(connection, r)
		if err != nil || conn.Disabled {
			return err
		}
		all, err := records.Credential.List(r, "", 0)
		for i := range all {
			due = due || pendingOver(&all[i].Value, e.now()) || tendCredential(&all[i].Value, e.now(), used[all[i].Key])
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && due {
		var revoked []string
		err = e.Directory(connection).updateCredentials(ctx, func(b *credentialBook) (err error) {
			revoked, err = b.tend(used)
			return err
		})
		e.releaseSecrets(ctx, connection, revoked...)
	}
	if err != nil && used != nil {
		e.credentials.useAgain(connection, used)
	}
	return err
}
