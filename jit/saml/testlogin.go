package saml

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
)

// TestLogin is what came of a login that was only tried. Nobody was logged in, and
// nothing changed.
type TestLogin struct {
	Connection string

	// Assertion is what the identity provider asserted; nil where the response
	// was refused.
	Assertion *jit.Assertion

	// Identity is what the settings of the connection make of it; nil where they
	// make nothing.
	Identity *provision.Identity

	// Account is as it would be after the login; nil where the login would be
	// refused.
	Account *provision.Account

	// Err is why the login would be refused: an [*Error], a
	// [*jit.AttributeError], a [*provision.DeniedError] or what the store says.
	Err error
}

// TestLogin begins a login that is only tried, and answers the request with the way
// of the browser to the identity provider. Call it for administrators only: when
// they come back, [Handler.OnTestLogin] shows the claims that arrived, what they are
// mapped to and what would become of the login, whatever is wrong with them. Nobody
// is logged in, and nothing changes.
//
// The request must be for the host of the base URL, as the browser must bring back a
// cookie. Where it is not, or administrators log in elsewhere, use [Handler.TestLink].
func (h *Handler) TestLogin(w http.ResponseWriter, r *http.Request, connection string) {
	sp, err := h.provider(r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	h.beginTest(w, r, sp)
}

func (h *Handler) beginTest(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	p, err := h.newPending("")
	if err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	p.Test = true
	h.sendAway(w, r, sp, p)
}

// ticket allows one login to be tried.
type ticket struct {
	Nonce   string `json:"n"`
	Expires int64  `json:"e"` // Unix time
}

func testPurpose(connection string) string { return "jit/saml test " + connection }

// TestLink returns an address that begins [Handler.TestLogin] once, within ten
// minutes, for whoever has it. Give it to administrators only. The error is
// [provision.ErrNotFound] for an unknown connection, and an [*Error] for one that is
// disabled or without SAML.
func (h *Handler) TestLink(ctx context.Context, connection string) (string, error) {
	c, err := h.Engine.Directory(connection).Connection(ctx)
	switch {
	case err != nil:
		return "", err
	case c.Disabled || c.SAML == nil:
		return "", refuse(CodeConnection, "the connection is disabled or has no SAML")
	case h.BaseURL == nil:
		return "", errors.New("saml: Handler.BaseURL is not set")
	}
	nonce, err := h.random(nonceBytes)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(ticket{Nonce: nonce, Expires: h.now().Add(pendingFor).Unix()})
	if err != nil {
		return "", err
	}
	signed, err := h.Engine.Plumbing().Sign(ctx, testPurpose(connection), payload)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(h.BaseURL(connection), "/") + "/test?ticket=" + url.QueryEscape(base64.RawURLEncoding.EncodeToString(signed)), nil
}

// test takes a link of [Handler.TestLink].
func (h *Handler) test(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	if err := h.useTicket(r, sp); err != nil {
		h.fail(w, r, sp.connection, err)
		return
	}
	h.beginTest(w, r, sp)
}

func (h *Handler) useTicket(r *http.Request, sp *ServiceProvider) error {
	signed, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("ticket"))
	if err != nil {
		return &Error{Code: CodeRequest, Reason: "ticket", Err: err}
	}
	payload, ok, err := h.Engine.Plumbing().Verify(r.Context(), testPurpose(sp.connection), signed)
	var t ticket
	switch {
	case err != nil:
		return err
	case !ok, json.Unmarshal(payload, &t) != nil:
		return refuse(CodeRequest, "the ticket is not for a test login of this connection")
	case !isOpen(t.Expires, h.now()):
		return refuse(CodeExpired, "the link of the test login was good for %v", pendingFor)
	}
	return h.Engine.Plumbing().Once(r.Context(), sp.connection, provision.OnceKey{Text: "saml ticket\x00" + t.Nonce, Until: time.Unix(t.Expires, 0).Add(time.Second)})
}

