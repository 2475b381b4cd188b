package console

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/docs/setup"
)

// repositoryDocs is where the folder docs is published.
const repositoryDocs = "https://github.com/scimjit/provision/blob/main/docs/"

type setUpContent struct {
	Secret      *shownSecret
	Link        string
	Checks      []check
	Nothing     bool
	Values      []copyRow
	Credentials []credentialRow
	MayChange   bool
	TestLogin   bool
	Guide       setup.Guide
	Guides      []setup.Guide
	Text        template.HTML
}

// shownSecret is a secret that a page shows once.
type shownSecret struct {
	ID, Title, Kind, UserName, Value string
	Pending                          bool
}

type copyRow struct{ Name, Value string }

type credentialRow struct {
	provision.Credential
	Pending bool
}

// check is one thing that shows that the identity provider is set up.
type check struct {
	Key   string
	Seen  bool
	When  *time.Time
	Wrong string
}

var setUpActions = map[string]func(*visit) (done, error){
	"token":     func(v *visit) (done, error) { return v.generate("token") },
	"basic":     func(v *visit) (done, error) { return v.generate("basic") },
	"activate":  credentialAction("activate", http.MethodPost),
	"extend":    credentialAction("extend", http.MethodPost),
	"revoke":    credentialAction("", http.MethodDelete),
	"testLogin": (*visit).makeTestLogin,
}

// markdown renders the guides. They hold no HTML, and none would get through.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table))

func (v *visit) setUp() (any, error) { return v.setUpPage() }

func (v *visit) setUpPage() (*setUpContent, error) {
	content := &setUpContent{
		MayChange: v.may("credentials.issue", "credentials.activate", "credentials.extend", "credentials.revoke") && v.head.ManagedBy == "",
		TestLogin: v.may("login.test") && v.head.SAML != nil && v.h.API.TestLogin != nil,
		Guides:    setup.Guides(), Values: v.values(),
	}
	var credentials []provision.Credential
	if err := v.get(&credentials, nil, v.of("credentials")...); err != nil {
		return nil, err
	}
	for _, c := range credentials {
		content.Credentials = append(content.Credentials, credentialRow{c, !c.PendingUntil.IsZero()})
	}
	var err error
	if content.Checks, err = v.checks(credentials); err != nil {
		return nil, err
	}
	content.Nothing = !slices.ContainsFunc(content.Checks, func(c check) bool { return c.Seen })
	id := v.r.URL.Query().Get("for")
	if id == "" {
		id = guideOf(&v.head.Connection)
	}
	content.Guide = setup.Find(id)
	docs := orID(v.h.Docs, repositoryDocs)
	var b bytes.Buffer
	if err := markdown.Convert([]byte(content.Guide.Text(setup.Values{Base: v.h.base(v.r), Connection: v.head.ID, Docs: docs})), &b); err != nil {
		return nil, err
	}
	content.Text = template.HTML(b.String()) //nolint:gosec // goldmark leaves out HTML, and the text is ours
	return content, nil
}

// guideOf returns the guide that fits a connection best.
func guideOf(c *provision.Connection) string {
	candidates := []string{c.Dialect}
	if c.SAML != nil {
		candidates = append(candidates, c.SAML.Preset)
	}
	if c.LDAP != nil {
		candidates = append(candidates, map[string]string{"ad": "active-directory"}[c.LDAP.Preset], c.LDAP.Preset)
	}
	for _, id := range candidates {
		if id != "" && setup.Find(id).ID == id {
			return id
		}
	}
	return setup.Generic
}

