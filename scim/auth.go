package scim

import (
	"net/http"
	"strings"

	"github.com/scimjit/provision"
)

// authenticate finds the principal of a request.
func (h *Handler) authenticate(r *http.Request) (Principal, error) {
	if h.Authenticate != nil {
		return h.Authenticate(r)
	}
	secret, ok := requestSecret(r)
	if !ok {
		return Principal{}, provision.ErrUnauthenticated
	}
	cred, conn, err := h.Engine.Authenticate(r.Context(), secret)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Connection: conn.ID, Credential: cred.ID, Dialect: conn.Dialect}, nil
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
