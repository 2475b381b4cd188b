package provision

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Secrets seals what [SecretText] keeps, by keys that are not in the store. Both
// methods are called inside transactions: they must not wait for a network. A host
// whose keys are in a key service has them unwrapped when it starts.
//
// A sealed text belongs to a connection and a name, such as "ldap.bindPassword": Open
// must fail for any other, so that whoever can write the store cannot have a text
// opened in another place. Implementations are safe for concurrent use.
type Secrets interface {
	// Seal returns the text so that nobody without the keys can read or change it.
	Seal(connection, name string, text []byte) (sealed []byte, err error)

	// Open returns the text. The error wraps [ErrSealed] where the sealed text is of a
	// key that is not there, of another place, or was changed; it quotes neither.
	Open(connection, name string, sealed []byte) (text []byte, err error)
}

// ErrSealed says that a secret cannot be opened.
var ErrSealed = errors.New("provision: the secret was sealed under a key that is not there, or for another place")

// SecretKeys is the [Secrets] of keys that a host keeps: AES-256-GCM. Make one with
// [NewSecretKeys].
type SecretKeys struct{ keys []secretKey }

var _ Secrets = (*SecretKeys)(nil)

type secretKey struct {
	id   [secretKeyIDSize]byte // tells it from other keys, and tells nobody the key
	aead cipher.AEAD
}

const (
	secretKeySize   = 32
	secretKeyIDSize = 4
	sealedFormat    = 1 // the first byte; the id of the key follows, then nonce and text
)

// NewSecretKeys returns the Secrets of some keys, each of 32 random bytes. The first
// one seals, and all of them open. To replace a key, give the new one first and the old
// one after it, call [Engine.ResealSecrets] once all processes have both, and leave out
// the old one.
func NewSecretKeys(keys ...[]byte) (*SecretKeys, error) {
	if len(keys) == 0 {
		return nil, errors.New("provision: there is no key to seal secrets with")
	}
	s := &SecretKeys{}
	for i, key := range keys {
		if len(key) != secretKeySize {
			return nil, fmt.Errorf("provision: key %d for secrets has %d bytes, not %d", i+1, len(key), secretKeySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("provision: key %d for secrets: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("provision: key %d for secrets: %w", i+1, err)
		}
		sum := sha256.Sum256(append([]byte("provision: id of a key for secrets\x00"), key...))
		k := secretKey{aead: aead}
		copy(k.id[:], sum[:])
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// Seal implements [Secrets].
func (s *SecretKeys) Seal(connection, name string, text []byte) ([]byte, error) {
	k := &s.keys[0]
	sealed := append([]byte{sealedFormat}, k.id[:]...)
	return k.aead.Seal(sealed, nil, text, secretPlace(connection, name)), nil
}

// Open implements [Secrets].
func (s *SecretKeys) Open(connection, name string, sealed []byte) ([]byte, error) {
	const head = 1 + secretKeyIDSize
	if len(sealed) < head || sealed[0] != sealedFormat {
		return nil, ErrSealed
	}
	for i := range s.keys {
		k := &s.keys[i]
		if !bytes.Equal(sealed[1:head], k.id[:]) {
			continue
		}
		if text, err := k.aead.Open(nil, nil, sealed[head:], secretPlace(connection, name)); err == nil {
			return text, nil
		}
	}
	return nil, ErrSealed
}

// secretPlace is what a sealed text is bound to. No two places have the same.
func secretPlace(connection, name string) []byte {
	place := binary.BigEndian.AppendUint32([]byte("provision: a secret\x00"), uint32(len(connection)))
	return append(append(place, connection...), name...)
}
