package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// Authenticator finds who sent a request by the access token in it. Use its
// method Authenticate as [scim.Handler.Authenticate].
//
// Set the exported fields before the first request and do not change them after.
// An Authenticator is safe for concurrent use.
type Authenticator struct {
	// Otherwise is asked about requests without a JWT, such as
	// scim.Credentials(engine), which finds tokens and Basic passwords that the
	// engine keeps. Nil refuses them. It never sees a JWT.
	Otherwise func(*http.Request) (scim.Principal, error)

	// Logger receives why tokens were refused, at most once a second on average;
	// nil means slog.Default(). No token is logged.
	Logger *slog.Logger

	engine    *provision.Engine
	verifiers map[selector]*Verifier
	lines     *rate.Limiter
	unlogged  atomic.Int64
}

// selector is what finds the verifier of a token.
type selector struct{ issuer, audience string }

// New returns an Authenticator that accepts the tokens of the verifiers, which
// must differ in issuer or audience. The clock is that of the engine. The error
// names the verifier and the field that is wrong; it is not checked whether the
// connections exist.
func New(engine *provision.Engine, verifiers ...Verifier) (*Authenticator, error) {
	a := &Authenticator{
		engine:    engine,
		verifiers: make(map[selector]*Verifier, len(verifiers)),
		lines:     rate.NewLimiter(1, 10),
	}
	for _, v := range verifiers {
		if err := v.validate(); err != nil {
			return nil, fmt.Errorf("oauth: verifier of connection %q: %w", v.Connection, err)
		}
		s := selector{v.Issuer, v.Audience}
		if other := a.verifiers[s]; other != nil {
			return nil, fmt.Errorf("oauth: connections %q and %q have the same issuer and audience", other.Connection, v.Connection)
		}
		a.verifiers[s] = &v
	}
	return a, nil
}

// The challenges of RFC 6750 section 3: a request without a token is not told of
// an error.
const (
	challengeNone    = `Bearer realm="scim"`
	challengeInvalid = `Bearer realm="scim", error="invalid_token"`
)

// Authenticate returns the connection and the client of the access token in the
// Authorization header. A refusal is a [*scim.Error] with status 401 that wraps
// [provision.ErrUnauthenticated]; an error of the key source is a
// [*store.UnavailableError]; others are those of the store.
func (a *Authenticator) Authenticate(r *http.Request) (scim.Principal, error) {
	token, ok := bearer(r)
	if !ok || !isJWT(token) {
		if a.Otherwise != nil {
			return a.Otherwise(r)
		}
		return scim.Principal{}, unauthorized(ok, errors.New("no JWT"))
	}
	p, err := a.accept(r.Context(), token)
	var refused *refusal
	if errors.As(err, &refused) {
		a.log(refused)
		return scim.Principal{}, unauthorized(true, refused)
	}
	return p, err
}

// bearer returns the bearer token of a request (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// unauthorized is the one answer to every refusal.
func unauthorized(token bool, cause error) error {
	challenge := challengeNone
	if token {
		challenge = challengeInvalid
	}
	return &scim.Error{
		Status:    http.StatusUnauthorized,
		Code:      "unauthenticated",
		Detail:    "the credential is missing or not valid",
		Challenge: challenge,
		Err:       fmt.Errorf("%w: %w", provision.ErrUnauthenticated, cause),
	}
}

// refusal is why a token does not count.
type refusal struct {
	connection string // empty where no verifier was found
	cause      error
}

func (r *refusal) Error() string { return r.cause.Error() }

// accept finds the principal of a JWT. What is wrong with the token is a
// [*refusal].
func (a *Authenticator) accept(ctx context.Context, text string) (scim.Principal, error) {
	t, err := parse(text)
	if err != nil {
		return scim.Principal{}, &refusal{cause: err}
	}
	v, err := a.verifier(t)
	if err != nil {
		return scim.Principal{}, &refusal{cause: err}
	}
	keys, err := v.Keys.Keys(ctx, t.kid)
	if err != nil {
		return scim.Principal{}, &store.UnavailableError{RetryAfter: refetch, Err: fmt.Errorf("oauth: keys of issuer %q: %w", v.Issuer, err)}
	}
	c, err := t.verify(keys)
	if err == nil {
		err = v.check(c, a.now())
	}
	if err != nil {
		return scim.Principal{}, &refusal{v.Connection, err}
	}
	conn, err := a.engine.Directory(v.Connection).Connection(ctx)
	switch {
	case errors.Is(err, provision.ErrNotFound):
		return scim.Principal{}, &refusal{v.Connection, errors.New("there is no such connection")}
	case err != nil:
		return scim.Principal{}, err
	case conn.Disabled:
		return scim.Principal{}, &refusal{v.Connection, errors.New("the connection is disabled")}
	}
	// The prefix keeps a client from taking the name of a stored credential.
	return scim.Principal{Connection: conn.ID, Credential: "oauth:" + c.client(), Dialect: conn.Dialect, Subject: c.Subject}, nil
}

// verifier returns the only verifier that a token may be for. A token for two of
// them would leave it to chance whose directory it opens.
func (a *Authenticator) verifier(t *token) (*Verifier, error) {
	var found *Verifier
	for _, audience := range t.unverified.Audience {
		v := a.verifiers[selector{t.unverified.Issuer, audience}]
		if v == nil || v == found {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the audience is that of connections %q and %q", found.Connection, v.Connection)
		}
		found = v
	}
	if found == nil {
		return nil, fmt.Errorf("issuer %q with audience %q is of no connection", t.unverified.Issuer, t.unverified.Audience)
	}
	return found, nil
}

func (a *Authenticator) now() time.Time {
	if a.engine.Now != nil {
		return a.engine.Now()
	}
	return time.Now()
}

// maxCause is how many bytes of a cause are logged: it may quote the token's
// header or claims, which anybody can write.
const maxCause = 400

// log says why a token was refused. Refusals cost their sender nothing, so that
// most of a flood is only counted.
func (a *Authenticator) log(r *refusal) {
	now := a.now()
	if !a.lines.AllowN(now, 1) {
		a.lines.SetLimitAt(now, a.lines.Limit()) // if the clock was set back, lines come by its new time
		a.unlogged.Add(1)
		return
	}
	logger := a.Logger
	if logger == nil {
		logger = slog.Default()
	}
	cause := r.Error()
	if len(cause) > maxCause {
		cause = strings.ToValidUTF8(cause[:maxCause], "") + "..."
	}
	logger.Warn("access token refused", "connection", r.connection, "cause", cause, "unlogged", a.unlogged.Swap(0))
}
