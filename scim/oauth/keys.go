package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Key is a public key that an issuer signs with.
type Key struct {
	// ID is what tokens name the key by in their header "kid".
	ID string

	// Algorithm is the only one that the key is for, such as "RS256"; empty means
	// each that fits the key.
	Algorithm string

	// Public is an [*rsa.PublicKey] of 2048 bits or more, an [*ecdsa.PublicKey]
	// on P-256, P-384 or P-521, or an [ed25519.PublicKey].
	Public crypto.PublicKey
}

// KeySource finds the keys of one issuer.
type KeySource interface {
	// Keys returns the keys of the issuer. The argument kid is the id of the one
	// that is looked for, empty where the token does not say: a source that does
	// not have it may look for newer keys, but returns without an error when
	// there is none. An error says that the keys cannot be had now.
	//
	// It is called for each token, concurrently, and before the signature is
	// checked: by anybody, with any kid. The caller does not change the slice.
	Keys(ctx context.Context, kid string) ([]Key, error)
}

// algorithm is a signature algorithm (RFC 7518 section 3.1, RFC 8037) and the
// keys that it may be used with.
type algorithm struct {
	name jose.SignatureAlgorithm
	fits func(crypto.PublicKey) bool
}

// algorithms is closed: there is neither "none" nor one with a shared secret.
var algorithms = []algorithm{
	{jose.RS256, isRSA}, {jose.RS384, isRSA}, {jose.RS512, isRSA},
	{jose.PS256, isRSA}, {jose.PS384, isRSA}, {jose.PS512, isRSA},
	{jose.ES256, isOn(elliptic.P256())}, {jose.ES384, isOn(elliptic.P384())}, {jose.ES512, isOn(elliptic.P521())},
	{jose.EdDSA, isEd25519},
}

func algorithmNames() []jose.SignatureAlgorithm {
	names := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
	}
	return names
}

// isRSA bounds the size from below (RFC 7518 section 3.3), and from above since
// it decides what a check costs.
func isRSA(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N != nil && k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
}

func isOn(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == curve
	}
}

func isEd25519(key crypto.PublicKey) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && len(k) == ed25519.PublicKeySize
}

// fits reports whether a token with this header may be signed with the key. A
// token without kid fits a key of any id.
func (k Key) fits(alg, kid string) bool {
	if kid != "" && k.ID != kid || k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return string(a.name) == alg })
	return i >= 0 && algorithms[i].fits(k.Public)
}

// usable reports whether there is an algorithm for the key.
func (k Key) usable() bool {
	return slices.ContainsFunc(algorithms, func(a algorithm) bool { return k.fits(string(a.name), k.ID) })
}

// StaticKeys returns a source of the keys in a JSON Web Key Set (RFC 7517 section
// 5). Entries that no accepted signature can be checked with are left out, as the
// RFC asks: other types of key, other algorithms, keys for encryption, RSA keys
// under 2048 bits. A set without any other, or with a private key, is an error.
func StaticKeys(jwks []byte) (KeySource, error) {
	keys, err := parseKeys(jwks)
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return staticKeys(keys), nil
}

type staticKeys []Key

func (s staticKeys) Keys(context.Context, string) ([]Key, error) { return s, nil }

// errPrivateKey stops the use of a whole set: whoever published it has lost the
// secret.
var errPrivateKey = errors.New("key set: there is a private key in it")

// parseKeys reads a key set.
func parseKeys(jwks []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var keys []Key
	for _, data := range set.Keys {
		key, ok, err := parseKey(data)
		if err != nil {
			return nil, err
		}
		if ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("key set: none of %d keys is usable", len(set.Keys))
	}
	return keys, nil
}

// parseKey reads one key of a set; ok says whether it is of use.
func parseKey(data []byte) (key Key, ok bool, err error) {
	var operations struct {
		List []string `json:"key_ops"`
	}
	var read jose.JSONWebKey
	if json.Unmarshal(data, &operations) != nil || read.UnmarshalJSON(data) != nil || !read.Valid() {
		return Key{}, false, nil
	}
	switch read.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return Key{}, false, errPrivateKey
	}
	if read.Use != "" && read.Use != "sig" || operations.List != nil && !slices.Contains(operations.List, "verify") {
		return Key{}, false, nil
	}
	key = Key{ID: read.KeyID, Algorithm: read.Algorithm, Public: read.Key}
	return key, key.usable(), nil
}
