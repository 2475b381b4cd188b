package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// Plumbing is what a handler of a protocol needs of an Engine beside its
// operations: a replay cache, signatures, a count of refusals. The packages scim,
// jit and jit/saml are built on it, and so is another way in that somebody writes.
// A host that mounts those needs none of it.
//
// Get it from [Engine.Plumbing]. It is safe for concurrent use.
type Plumbing struct{ engine *Engine }

// Plumbing returns what handlers of protocols are built on.
func (e *Engine) Plumbing() Plumbing { return Plumbing{e.present()} }

// NewToken makes a random text of 256 bits that begins with "scimjit_". For a
// credential of a connection see [Directory.IssueToken].
func (p Plumbing) NewToken() (string, error) {
	t, err := p.engine.random(32)
	return tokenPrefix + t, err
}

// CountRefusal counts a request that was refused before it could change
// anything, or of which what would have changed something was ignored: by connection, minute, address and cause. It returns at once;
// [Engine.Run] stores the counts every ten seconds and keeps them for 30 days,
// and [Engine.Refusals] reads them. They are not events: a host hears nothing of
// them.
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
func (p Plumbing) CountRefusal(connection, address, cause string) {
	if !isConnectionID(connection) {
		connection = "" // no connection has the name, which may have any length
	}
	p.engine.requestLog().Count(connection, address, cause)
}

// CountFailure counts a failed authentication of an address, and returns how long the
// address should wait before the next: not at all for the first nine in a minute.
// [scim.Handler] answers with 429 and Retry-After then; a host does the same where it
// takes other credentials, such as those of its operators. Look at the credential
// first and count only what is wrong: who shares an address with a guesser is served.
//
// Address is an IP address, with or without a port; 64 bits of an IPv6 address count
// as one, and other text as it is. 10,000 addresses are told apart; while more fail, the
// others share one count.
//
// Processes on one store count together as far as they run [Engine.Run]: each tells
// what it has counted within a second, of the 256 addresses with the most failures, and
// hears then what the others have. So an address has nine free failures, and those in
// the two seconds until a process knows: never more than nine in each. All bad requests
// together cost a process one write a second. With [Engine.SingleProcess] they cost
// none.
//
// [scim.Handler]: https://pkg.go.dev/github.com/scimjit/provision/scim#Handler
func (p Plumbing) CountFailure(address string) time.Duration {
	e := p.engine.present()
	return e.failures.Add(address, e.reading())
}

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
	e = e.present()
	return &requestlog.Log{Counts: &e.refusals, Store: e.store(), Now: e.now, Connections: e.connectionIDs}
}

const (
	signatureLength = 16
	signingKeySize  = 32
)

// signingKey keeps the key of the store in memory.
type signingKey struct {
	mu  sync.Mutex
	key []byte
}

// Sign returns payload with a signature that [Plumbing.Verify] of every engine on
// the same store accepts for the same purpose. The payload stays readable.
func (p Plumbing) Sign(ctx context.Context, purpose string, payload []byte) ([]byte, error) {
	key, err := p.engine.loadSigningKey(ctx)
	if err != nil {
		return nil, err
	}
	return append(signature(key, purpose, payload), payload...), nil
}

// Verify returns the payload that [Plumbing.Sign] signed for a purpose, and
// whether it did. The error is the store's.
func (p Plumbing) Verify(ctx context.Context, purpose string, signed []byte) (payload []byte, ok bool, err error) {
	key, err := p.engine.loadSigningKey(ctx)
	if err != nil || len(signed) < signatureLength {
		return nil, false, err
	}
	payload = signed[signatureLength:]
	if !hmac.Equal(signed[:signatureLength], signature(key, purpose, payload)) {
		return nil, false, nil
	}
	return payload, true, nil
}

func signature(key []byte, purpose string, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, purpose+"\x00") // a hash does not fail
	_, _ = mac.Write(payload)
	return mac.Sum(nil)[:signatureLength]
}

// loadSigningKey returns the key of the store, which the first engine that
// needs it makes.
func (e *Engine) loadSigningKey(ctx context.Context) ([]byte, error) {
	e.signing.mu.Lock()
	defer e.signing.mu.Unlock()
	if e.signing.key != nil {
		return e.signing.key, nil
	}
	fresh, err := e.randomBytes(signingKeySize)
	if err != nil {
		return nil, err
	}
	var key []byte
	err = e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		stored, err := records.SigningKey.Load(tx, "")
		if err != nil {
			return err
		}
		if !stored.Stored() {
			stored.Value = fresh
			if err := records.SigningKey.Save(tx, &stored); err != nil {
				return err
			}
		}
		key = stored.Value
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.signing.key = key
	return key, nil
}
