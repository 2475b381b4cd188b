package oauth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/oauth"
	"github.com/scimjit/provision/store/memory"
)

const (
	issuer   = "https://idp.example"
	audience = "https://app.example/scim"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// object is a JSON object.
type object map[string]any

// with returns the object with some members changed, or removed by nil.
func (o object) with(changes object) object {
	out := maps.Clone(o)
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// claims are those of a token that is accepted.
func claims() object {
	return object{
		"iss": issuer, "aud": audience, "sub": "subject", "client_id": "idp-client", "scope": "scim",
		"iat": start.Unix(), "exp": start.Add(5 * time.Minute).Unix(),
	}
}

// keyPair is a key of an authorization server.
type keyPair struct {
	id      string
	alg     jose.SignatureAlgorithm
	private crypto.Signer
}

// Keys are made once: RSA takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newEd() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// newKey returns a key that is cheap to make.
func newKey(id string) keyPair { return keyPair{id, jose.ES256, newEC(elliptic.P256())} }

// public returns the entry of a key set.
func (k keyPair) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Use: "sig"}
}

// keySet returns the JSON Web Key Set of keys.
func keySet(t testing.TB, keys ...keyPair) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public())
	}
	return encode(t, set)
}

func static(t testing.TB, keys ...keyPair) oauth.KeySource {
	t.Helper()
	source, err := oauth.StaticKeys(keySet(t, keys...))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sign makes a token, its signature by the JOSE library and its header by hand:
// the library does not sign what must be refused.
func (k keyPair) sign(t testing.TB, header, claims object) string {
	t.Helper()
	head := object{"alg": string(k.alg), "typ": "JWT"}
	if k.id != "" {
		head["kid"] = k.id
	}
	return k.signBytes(t, encode(t, head.with(header)), encode(t, claims))
}

func (k keyPair) signBytes(t testing.TB, header, payload []byte) string {
	t.Helper()
	input := base64url(header) + "." + base64url(payload)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: headerless{k.private, input}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64url(signed.Signatures[0].Signature)
}

func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// headerless signs an input of its own in place of the one that the library
// makes.
type headerless struct {
	private crypto.Signer
	input   string
}

func (h headerless) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: h.private.Public()}
}

func (h headerless) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

var hashes = map[jose.SignatureAlgorithm]crypto.Hash{
	jose.RS256: crypto.SHA256, jose.RS384: crypto.SHA384, jose.RS512: crypto.SHA512,
	jose.PS256: crypto.SHA256, jose.PS384: crypto.SHA384, jose.PS512: crypto.SHA512,
	jose.ES256: crypto.SHA256, jose.ES384: crypto.SHA384, jose.ES512: crypto.SHA512,
}

func (h headerless) SignPayload(_ []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	hash := hashes[alg]
	digest := []byte(h.input)
	if hash != 0 {
		sum := hash.New()
		sum.Write(digest)
		digest = sum.Sum(nil)
	}
	if key, ok := h.private.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			return nil, err
		}
		size := (key.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	}
	var options crypto.SignerOpts = hash
	if alg[0] == 'P' {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return h.private.Sign(rand.Reader, digest, options)
}

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer is a log that goroutines write to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was logged since the last call.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// service is a SCIM service with the connections "acme", "second" and "other".
type service struct {
	engine *provision.Engine
	auth   *oauth.Authenticator
	scim   *scim.Handler
	clock  *clock
	log    *logBuffer
}

var operator = provision.Actor{Kind: "operator", ID: "test"}

func newService(t testing.TB, verifiers ...oauth.Verifier) *service {
	t.Helper()
	s := &service{clock: &clock{now: start}, log: &logBuffer{}}
	logger := slog.New(slog.NewJSONHandler(s.log, nil))
	s.engine = &provision.Engine{Store: memory.New(), Now: s.clock.Now, Logger: logger}
	for _, id := range []string{"acme", "second", "other"} {
		if _, err := s.engine.Directory(id).As(operator).UpdateConnection(t.Context(), with(provision.Connection{ID: id, SCIM: true})); err != nil {
			t.Fatal(err)
		}
	}
	auth, err := oauth.New(s.engine, verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	auth.Logger = logger
	s.auth = auth
	s.scim = &scim.Handler{Engine: s.engine, Authenticate: auth.Authenticate, Logger: logger}
	return s
}

// request is one with an Authorization header.
func request(authorization string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/Users", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// get sends a request through the handler.
func (s *service) get(authorization string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.scim.ServeHTTP(w, request(authorization))
	return w
}

// with replaces all settings of a connection.
func with(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}
