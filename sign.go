package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/scimjit/provision/store"
)

// ErrSignature says that something was not signed by [Engine.Sign] of this
// store.
var ErrSignature = errors.New("provision: the signature is not valid")

const (
	recordKey       = "key"
	signatureLength = 16
	signingKeySize  = 32
)

// signingKey keeps the key of the store in memory.
type signingKey struct {
	mu  sync.Mutex
	key []byte
}

// Sign returns payload with a signature that [Engine.Verify] of every engine on
// the same store accepts for the same purpose. The payload stays readable.
func (e *Engine) Sign(ctx context.Context, purpose string, payload []byte) ([]byte, error) {
	key, err := e.loadSigningKey(ctx)
	if err != nil {
		return nil, err
	}
	return append(signature(key, purpose, payload), payload...), nil
}

// Verify returns the payload that [Engine.Sign] signed for a purpose, or
// [ErrSignature].
func (e *Engine) Verify(ctx context.Context, purpose string, signed []byte) ([]byte, error) {
	key, err := e.loadSigningKey(ctx)
	if err != nil {
		return nil, err
	}
	if len(signed) < signatureLength {
		return nil, ErrSignature
	}
	payload := signed[signatureLength:]
	if !hmac.Equal(signed[:signatureLength], signature(key, purpose, payload)) {
		return nil, ErrSignature
	}
	return payload, nil
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
	err = e.Store.Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		rec, err := tx.Record(recordKey, "signing")
		if errors.Is(err, store.ErrNotFound) {
			rec = &store.Record{Kind: recordKey, Key: "signing", Value: fresh}
			err = tx.PutRecord(rec)
		}
		if err != nil {
			return err
		}
		key = rec.Value
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.signing.key = key
	return key, nil
}
