package oauth_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/oauth"
)

// with adds members to the entry of a key in a set.
func (k keyPair) with(t *testing.T, members string) string {
	return strings.TrimSuffix(string(encode(t, k.public())), "}") + members + "}"
}

func TestStaticKeys(t *testing.T) {
	key := newKey("1")
	plain := key.with(t, "")
	short, err := rsa.GenerateKey(rand.Reader, 1024) // it must be refused
	if err != nil {
		t.Fatal(err)
	}
	private := string(encode(t, jose.JSONWebKey{Key: newEC(elliptic.P256()), KeyID: "2"}))
	for _, test := range []struct {
		name, keys string
		want       []string // ids
		err        string
	}{
		{"one", plain, []string{"1"}, ""},
		{"without use", strings.Replace(plain, `"use":"sig",`, "", 1), []string{"1"}, ""},
		{"for encryption", strings.Replace(plain, `"sig"`, `"enc"`, 1), nil, "none of 1 keys"},
		{"to verify", key.with(t, `,"key_ops":["verify"]`), []string{"1"}, ""},
		{"to encrypt", key.with(t, `,"key_ops":["encrypt"]`), nil, "none of 1 keys"},
		{"algorithm that does not fit", key.with(t, `,"alg":"RS256"`), nil, "none of 1 keys"},
		{"algorithm with a secret", key.with(t, `,"alg":"HS256"`), nil, "none of 1 keys"},
		{"short RSA", string(encode(t, jose.JSONWebKey{Key: short.Public(), KeyID: "2"})), nil, "none of 1 keys"},
		{"secret", `{"kty":"oct","kid":"2","k":"c2VjcmV0LW9mLWF0LWxlYXN0LTMyLWNoYXJhY3RlcnM"}`, nil, "none of 1 keys"},
		{"unknown type beside", `{"kty":"new"},{"kty":"OKP","crv":"X25519","x":"AA"},7,` + plain, []string{"1"}, ""},
		{"unknown curve beside", `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},` + plain, []string{"1"}, ""},
		{"private", plain + "," + private, nil, "private key"},
		{"empty", "", nil, "none of 0 keys"},
	} {
		source, err := oauth.StaticKeys([]byte(`{"keys":[` + test.keys + `]}`))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, ids(t, source, "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for _, bad := range []string{"", "[]", "{", "null", `{"keys":{}}`} {
		if _, err := oauth.StaticKeys([]byte(bad)); err == nil {
			t.Errorf("%q is a key set", bad)
		}
	}
}

// ids returns the ids of the keys of a source.
func ids(t *testing.T, source oauth.KeySource, kid string) []string {
	t.Helper()
	keys, err := source.Keys(t.Context(), kid)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

// ownKeys is a source that a host has written.
type ownKeys []oauth.Key

func (o ownKeys) Keys(context.Context, string) ([]oauth.Key, error) { return o, nil }

// Keys that a host's source returns are checked too.
func TestOwnSource(t *testing.T) {
	key := newKey("1")
	short, err := rsa.GenerateKey(rand.Reader, 1024) // it must be refused
	if err != nil {
		t.Fatal(err)
	}
	weak := keyPair{"1", jose.RS256, short}
	for _, test := range []struct {
		name   string
		key    keyPair
		public crypto.PublicKey
		cause  string
	}{
		{"good", key, key.private.Public(), ""},
		{"private", key, key.private, "no key fits"},
		{"short", weak, short.Public(), "no key fits"},
		{"secret", key, []byte("a secret of at least 32 characters"), "no key fits"},
		{"nothing", key, nil, "no key fits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := ownKeys{{ID: "1", Public: test.public}}
			s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: source})
			s.expect(t, test.key.sign(t, nil, claims()), acme, test.cause)
		})
	}
}
