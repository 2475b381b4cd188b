package saml

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"time"

	"github.com/beevik/etree"
	saml2 "github.com/russellhaering/gosaml2"

	"github.com/scimjit/provision/jit"
)

const (
	requestIDBytes = 20
	nonceBytes     = 16
)

// login sends the browser to the identity provider. The query parameter
// "return" is where the person wants to go afterwards; what is no
// [jit.LocalPath] is dropped.
func (h *Handler) login(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	p, err := h.newPending(r.URL.Query().Get("return"))
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	h.sendAway(w, r, sp, p)
}

// sendAway sends the browser to the identity provider with a request.
func (h *Handler) sendAway(w http.ResponseWriter, r *http.Request, sp *ServiceProvider, p pending) {
	open, stale, err := h.pendingOf(r, sp, cookiePrefix)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	for ; len(open) >= maxPending; open = open[1:] {
		stale = append(stale, cookiePrefix+open[0].Nonce)
	}
	cookie, err := h.cookie(r.Context(), sp, cookiePrefix, p)
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	answer, err := sp.authnRequest(p.RequestID, p.Nonce, h.now())
	if err != nil {
		h.fail(w, r, sp.connection, &Error{Code: CodeInternal, Err: err})
		return
	}
	sp.drop(w, stale...)
	http.SetCookie(w, cookie)
	answer.write(w, r)
}

// newPending makes a request with a way back, which is dropped where it is no path
// of this origin.
func (h *Handler) newPending(returnTo string) (pending, error) {
	nonce, err := h.random(nonceBytes)
	if err != nil {
		return pending{}, err
	}
	id, err := h.random(requestIDBytes)
	p := pending{Nonce: nonce, RequestID: "_" + id, Expires: h.now().Add(pendingFor).Unix()}
	if len(returnTo) <= maxCookieSize/4 && jit.LocalPath(returnTo) {
		p.ReturnTo = returnTo
	}
	return p, err
}

// outgoing is a message on its way to the identity provider: a redirect or a page
// that posts it.
type outgoing struct {
	redirect string
	page     []byte
}

func (o outgoing) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	if o.redirect != "" {
		http.Redirect(w, r, o.redirect, http.StatusFound)
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; script-src '"+scriptHash()+"'")
	_, _ = w.Write(o.page) // the client may be gone
}

// authnRequest makes a request for authentication (SAML core section 3.4.1), by
// the HTTP-Redirect binding where the identity provider has it.
func (sp *ServiceProvider) authnRequest(id, relayState string, now time.Time) (outgoing, error) {
	lib := sp.library(now)
	lib.IdentityProviderSSOURL = sp.idp.Redirect
	if sp.idp.Redirect == "" {
		lib.IdentityProviderSSOURL = sp.idp.POST
	}
	lib.ForceAuthn, lib.NameIdFormat = sp.forceAuthn, sp.format
	if len(sp.contexts) > 0 {
		lib.RequestedAuthnContext = &saml2.RequestedAuthnContext{Comparison: saml2.AuthnPolicyMatchExact, Contexts: sp.contexts}
	}
	doc, err := lib.BuildAuthRequestDocumentNoSig()
	if err != nil {
		return outgoing{}, err
	}
	doc.Root().CreateAttr("ID", id) // in the place of the library's own
	if sp.idp.Redirect != "" {
		to, err := lib.BuildAuthURLRedirect(relayState, doc)
		return outgoing{redirect: to}, err
	}
	if sp.sign {
		signed, err := lib.SignAuthnRequest(doc.Root())
		if err != nil {
			return outgoing{}, err
		}
		doc.SetRoot(signed)
	}
	page, err := postPage(sp.idp.POST, "SAMLRequest", relayState, doc)
	return outgoing{page: page}, err
}

const submitScript = "document.forms[0].submit()"

var postTemplate = template.Must(template.New("post").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Login</title></head>
<body>
<form method="post" action="{{.To}}">
<input type="hidden" name="{{.Parameter}}" value="{{.Message}}">
{{with .RelayState}}<input type="hidden" name="RelayState" value="{{.}}">
{{end}}<button>Continue</button>
</form>
<script>` + submitScript + `</script>
</body>
</html>
`))

// scriptHash allows the one script of the page by its content.
func scriptHash() string {
	sum := sha256.Sum256([]byte(submitScript))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// postPage returns a page that posts a message by itself, or by a click where
// scripts are off.
func postPage(to, parameter, relayState string, doc *etree.Document) ([]byte, error) {
	message, err := doc.WriteToBytes()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = postTemplate.Execute(&out, map[string]string{
		"To":         to,
		"Parameter":  parameter,
		"Message":    base64.StdEncoding.EncodeToString(message),
		"RelayState": relayState,
	})
	return out.Bytes(), err
}
