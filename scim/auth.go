package scim

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
)

// authenticate finds the principal of a request. Many refusals from one address
// are answered with 429; a credential that is valid never is, since identity
// providers share addresses.
func (h *Handler) authenticate(r *http.Request) (Principal, error) {
	p, err := h.principal(r)
	if errors.Is(err, provision.ErrUnauthenticated) && r.Header.Get("Authorization") != "" {
		if wait := h.Engine.Plumbing().CountFailure(h.address(r)); wait > 0 {
			return Principal{}, refuse(codeTooManyFailures, "too many failed authentications, try again later").after(wait)
		}
	}
	return p, err
}

func (h *Handler) principal(r *http.Request) (Principal, error) {
	if h.Authenticate != nil {
		return h.Authenticate(r)
	}
	return storePrincipal(h.Engine, r)
}

// Credentials returns what a [Handler] without the field Authenticate does: it
// finds the bearer token or Basic password of a request among the credentials
// that the engine keeps. It is for functions that accept something else too.
func Credentials(engine *provision.Engine) func(*http.Request) (Principal, error) {
	return func(r *http.Request) (Principal, error) { return storePrincipal(engine, r) }
}

func storePrincipal(engine *provision.Engine, r *http.Request) (Principal, error) {
	secret, ok := requestSecret(r)
	if !ok {
		return Principal{}, provision.ErrUnauthenticated
	}
	cred, conn, err := engine.Authenticate(r.Context(), secret)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Connection: conn.ID, Credential: cred.ID, Dialect: conn.Dialect}, nil
}

// address returns what failed authentications are counted by.
func (h *Handler) address(r *http.Request) string {
	if h.Address != nil {
		return h.Address(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// requestSecret reads the Authorization header: a bearer token (RFC 6750) or
// Basic (RFC 7617). The scheme is case-insensitive (RFC 9110 section 11.1).
func requestSecret(r *http.Request) (provision.Secret, bool) {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		token := strings.TrimSpace(rest)
		return provision.Secret{Token: token}, token != ""
	}
	user, password, ok := r.BasicAuth()
	return provision.Secret{UserName: user, Password: password}, ok && user != ""
}
