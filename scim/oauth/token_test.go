package oauth_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/oauth"
)

// verifiers are those of three connections; two share an issuer.
func verifiers(t testing.TB, ours, others keyPair) []oauth.Verifier {
	t.Helper()
	keys := static(t, ours)
	return []oauth.Verifier{
		{Connection: "acme", Issuer: issuer, Audience: audience, Keys: keys},
		{Connection: "second", Issuer: issuer, Audience: "https://app.example/second", Keys: keys},
		{Connection: "other", Issuer: "https://other.example", Audience: "https://app.example/other", Keys: static(t, others)},
	}
}

// expect authenticates a token. Where a cause is given, the token must be
// refused for it.
func (s *service) expect(t *testing.T, token string, want scim.Principal, cause string) {
	t.Helper()
	s.log.take()
	got, err := s.auth.Authenticate(request("Bearer " + token))
	if cause == "" {
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("error %v, principal (-want +got):\n%s", err, diff)
		}
		return
	}
	if !errors.Is(err, provision.ErrUnauthenticated) {
		t.Fatalf("%+v, error %v, want a refusal", got, err)
	}
	if got != (scim.Principal{}) {
		t.Errorf("a refusal with principal %+v", got)
	}
	var line struct{ Msg, Cause string }
	if err := json.Unmarshal([]byte(s.log.take()), &line); err != nil || line.Msg != "access token refused" {
		t.Fatalf("log line %+v, error %v", line, err)
	}
	if !strings.Contains(line.Cause, cause) {
		t.Errorf("cause %q, want %q", line.Cause, cause)
	}
}

// acme is the principal of a good token.
var acme = scim.Principal{Connection: "acme", Credential: "oauth:idp-client", Subject: "subject"}

// Each row changes one thing of a good token.
func TestClaimsAndHeader(t *testing.T) {
	var rows []struct {
		Name           string
		Header, Claims object
		Client, Cause  string
	}
	data, err := os.ReadFile("testdata/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	key := newKey("1")
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			if (row.Client == "") == (row.Cause == "") {
				t.Fatal("a row has either a client or a cause")
			}
			s := newService(t, verifiers(t, key, newKey("2"))...)
			want := scim.Principal{Connection: "acme", Credential: row.Client, Subject: "subject"}
			s.expect(t, key.sign(t, row.Header, claims().with(row.Claims)), want, row.Cause)
		})
	}
}

func TestAlgorithms(t *testing.T) {
	p256, p384, p521, ed := newEC(elliptic.P256()), newEC(elliptic.P384()), newEC(elliptic.P521()), newEd()
	keys := []keyPair{
		{"rs256", jose.RS256, rsaKey()}, {"rs384", jose.RS384, rsaKey()}, {"rs512", jose.RS512, rsaKey()},
		{"ps256", jose.PS256, rsaKey()}, {"ps384", jose.PS384, rsaKey()}, {"ps512", jose.PS512, rsaKey()},
		{"es256", jose.ES256, p256}, {"es384", jose.ES384, p384}, {"es512", jose.ES512, p521}, {"eddsa", jose.EdDSA, ed},
	}
	for _, key := range keys {
		t.Run(string(key.alg), func(t *testing.T) {
			s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(t, key)})
			token := key.sign(t, nil, claims())
			s.expect(t, token, acme, "")
			s.expect(t, token[:len(token)-8]+"AAAAAAAA", acme, "signature")
			head, rest, _ := strings.Cut(token, ".")
			_, signature, _ := strings.Cut(rest, ".")
			s.expect(t, head+"."+base64url(encode(t, claims().with(object{"sub": "root"})))+"."+signature, acme, "signature")
		})
	}
}

// A key serves only its own curve and, where the set says so, its own algorithm.
func TestAlgorithmOfKey(t *testing.T) {
	entry := jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "1", Algorithm: "PS256"}
	source, err := oauth.StaticKeys(encode(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{entry}}))
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: source})
	s.expect(t, keyPair{"1", jose.PS256, rsaKey()}.sign(t, nil, claims()), acme, "")
	s.expect(t, keyPair{"1", jose.RS256, rsaKey()}.sign(t, nil, claims()), acme, "no key fits")

	p384 := keyPair{"1", jose.ES384, newEC(elliptic.P384())}
	s = newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(t, p384)})
	p384.alg = jose.ES256
	s.expect(t, p384.sign(t, nil, claims()), acme, "no key fits")
}

