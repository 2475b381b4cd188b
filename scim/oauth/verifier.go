package oauth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// DefaultScope is the scope that a token needs where [Verifier.Scope] is empty.
const DefaultScope = "scim"

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = time.Minute
)

// Verifier says which tokens open the directory of one connection. Connection,
// Issuer, Audience and Keys are required.
type Verifier struct {
	// Connection is the id of the connection.
	Connection string

	// Issuer is the claim "iss" of the authorization server, compared exactly: a
	// slash at the end counts.
	Issuer string

	// Audience is the value that the claim "aud" must have or contain, compared
	// exactly. It tells tokens for this service, and for this connection where
	// several share an issuer, from others of the issuer.
	Audience string

	// Scope is what the claim "scope" or "scp" must contain; empty means
	// [DefaultScope].
	Scope string

	// Keys finds the keys that the issuer signs with: [StaticKeys],
	// [NewRemoteKeys] or a source of your own.
	Keys KeySource

	// Leeway is how far the clock of the issuer may differ, at most a minute. 0
	// means 30 seconds, a negative number none.
	Leeway time.Duration
}

func (v Verifier) validate() error {
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"Connection", v.Connection == ""},
		{"Issuer", v.Issuer == ""},
		{"Audience", v.Audience == ""},
		{"Keys", v.Keys == nil},
	} {
		if field.missing {
			return fmt.Errorf("%s is missing", field.name)
		}
	}
	if v.Leeway > maxLeeway {
		return fmt.Errorf("a Leeway of %s is more than %s", v.Leeway, maxLeeway)
	}
	return nil
}

func (v Verifier) scope() string {
	if v.Scope != "" {
		return v.Scope
	}
	return DefaultScope
}

func (v Verifier) leeway() time.Duration {
	if v.Leeway == 0 {
		return defaultLeeway
	}
	return max(v.Leeway, 0)
}

// check compares the claims of a token whose signature is right with what the
// verifier expects.
func (v Verifier) check(c *claims, now time.Time) error {
	for _, date := range []*jwt.NumericDate{c.Expiry, c.NotBefore, c.IssuedAt} {
		if date != nil && (*date < 0 || *date > maxDate) {
			return errors.New("a time is out of range")
		}
	}
	expected := jwt.Expected{Issuer: v.Issuer, AnyAudience: jwt.Audience{v.Audience}, Time: now}
	if err := c.ValidateWithLeeway(expected, v.leeway()); err != nil {
		return err
	}
	switch {
	case c.Expiry == nil:
		return errors.New("exp is missing")
	case !now.Add(-v.leeway()).Before(c.Expiry.Time()):
		// RFC 7519 section 4.1.4 refuses at the expiry, package jwt after it.
		return jwt.ErrExpired
	case !slices.Contains(c.Scope, v.scope()) && !slices.Contains(c.SCP, v.scope()):
		return fmt.Errorf("scope %q is missing", v.scope())
	case len(c.Confirmation) > 0:
		return errors.New("cnf: the token is bound to a key of its sender")
	}
	return c.checkClient()
}

// maxDate is the end of the year 9999. Larger numbers have overflowed.
const maxDate = 253402300799
