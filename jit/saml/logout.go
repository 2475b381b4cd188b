package saml

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/xsd"
	"github.com/scimjit/provision/jit"
)

// SLO is the address that messages about logouts go to.
func (sp *ServiceProvider) SLO() string { return sp.base + "/logout" }

// endsLogins reports whether the identity provider can say that a session has ended,
// or be told so.
func (sp *ServiceProvider) endsLogins() bool {
	return sp.idp.LogoutRedirect != "" || sp.idp.LogoutPOST != ""
}

// logout takes a message of the Single Logout profile (SAML profiles section 4.4) by
// way of the browser: a request to end the login of a person, or the answer to one
// that [Handler.Logout] sent.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	m, err := h.readLogout(w, r, sp)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if !m.request {
		h.loggedOut(w, r, sp, m)
		return
	}
	if err := h.endLogin(r, sp, m); err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	if !sp.endsLogins() {
		h.goodbye(w, r, "")
		return
	}
	id, err := h.random(requestIDBytes)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	redirect := cmp.Or(sp.idp.LogoutRedirectResponse, sp.idp.LogoutRedirect)
	post := cmp.Or(sp.idp.LogoutPOSTResponse, sp.idp.LogoutPOST)
	answer, err := sp.send(redirect, post, "SAMLResponse", m.relayState, func(to string) *etree.Element {
		return sp.logoutResponse("_"+id, to, m.ID, h.now())
	})
	if err != nil {
		h.fail(w, r, sp.connection, &Error{Code: CodeInternal, Err: err})
		return
	}
	answer.write(w, r)
}

// endLogin makes a request the event login.ended, once. Whom nobody knows has no
// login that could end: the identity provider gets the same answer.
func (h *Handler) endLogin(r *http.Request, sp *ServiceProvider, m *logoutMessage) error {
	if len(m.NameIDs) != 1 || len(m.NameIDs[0].Inside) > 0 {
		return refuse(CodeNameID, "%d NameID that are plain text", len(m.NameIDs))
	}
	n := m.NameIDs[0]
	name, err := jit.CleanNameID(provision.NameID{Value: n.Value, Format: xsd.Collapse(n.Format), NameQualifier: n.NameQualifier, SPNameQualifier: n.SPNameQualifier})
	switch {
	case err != nil:
		return &Error{Code: CodeNameID, Err: err}
	case name.Value == "":
		return refuse(CodeNameID, "the NameID is empty")
	case len(m.Indexes) > maxIndexes:
		return refuse(CodeTooLarge, "%d SessionIndex", len(m.Indexes))
	}
	var indexes []string
	for _, index := range m.Indexes {
		if index = strings.TrimSpace(index); index != "" && !slices.Contains(indexes, index) {
			indexes = append(indexes, index)
		}
	}
	account, err := h.Engine.Directory(sp.connection).EndLogin(r.Context(), provision.Logout{
		NameID: name, Indexes: indexes,
		Once: []provision.OnceKey{{Text: "saml logout\x00" + sp.idp.EntityID + "\x00" + m.ID, Until: m.until(sp)}},
	})
	if errors.Is(err, provision.ErrNotFound) {
		h.logger().Info("saml: a logout of nobody who is known", "connection", sp.connection)
		return nil
	}
	if err == nil {
		h.logger().Info("saml: logged out by the identity provider", "connection", sp.connection, "account", account)
	}
	return err
}

// Logout asks the identity provider of a connection to end the sessions that logins
// of an account belong to, and answers the request with the way of the browser
// there. The host has ended its own session before. sessionIndex, which
// [jit.SessionOf] told at the login, names one session; empty means all.
//
// When the identity provider has answered, the browser goes to returnTo, a
// [jit.LocalPath], or sees a page that says that it is logged out. It goes there at
// once where there is nobody to ask: the identity provider has no single logout, or
// no login told a session that has not ended.
func (h *Handler) Logout(w http.ResponseWriter, r *http.Request, connection, account, sessionIndex, returnTo string) {
	sp, err := h.provider(r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	sessions, err := h.Engine.Directory(connection).Sessions(r.Context(), account)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	sessions = slices.DeleteFunc(sessions, func(s provision.Session) bool { return sessionIndex != "" && s.Index != sessionIndex })
	if len(sessions) == 0 || !sp.endsLogins() {
		h.goodbye(w, r, returnTo)
		return
	}
	answer, err := h.askForLogout(w, r, sp, sessions, returnTo)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	answer.write(w, r)
}

// askForLogout makes a request about the latest NameID of some sessions, and
// remembers it in the browser.
func (h *Handler) askForLogout(w http.ResponseWriter, r *http.Request, sp *ServiceProvider, sessions []provision.Session, returnTo string) (outgoing, error) {
	name := sessions[len(sessions)-1].NameID
	var indexes []string
	for _, s := range sessions {
		if s.NameID == name {
			indexes = append(indexes, s.Index)
		}
	}
	p, err := h.newPending(returnTo)
	if err != nil {
		return outgoing{}, err
	}
	cookie, err := h.cookie(r.Context(), sp, logoutPrefix, p)
	if err != nil {
		return outgoing{}, err
	}
	answer, err := sp.send(sp.idp.LogoutRedirect, sp.idp.LogoutPOST, "SAMLRequest", p.Nonce, func(to string) *etree.Element {
		return sp.logoutRequest(p.RequestID, to, name, indexes, h.now())
	})
	if err != nil {
		return outgoing{}, &Error{Code: CodeInternal, Err: err}
	}
	http.SetCookie(w, cookie)
	return answer, nil
}

// loggedOut takes the answer to a request of Logout. Whatever it says, the login at
// this application has ended before.
func (h *Handler) loggedOut(w http.ResponseWriter, r *http.Request, sp *ServiceProvider, m *logoutMessage) {
	open, _, err := h.pendingOf(r, sp, logoutPrefix)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	request, asked := findPending(open, m.relayState)
	if !asked || request.RequestID != xsd.Collapse(m.InResponseTo) {
		h.fail(w, r, sp.connection, errNoRequest())
		return
	}
	if err := h.Engine.Plumbing().Once(r.Context(), sp.connection, keyOfRequest(request.RequestID, h.now())); err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	if !m.success() {
		h.logger().Warn("saml: the identity provider has not ended all sessions", "connection", sp.connection, "status", m.Status)
	}
	sp.drop(w, logoutPrefix+request.Nonce)
	h.goodbye(w, r, request.ReturnTo)
}

const goodbyePage = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Logged out</title></head>
<body><h1>Logged out</h1></body>
</html>
`

// goodbye ends a logout: at a path of this origin, or with a page.
func (h *Handler) goodbye(w http.ResponseWriter, r *http.Request, returnTo string) {
	if jit.LocalPath(returnTo) {
		http.Redirect(w, r, returnTo, http.StatusSeeOther)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write([]byte(goodbyePage)) // the client may be gone
}
