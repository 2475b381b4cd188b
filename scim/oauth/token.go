package oauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// MaxToken is how many bytes a JWT may have.
const MaxToken = 8 << 10

// isJWT reports whether a bearer token is a JWT, good or bad: three parts, or the
// five of an encrypted one, of which the first is a header. Any other token is
// left to those who know it.
func isJWT(text string) bool {
	dots := strings.Count(text, ".")
	if dots != 2 && dots != 4 {
		return false
	}
	first, _, _ := strings.Cut(text, ".")
	if len(first) > MaxToken {
		return true // nobody's secret; parse refuses it
	}
	data, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return false
	}
	var header struct {
		Algorithm json.RawMessage `json:"alg"`
	}
	return json.Unmarshal(data, &header) == nil && header.Algorithm != nil
}

// token is a JWT whose signature has not been checked.
type token struct {
	signed     *jwt.JSONWebToken
	algorithm  string
	kid        string
	unverified claims // only to find the verifier
}

// types are the values of the header "typ", in lower case, of access tokens (RFC
// 9068 section 2.1), and of servers that do not say what a JWT is for. It keeps
// out what the same issuer signs for other uses, such as "logout+jwt".
var types = map[string]bool{"": true, "jwt": true, "at+jwt": true, "application/at+jwt": true}

// parse reads a JWT and checks its header.
func parse(text string) (*token, error) {
	if len(text) > MaxToken {
		return nil, fmt.Errorf("the token has %d bytes, more than %d", len(text), MaxToken)
	}
	signed, err := jwt.ParseSigned(text, algorithmNames())
	if err != nil {
		return nil, err
	}
	header := signed.Headers[0]
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := header.ExtraHeaders[name]; ok {
			return nil, fmt.Errorf("the header has %q, an extension that no access token needs", name)
		}
	}
	typ, ok := header.ExtraHeaders[jose.HeaderType].(string)
	if _, present := header.ExtraHeaders[jose.HeaderType]; present && !ok || !types[strings.ToLower(typ)] {
		return nil, fmt.Errorf("typ %q is not that of an access token", fmt.Sprint(header.ExtraHeaders[jose.HeaderType]))
	}
	t := &token{signed: signed, algorithm: header.Algorithm, kid: header.KeyID}
	if err := signed.UnsafeClaimsWithoutVerification(&t.unverified); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return t, nil
}

// verify returns the claims of a token that one of the keys signed. Exactly one
// key may come into question, so that a token costs one check.
func (t *token) verify(keys []Key) (*claims, error) {
	var found *Key
	for i := range keys {
		if !keys[i].fits(t.algorithm, t.kid) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("more than one key fits algorithm %s and kid %q", t.algorithm, t.kid)
		}
		found = &keys[i]
	}
	if found == nil {
		return nil, fmt.Errorf("no key fits algorithm %s and kid %q", t.algorithm, t.kid)
	}
	var c claims
	if err := t.signed.Claims(found.Public, &c); err != nil {
		return nil, fmt.Errorf("signature or claims: %w", err)
	}
	return &c, nil
}

// claims are the claims that are looked at.
type claims struct {
	jwt.Claims
	Scope        words           `json:"scope"`
	SCP          words           `json:"scp"`
	Confirmation json.RawMessage `json:"cnf"`

	// Who asks: RFC 9068 section 2.2, OpenID Connect, Microsoft, Okta.
	ClientID string `json:"client_id"`
	Party    string `json:"azp"`
	AppID    string `json:"appid"`
	CID      string `json:"cid"`
}

// client returns the client that a token was issued to. A client without one of
// its claims is the subject of its tokens.
func (c *claims) client() string {
	for _, id := range []string{c.ClientID, c.Party, c.AppID, c.CID} {
		if id != "" {
			return id
		}
	}
	return c.Subject
}

// maxClient bounds what is kept in events.
const maxClient = 256

func (c *claims) checkClient() error {
	client := c.client()
	switch {
	case client == "":
		return errors.New("client_id and sub are missing")
	case len(client) > maxClient:
		return fmt.Errorf("the client id has more than %d bytes", maxClient)
	case strings.ContainsFunc(client, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return errors.New("the client id has a control character")
	}
	return nil
}

// words is a claim with scopes: text with spaces between them (RFC 8693 section
// 4.2), or a list, in which a scope is a whole element.
type words []string

// UnmarshalJSON implements [json.Unmarshaler].
func (w *words) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*w = strings.Fields(text)
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("scopes are neither text nor a list of texts")
	}
	*w = list
	return nil
}