// tested shows what came of a login that was tried.
func (h *Handler) tested(w http.ResponseWriter, r *http.Request, sp *ServiceProvider, verified *Verified, identity provision.Identity, err error) {
	result := &TestLogin{Connection: sp.connection, Err: err}
	if verified != nil {
		result.Assertion = &verified.Assertion
	}
	if err == nil { // the response is used up, although the login is not made
		result.Err = h.Engine.Plumbing().Once(r.Context(), sp.connection, identity.Once...)
	}
	if result.Err == nil {
		identity.Once = nil
		result.Identity = &identity
		result.Account, result.Err = h.Engine.Directory(sp.connection).TryLogin(r.Context(), identity)
	}
	h.logger().Info("saml: a login was tried", "connection", sp.connection, "refused", result.Err != nil)
	w.Header().Set("Cache-Control", "no-store")
	if h.OnTestLogin != nil {
		h.OnTestLogin(w, r, result)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_ = testTemplate.Execute(w, result.page()) // the client may be gone
}

// row is a line of the page.
type row struct{ Name, Value string }

type testPage struct {
	Connection, Refused, Code string
	Claims, Mapped, Account   []row
}

// page returns what the plain page shows. What has no value is left out.
func (t *TestLogin) page() testPage {
	p := testPage{Connection: t.Connection}
	if t.Err != nil {
		p.Refused, p.Code = t.Err.Error(), t.Code()
	}
	if a := t.Assertion; a != nil {
		p.Claims = []row{{"Issuer", a.Issuer}, {"NameID", a.NameID.Value}, {"NameID format", a.NameID.Format}}
		for _, attribute := range a.Attributes {
			name := attribute.Name
			if attribute.FriendlyName != "" {
				name += " (" + attribute.FriendlyName + ")"
			}
			value := strings.Join(attribute.Values, "\n")
			if attribute.Malformed > 0 {
				value += fmt.Sprintf("\n(%d values that are no text)", attribute.Malformed)
			}
			p.Claims = append(p.Claims, row{name, strings.TrimPrefix(value, "\n")})
		}
	}
	if id := t.Identity; id != nil {
		p.Mapped = mappedRows(id)
	}
	if a := t.Account; a != nil {
		var groups []string
		for _, g := range a.Groups {
			groups = append(groups, g.Name)
		}
		p.Account = nonEmpty(row{"status", string(a.Status)}, row{"userName", a.UserName}, row{"email", a.Email}, row{"groups", strings.Join(groups, "\n")}, row{"roles", strings.Join(a.Roles, "\n")}, row{"siteAdmin", fmt.Sprint(a.SiteAdmin)})
	}
	return p
}

var evidenceNames = map[policy.Evidence]string{
	policy.EvidenceKnown: "known", policy.EvidenceAbsent: "absent: nothing is known of the groups",
	policy.EvidenceOverage: "overage: too many to be sent, so nothing is known of the groups",
}

func mappedRows(id *provision.Identity) []row {
	var groups []string
	for _, g := range id.Groups {
		text := g.Name
		if g.Value != g.Name {
			text += " (id:" + g.Value + ")"
		}
		groups = append(groups, text)
	}
	rows := []row{
		{"id", id.ID}, {"userName", id.UserName}, {"email", id.Email}, {"givenName", id.GivenName}, {"familyName", id.FamilyName},
		{"name", id.Name}, {"displayName", id.DisplayName}, {"company", id.Company}, {"timeZone", id.TimeZone},
		{"groups", strings.Join(groups, "\n")}, {"evidence of groups", evidenceNames[id.Evidence]},
	}
	for _, path := range slices.Sorted(maps.Keys(id.Attributes)) {
		rows = append(rows, row{path, id.Attributes[path]})
	}
	return nonEmpty(rows...)
}

func nonEmpty(rows ...row) []row {
	var out []row
	for _, r := range rows {
		if r.Value != "" {
			out = append(out, r)
		}
	}
	return out
}

// Code is that of the refusal in the log, as docs/saml.md explains them; empty where
// the login would go through.
func (t *TestLogin) Code() string {
	var refused *Error
	var replay *provision.ReplayError
	var denied *provision.DeniedError
	var attribute *jit.AttributeError
	switch {
	case t.Err == nil:
		return ""
	case errors.As(t.Err, &refused):
		return string(refused.Code)
	case errors.As(t.Err, &replay):
		return jit.CodeReplay
	case errors.As(t.Err, &denied):
		return string(denied.Code)
	case errors.As(t.Err, &attribute):
		return jit.CodeAttribute
	}
	return jit.CodeInternal
}

var testTemplate = template.Must(template.New("test").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Test login</title></head>
<body>
<h1>Test login of {{.Connection}}</h1>
<p>Nobody was logged in, and nothing was changed.</p>
{{if .Refused}}<h2>The login would be refused</h2>
<p><code>{{.Code}}</code>: {{.Refused}}</p>
{{else}}<h2>The login would go through</h2>
{{end}}{{with .Account}}<h2>The account</h2>
{{template "rows" .}}{{end}}{{with .Mapped}}<h2>What the claims are mapped to</h2>
{{template "rows" .}}{{end}}{{with .Claims}}<h2>The claims that arrived</h2>
{{template "rows" .}}{{end}}</body>
</html>
{{define "rows"}}<table>
{{range .}}<tr><th scope="row">{{.Name}}</th><td><pre>{{.Value}}</pre></td></tr>
{{end}}</table>
{{end}}`))
