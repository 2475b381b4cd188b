package oauth_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/scimjit/provision/scim/oauth"
)

// What a token costs, with the read of the connection from a store in memory.
func BenchmarkAuthenticate(b *testing.B) {
	for _, key := range []keyPair{{"1", jose.RS256, rsaKey()}, newKey("1"), {"1", jose.EdDSA, newEd()}} {
		b.Run(string(key.alg), func(b *testing.B) {
			s := newService(b, oauth.Verifier{Connection: "acme", Issuer: issuer, Audience: audience, Keys: static(b, key)})
			r := request("Bearer " + key.sign(b, nil, claims()))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.auth.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
