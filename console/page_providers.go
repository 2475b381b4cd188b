package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
)

// pageRows is how many rows a page of a list has.
const pageRows = 50

// connectionHead is what every page of a connection says of it.
type connectionHead struct {
	Settings
	Name    string
	ModeKey string
}

// paging is where the pages around one of a list are.
type paging struct {
	First, Next string
	Later       bool // it is not the first
}

// pagesOf returns the paging of a list: next are the parameters of the API's next page,
// of which the page has those that are named.
func (v *visit) pagesOf(next url.Values, names ...string) paging {
	var p paging
	query := v.r.URL.Query()
	p.Later = query.Has("after")
	query.Del("done")
	query.Del("after")
	address := v.h.prefix() + v.r.URL.EscapedPath()
	p.First = withQuery(address, query)
	if next != nil {
		for _, name := range append(names, "after") {
			if next.Has(name) {
				query.Set(name, next.Get(name))
			}
		}
		p.Next = withQuery(address, query)
	}
	return p
}

func withQuery(address string, query url.Values) string {
	if len(query) == 0 {
		return address
	}
	return address + "?" + query.Encode()
}

// asked returns those parameters of the page that the API knows too.
func (v *visit) asked(names ...string) url.Values {
	out := url.Values{}
	for _, name := range append(names, "after") {
		if value := strings.TrimSpace(v.r.URL.Query().Get(name)); value != "" {
			out.Set(name, value)
		}
	}
	return out
}

func (v *visit) loadHead(id string) (*connectionHead, error) {
	var s Settings
	if err := v.get(&s, nil, "connections", id); err != nil {
		return nil, err
	}
	return headOf(s), nil
}

func headOf(s Settings) *connectionHead {
	return &connectionHead{Settings: s, Name: orID(s.Name, s.ID), ModeKey: modeKey(&s.Connection)}
}

func modeKey(c *provision.Connection) string {
	if c.Disabled {
		return "mode.disabled"
	}
	return "mode." + c.Mode.String()
}

// providersContent is the first page.
type providersContent struct {
	paging
	Query     string
	Rows      []providerRow
	MayCreate bool
	Open      bool
	New       struct{ ID, Name, Dialect string }
	Dialects  []string
}

func (c *providersContent) title() string { return texts["connections"] }

type providerRow struct {
	*connectionHead
	Provider string
	Ways     []string
	People   int
	LastUsed time.Time
	Ends     time.Time
	Warnings int
}

func (v *visit) providers() (any, error) {
	if v.viewer.Role == RoleCustomer {
		return nil, &leadOn{v.home()}
	}
	return v.providersPage()
}

func (v *visit) providersPage() (*providersContent, error) {
	query := v.asked("q")
	query.Set("limit", "50")
	content := &providersContent{Query: query.Get("q"), MayCreate: v.viewer.Role == RoleOperator, Dialects: dialectNames()}
	var list []Overview
	next, err := v.list(&list, query, "connections")
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		content.Rows = append(content.Rows, v.providerRow(c))
	}
	content.paging = v.pagesOf(next, "q")
	return content, nil
}

func (v *visit) providerRow(c Overview) providerRow {
	row := providerRow{connectionHead: headOf(Settings{c.Connection, c.Version}), Provider: c.Dialect, Warnings: len(c.Warnings), People: c.Accounts.People()}
	if row.Provider == "" {
		row.Provider = "auto"
	}
	if c.SCIM {
		row.Ways = append(row.Ways, "SCIM")
	}
	if c.SAML != nil {
		row.Ways = append(row.Ways, "SAML")
	}
	if c.LDAP != nil {
		row.Ways = append(row.Ways, "LDAP")
	}
	for _, cred := range c.Credentials {
		if cred.LastUsed.After(row.LastUsed) {
			row.LastUsed = cred.LastUsed
		}
		if !cred.Expires.IsZero() && (row.Ends.IsZero() || cred.Expires.Before(row.Ends)) {
			row.Ends = cred.Expires
		}
	}
	return row
}

// createProvider makes a connection, and leads to where it is set up.
func (v *visit) createProvider() (done, error) {
	form := v.r.PostForm
	connection := provision.Connection{
		ID: strings.TrimSpace(form.Get("id")), Name: strings.TrimSpace(form.Get("name")), Dialect: form.Get("dialect"), SCIM: true,
	}
	if connection.Dialect == "auto" {
		connection.Dialect = ""
	}
	if form.Get("trial") == "true" {
		connection.Mode = provision.ModeShadow
	}
	var made Settings
	err := v.ask(question{method: http.MethodPost, path: []string{"connections"}, body: connection}, &made)
	if fault := v.fault(err, "id", "name", "dialect"); fault != nil {
		return done{}, fault
	} else if err == nil {
		v.head = headOf(made)
		return done{said: "saved", to: "set-up"}, nil
	}
	content, err := v.providersPage()
	if err != nil {
		return done{}, err
	}
	content.Open = true
	content.New.ID, content.New.Name, content.New.Dialect = connection.ID, connection.Name, connection.Dialect
	return done{content: content, status: http.StatusUnprocessableEntity}, nil
}

// fault takes in what is wrong with a field of a form, to be said beside it. It returns
// what is wrong with anything else.
func (v *visit) fault(err error, fields ...string) error {
	if err == nil {
		return nil
	}
	p, ok := problemIn(err)
	if !ok || p.Field == "" || !slices.Contains(fields, p.Field) {
		if ok && p.Code == codeExists {
			v.fields = map[string]string{"id": p.Detail}
			return nil
		}
		return err
	}
	v.fields = map[string]string{p.Field: p.Detail}
	return nil
}