// base is the address of the application.
func (h *Handler) base(r *http.Request) string {
	if h.Base != "" {
		return h.Base
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// values are what is copied to the identity provider.
func (v *visit) values() []copyRow {
	say, base, c := v.h.say, v.h.base(v.r), &v.head.Connection
	rows := []copyRow{}
	if c.SCIM {
		rows = append(rows, copyRow{say("value.scim"), base + "/scim/v2"}, copyRow{say("value.unique"), "userName"})
	}
	if c.SAML != nil {
		saml := base + "/saml/" + c.ID
		rows = append(rows, copyRow{say("value.entity"), orID(c.SAML.EntityID, saml+"/metadata")},
			copyRow{say("value.acs"), saml + "/acs"}, copyRow{say("value.metadata"), saml + "/metadata"}, copyRow{say("value.login"), saml + "/login"})
	}
	if c.LDAP != nil && c.LDAP.Login {
		rows = append(rows, copyRow{say("value.ldapLogin"), base + "/ldap/" + c.ID + "/login"})
	}
	return rows
}

// checks watch what has arrived.
func (v *visit) checks(credentials []provision.Credential) ([]check, error) {
	c := &v.head.Connection
	var out []check
	if c.SCIM {
		used := check{Key: "check.credential"}
		for _, cred := range credentials {
			if cred.LastUsed.IsZero() {
				continue
			}
			used.Seen = true
			if used.When == nil || cred.LastUsed.After(*used.When) {
				used.When = &cred.LastUsed
			}
		}
		out = append(out, used)
	}
	var people []*provision.Account
	if err := v.get(&people, url.Values{"limit": {"20"}}, v.of("accounts")...); err != nil {
		return nil, err
	}
	out = append(out, check{Key: "check.user", Seen: len(people) > 0})
	if len(people) > 0 {
		mapping := check{Key: "check.mapping", Seen: true}
		for _, a := range people {
			if looksLikeID(a.UserName) {
				mapping = check{Key: "check.mapping", Wrong: v.h.say("check.objectId", a.UserName)}
			}
		}
		out = append(out, mapping)
	}
	var groups []Group
	if err := v.get(&groups, url.Values{"limit": {"1"}}, v.of("groups")...); err != nil {
		return nil, err
	}
	out = append(out, check{Key: "check.group", Seen: len(groups) > 0})
	return out, nil
}

// looksLikeID reports whether a user name is a GUID, as Entra ID sends it where the object
// id is mapped to userName.
func looksLikeID(name string) bool {
	if len(name) != 36 {
		return false
	}
	for i, c := range name {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// generate makes a credential, whose secret this answer alone shows. It counts after Save.
func (v *visit) generate(method string) (done, error) {
	var issued IssuedCredential
	body := map[string]any{"method": method, "activate": false}
	if err := v.ask(question{method: http.MethodPost, path: v.of("credentials"), body: body}, &issued); err != nil {
		return done{}, err
	}
	if err := v.reload(); err != nil {
		return done{}, err
	}
	content, err := v.setUpPage()
	if err != nil {
		return done{}, err
	}
	secret := &shownSecret{ID: issued.ID, Pending: !issued.PendingUntil.IsZero()}
	if method == "token" {
		secret.Title, secret.Kind, secret.Value = "generateToken", "token", issued.Token
	} else {
		secret.Title, secret.Kind, secret.UserName, secret.Value = "generateBasic", "password", issued.UserName, issued.Password
	}
	content.Secret = secret
	return done{content: content}, nil
}

// reload reads the connection again, after something was changed.
func (v *visit) reload() (err error) {
	v.head, err = v.loadHead(v.head.ID)
	return err
}

// credentialAction is an action of the API on the credential that a form names.
func credentialAction(name, method string) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		path := v.of("credentials", v.r.PostForm.Get("credential"))
		var body any
		if name != "" {
			path = append(path, name)
		}
		if name == "extend" {
			body = map[string]any{}
		}
		return done{said: "done"}, v.ask(question{method: method, path: path, body: body}, nil)
	}
}

// makeTestLogin makes a link to a test login.
func (v *visit) makeTestLogin() (done, error) {
	var made TestLink
	if err := v.ask(question{method: http.MethodPost, path: v.of("test-login")}, &made); err != nil {
		return done{}, err
	}
	content, err := v.setUpPage()
	if err != nil {
		return done{}, err
	}
	content.Link = v.h.base(v.r) + made.Path
	return done{content: content}, nil
}
