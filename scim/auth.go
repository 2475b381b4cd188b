package scim

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
)

// authenticate finds the principal of a request and the directory that it works with.
// Many refusals from one address are answered with 429; a credential that is valid never
// is, since identity providers share addresses.
func (x *exchange) authenticate() error {
	h, r := x.handler, x.request
	err := x.recognize()
	if errors.Is(err, provision.ErrUnauthenticated) && r.Header.Get("Authorization") != "" {
		if wait := h.Engine.Plumbing().CountFailure(h.address(r)); wait > 0 {
			return refuse(codeTooManyFailures, "too many failed authentications, try again later").after(wait)
		}
	}
	return err
}

// recognize is authenticate without a count. What the engine remembers of a credential
// is confirmed with the first thing that the request reads or writes, or by confirm.
func (x *exchange) recognize() (err error) {
	h := x.handler
	if h.Authenticate != nil {
		if x.principal, err = h.Authenticate(x.request); err == nil {
			x.directory = h.Engine.Directory(x.principal.Connection)
		}
		return err
	}
	secret, ok := requestSecret(x.request)
	if !ok {
		return provision.ErrUnauthenticated
	}
	x.recognized, err = h.Engine.Plumbing().Recognize(x.request.Context(), secret)
	if err != nil {
		return err
	}
	if x.again {
		err = x.confirm()
	}
	x.principal = principalOf(x.recognized.Credential, x.recognized.Connection)
	x.directory = x.recognized.Directory()
	return err
}

// confirm makes sure that the credential still counts. Without it nothing is answered,
// and no function of the host is asked for its consent.
func (x *exchange) confirm() error {
	if x.recognized == nil {
		return nil
	}
	return x.recognized.Confirm(x.request.Context())
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
	return principalOf(cred, conn), nil
}

func principalOf(cred provision.Credential, conn provision.Connection) Principal {
	return Principal{Connection: conn.ID, Credential: cred.ID, Dialect: conn.Dialect}
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
