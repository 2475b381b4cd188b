package saml

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
)

// acs takes a response by the HTTP-POST binding (SAML bindings section 3.5).
func (h *Handler) acs(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	response, relayState, err := h.readForm(w, r)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	open, _, err := h.pendingOf(r, sp, cookiePrefix)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	request, asked := findPending(open, relayState)
	verified, identity, err := h.read(sp, response, request)
	if request.Test {
		sp.drop(w, cookiePrefix+request.Nonce)
		h.tested(w, r, sp, verified, identity, err)
		return
	}
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	account, err := h.Login.Admit(r.Context(), sp.connection, identity)
	if asked && jit.Decided(err) { // else the response may come again
		sp.drop(w, cookiePrefix+request.Nonce)
	}
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	returnTo := request.ReturnTo
	if !asked {
		returnTo = sp.deepLink(relayState) // of a login that the identity provider began
	}
	h.Login.Enter(w, r, account, identity.Session, returnTo)
}

// readForm returns the response, without its base64, and the RelayState.
func (h *Handler) readForm(w http.ResponseWriter, r *http.Request) (response []byte, relayState string, err error) {
	if err := h.parseForm(w, r); err != nil {
		return nil, "", err
	}
	responses, states := r.PostForm["SAMLResponse"], r.PostForm["RelayState"]
	if len(responses) != 1 || len(states) > 1 {
		return nil, "", refuse(CodeRequest, "%d SAMLResponse and %d RelayState", len(responses), len(states))
	}
	if len(states) == 1 {
		relayState = states[0]
	}
	response, err = decodeBase64(responses[0])
	if err != nil {
		return nil, "", &Error{Code: CodeRequest, Reason: "SAMLResponse", Err: err}
	}
	return response, relayState, nil
}

// parseForm reads a form of bounded size.
func (h *Handler) parseForm(w http.ResponseWriter, r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return refuse(CodeRequest, "content type %q", media)
	}
	r.Body = http.MaxBytesReader(w, r.Body, h.Limits.body())
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return &Error{Code: CodeTooLarge, Err: err}
		}
		return &Error{Code: CodeRequest, Err: err}
	}
	return nil
}

// deepLink returns the path that a RelayState is, or that it names at the origin of
// this service provider. Identity providers ask administrators for a whole URL. It is
// "" for everything else.
func (sp *ServiceProvider) deepLink(relayState string) string {
	if jit.LocalPath(relayState) {
		return relayState
	}
	own, err := url.Parse(sp.base)
	if err != nil {
		return ""
	}
	u, err := url.Parse(relayState)
	if err != nil || strings.Contains(relayState, `\`) || u.User != nil || u.Opaque != "" || origin(u) != origin(own) {
		return ""
	}
	to := "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		to += "?" + u.RawQuery
	}
	if !jit.LocalPath(to) {
		return ""
	}
	return to
}

// origin is what browsers compare (RFC 6454 section 4).
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

func findPending(open []pending, relayState string) (p pending, ok bool) {
	for _, p := range open {
		if p.Nonce == relayState {
			return p, true
		}
	}
	return pending{}, false
}

// read verifies a response and returns whom it is about. The login uses up the
// assertion, and the request that it answers too. Nothing is written before everything
// else is known to be right, so that nobody can use up what is not theirs.
func (h *Handler) read(sp *ServiceProvider, response []byte, request pending) (verified *Verified, identity provision.Identity, err error) {
	now := h.now()
	verified, err = sp.Verify(response, request.RequestID, now)
	if err == nil {
		err = sp.checkFresh(verified, request, now)
	}
	if err == nil {
		identity, err = sp.mapping.Identity(verified.Assertion)
	}
	if err != nil {
		return verified, provision.Identity{}, err
	}
	// The assertion is refused for its age from Until on; the second keeps the
	// key a little longer than that, whatever is rounded.
	identity.Once = []provision.OnceKey{{
		Text:  "saml assertion\x00" + verified.Assertion.Issuer + "\x00" + verified.ID,
		Until: verified.Until.Add(time.Second),
	}}
	if request.RequestID != "" {
		identity.Once = append(identity.Once, keyOfRequest(request.RequestID, now))
	}
	return verified, identity, nil
}

// checkFresh makes sure that somebody who had to authenticate again did so: after
// the request, and without one not longer ago than a request may be open.
func (sp *ServiceProvider) checkFresh(v *Verified, request pending, now time.Time) error {
	if !sp.forceAuthn || v.AuthnInstant.IsZero() {
		return nil
	}
	begun := now.Add(-pendingFor)
	if request.Expires != 0 {
		begun = time.Unix(request.Expires, 0).Add(-pendingFor)
	}
	if v.AuthnInstant.Add(sp.skew).Before(begun) {
		return refuse(CodeAuthn, "authenticated at %s, and it had to be done again after %s", v.AuthnInstant.Format(time.RFC3339), begun.UTC().Format(time.RFC3339))
	}
	return nil
}
