package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store"
)

var (
	//go:embed page.html
	pageTemplates string

	//go:embed page.css
	pageStyle string
)

// submitScript is the only script of all pages: it posts the response of the
// demo identity provider.
const submitScript = "document.forms[0].submit()"

// pages are what people see of logins. They load nothing: style and script are
// in the page and allowed by their hash.
type pages struct {
	templates *template.Template
	policy    string // Content-Security-Policy, but for form-action
}

func newPages() (*pages, error) {
	constants := template.FuncMap{
		"style":  func() template.CSS { return template.CSS(pageStyle) },
		"submit": func() template.JS { return template.JS(submitScript) },
	}
	templates, err := template.New("").Funcs(constants).Parse(pageTemplates)
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; frame-ancestors 'none'; form-action ",
		contentHash(pageStyle), contentHash(submitScript))
	return &pages{templates: templates, policy: policy}, nil
}

// contentHash names an inline style or script (CSP Level 3 section 2.3.1).
func contentHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// protect sets the headers of a page whose forms go to formAction.
func (p *pages) protect(h http.Header, formAction string) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy+formAction)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

func (p *pages) write(w http.ResponseWriter, status int, name, formAction string, data any) {
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	p.protect(w.Header(), formAction)
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the reader is gone: there is nobody to tell
}

// row is one line of the table of an account: one value or a list.
type row struct {
	Label  string
	Values []string
}

// account shows who has logged in. It is where an application starts its
// session.
func (p *pages) account(w http.ResponseWriter, _ *http.Request, a *provision.Account, returnTo string) {
	greeting := a.DisplayName
	if greeting == "" {
		greeting = a.UserName
	}
	p.write(w, http.StatusOK, "account", "'none'", map[string]any{
		"Greeting": greeting,
		"Rows":     accountRows(a),
		"Reasons":  a.Reasons,
		"ReturnTo": returnTo,
	})
}

func accountRows(a *provision.Account) []row {
	return []row{
		{"Name", one(a.Name)},
		{"User name", one(a.UserName)},
		{"E-mail", one(a.Email)},
		{"Status", one(string(a.Status))},
		{"Authentication", one(string(a.Authentication))},
		{"Two-factor", one(string(a.TwoFactor))},
		{"Roles", accountRoles(a)},
		{"Groups", accountGroups(a)},
		{"Company", one(a.Company)},
		{"Time zone", one(a.TimeZone)},
		{"Account id", one(a.ID)},
	}
}

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// accountRoles puts the two built-in roles before those of the host.
func accountRoles(a *provision.Account) []string {
	var out []string
	if a.SiteAdmin {
		out = append(out, "site admin")
	}
	if a.ReadOnlySiteAdmin {
		out = append(out, "read-only site admin")
	}
	return append(out, a.Roles...)
}

// accountGroups says of each group who put the person there, in order of name.
func accountGroups(a *provision.Account) []string {
	groups := slices.Clone(a.Groups)
	slices.SortStableFunc(groups, func(a, b store.AccountGroup) int { return strings.Compare(a.Name, b.Name) })
	var out []string
	for _, g := range groups {
		text := fmt.Sprintf("%s (source: %s)", g.Name, g.Source)
		if g.Admin {
			text += ", group admin"
		}
		out = append(out, text)
	}
	return out
}

// denied shows a refusal: one text for everybody, and the id by which the log
// tells the cause.
func (p *pages) denied(w http.ResponseWriter, _ *http.Request, d *jit.Denial) {
	p.write(w, d.Status, "denied", "'none'", map[string]any{
		"Denial":   d,
		"CanRetry": d.Status != http.StatusNotFound,
	})
}