// Nobody without the issuer's key makes a token.
func TestForgeries(t *testing.T) {
	rsaPair := keyPair{"1", jose.RS256, rsaKey()}
	evil, other := newKey("1"), newKey("2")
	s := newService(t, verifiers(t, rsaPair, other)...)
	good := rsaPair.sign(t, nil, claims())
	s.expect(t, good, acme, "")

	public, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	unsigned := func(header object) string {
		return base64url(encode(t, header)) + "." + base64url(encode(t, claims())) + "."
	}
	hs256 := func(secret []byte) string {
		input := strings.TrimSuffix(unsigned(object{"alg": "HS256", "kid": "1"}), ".")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + base64url(mac.Sum(nil))
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	const repeated = `,"aud":"https://app.example/scim","exp":1893553500,"client_id":"x","scope":"scim"}`
	for _, test := range []struct{ name, token, cause string }{
		{"other RSA key of the same id", keyPair{"1", jose.RS256, weak}.sign(t, nil, claims()), "signature"},
		{"other kind of key of the same id", evil.sign(t, nil, claims()), "no key fits"},
		{"its own key in the header", keyPair{"1", jose.RS256, weak}.sign(t, object{"jwk": jose.JSONWebKey{Key: weak.Public()}}, claims()), "signature"},
		{"key of another issuer", other.sign(t, nil, claims()), "no key fits"},
		{"key of another issuer under this one's id", other.sign(t, object{"kid": "1"}, claims()), "no key fits"},
		{"none", unsigned(object{"alg": "none", "kid": "1"}), `algorithm "none"`},
		{"None", unsigned(object{"alg": "None", "kid": "1"}), `algorithm "None"`},
		{"empty algorithm", unsigned(object{"alg": "", "kid": "1"}), `algorithm ""`},
		{"algorithm that is no text", unsigned(object{"alg": []string{"RS256"}}), "algorithm"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"HS256 with the public key as PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), `algorithm "HS256"`},
		{"HS256 with the public key as DER", hs256(public), `algorithm "HS256"`},
		{"HS256 with the key set", hs256(keySet(t, rsaPair)), `algorithm "HS256"`},
		{"payload that is not base64", parts[0] + ".!." + parts[2], "base64"},
		{"payload that is no object", rsaPair.signBytes(t, []byte(`{"alg":"RS256","kid":"1"}`), []byte(`[]`)), "claims"},
		{"claim twice", rsaPair.signBytes(t, []byte(`{"alg":"RS256","kid":"1"}`),
			[]byte(`{"iss":"https://evil.example","iss":"https://idp.example"`+repeated)), "duplicate"},
		{"header twice", rsaPair.signBytes(t, []byte(`{"alg":"none","kid":"1","alg":"RS256"}`), encode(t, claims())), "invalid protected header"},
		{"unknown kid", rsaPair.sign(t, object{"kid": "9"}, claims()), "no key fits"},
		{"encrypted", encrypted(t, good), "three parts"},
		{"too large", rsaPair.sign(t, nil, claims().with(object{"x": strings.Repeat("x", oauth.MaxToken)})), "more than 8192"},
		{"too large a header", rsaPair.sign(t, object{"x": strings.Repeat("x", 2*oauth.MaxToken)}, claims()), "more than 8192"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.clock.add(time.Second) // for the log, which takes one line a second
			s.expect(t, test.token, scim.Principal{}, test.cause)
		})
	}
}

// encrypted returns a JWE with a good token in it (RFC 7519 section 5.2).
func encrypted(t *testing.T, token string) string {
	t.Helper()
	options := (&jose.EncrypterOptions{}).WithContentType("JWT").WithHeader("kid", "1")
	e, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: rsaKey().Public()}, options)
	if err != nil {
		t.Fatal(err)
	}
	object, err := e.Encrypt([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A token without a key id counts where only one key fits it.
func TestNoKeyID(t *testing.T) {
	one, two := newKey("1"), newKey("2")
	eddsa := keyPair{"3", jose.EdDSA, newEd()}
	for _, test := range []struct {
		name  string
		keys  []keyPair
		cause string
	}{
		{"one key", []keyPair{one}, ""},
		{"one of its kind", []keyPair{one, eddsa}, ""},
		{"two of its kind", []keyPair{one, two}, "more than one key fits"},
		{"none of its kind", []keyPair{eddsa}, "no key fits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(t, test.keys...)})
			s.expect(t, one.sign(t, object{"kid": nil}, claims()), acme, test.cause)
		})
	}
}

func TestScopeAndLeeway(t *testing.T) {
	key := newKey("1")
	expired := func(ago time.Duration) object { return object{"exp": start.Add(-ago).Unix()} }
	for _, test := range []struct {
		name   string
		scope  string
		leeway time.Duration
		claims object
		cause  string
	}{
		{"scope of its own", "provision:all", 0, object{"scope": "provision:all"}, ""},
		{"scope of its own is missing", "provision:all", 0, nil, `scope "provision:all"`},
		{"no leeway, a second left", "", -1, expired(-time.Second), ""},
		{"no leeway, at the expiry", "", -1, expired(0), "expired"},
		{"a minute, within", "", time.Minute, expired(59 * time.Second), ""},
		{"a minute, at its end", "", time.Minute, expired(time.Minute), "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, oauth.Verifier{
				Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(t, key), Scope: test.scope, Leeway: test.leeway,
			})
			s.expect(t, key.sign(t, nil, claims().with(test.claims)), acme, test.cause)
		})
	}
}

// Clients have a name of bounded length.
func TestLongClient(t *testing.T) {
	key := newKey("1")
	s := newService(t, verifiers(t, key, newKey("2"))...)
	long := strings.Repeat("x", 256)
	s.expect(t, key.sign(t, nil, claims().with(object{"client_id": long})), scim.Principal{Connection: "acme", Credential: "oauth:" + long, Subject: "subject"}, "")
	s.expect(t, key.sign(t, nil, claims().with(object{"client_id": long + "x"})), acme, "256 bytes")
}
