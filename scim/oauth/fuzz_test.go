package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/oauth"
)

// Whatever header and payload the issuer's key signs, what is accepted states
// issuer, audience, scope and expiry, also to another JSON reader; and the same
// token with any other signature is refused.
func FuzzAuthenticate(f *testing.F) {
	key := newKey("1")
	s := newService(f, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(f, key)})
	head := `{"alg":"ES256","kid":"1"}`
	f.Add(head, string(encode(f, claims())), []byte("x"))
	f.Add(`{"alg":"none"}`, string(encode(f, claims())), []byte{})
	f.Add(head, string(encode(f, claims().with(object{"scope": []string{"scim"}, "aud": []string{audience}}))), make([]byte, 64))
	f.Add(`{"alg":"ES256","kid":"1","typ":"at+jwt","crit":[]}`, `{"exp":1e400,"ISS":"x"}`, []byte("x"))
	f.Fuzz(func(t *testing.T, header, payload string, signature []byte) {
		token := key.signBytes(t, []byte(header), []byte(payload))
		p, err := s.auth.Authenticate(request("Bearer " + token))
		if err != nil && !errors.Is(err, provision.ErrUnauthenticated) {
			t.Fatalf("an error that is no refusal: %v", err)
		}
		if err == nil {
			if p.Connection != "acme" || len(p.Credential) <= len("oauth:") {
				t.Errorf("principal %+v", p)
			}
			var read struct {
				Iss           string
				Aud, Scp, Exp any
				Scope         any
			}
			if err := json.Unmarshal([]byte(payload), &read); err != nil {
				t.Fatalf("accepted %q: %v", payload, err)
			}
			exp, _ := read.Exp.(float64)
			scopes := string(encode(t, []any{read.Scope, read.Scp}))
			aud := string(encode(t, read.Aud))
			if read.Iss != issuer || !strings.Contains(aud, audience) || !strings.Contains(scopes, "scim") || exp <= float64(start.Unix())-60 {
				t.Errorf("accepted %q", payload)
			}
		}
		at := strings.LastIndex(token, ".") + 1
		forged := token[:at] + base64.RawURLEncoding.EncodeToString(signature)
		if _, err := s.auth.Authenticate(request("Bearer " + forged)); err == nil && forged != token {
			t.Errorf("accepted with signature %x", signature)
		}
	})
}

// A key set that is read gives keys that a token can be checked with.
func FuzzStaticKeys(f *testing.F) {
	f.Add(keySet(f, newKey("1")))
	f.Add(keySet(f, keyPair{"2", "RS256", rsaKey()}, keyPair{"3", "EdDSA", newEd()}))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"},{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		source, err := oauth.StaticKeys(data)
		if err != nil {
			return
		}
		keys, err := source.Keys(t.Context(), "")
		if err != nil || len(keys) == 0 {
			t.Fatalf("%d keys, error %v", len(keys), err)
		}
		s := newService(t, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: source})
		if _, err := s.auth.Authenticate(request("Bearer " + newKey("1").sign(t, nil, claims()))); err == nil {
			t.Errorf("%q accepts a foreign key", data)
		}
	})
}
