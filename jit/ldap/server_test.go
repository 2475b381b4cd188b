package ldap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// settings are those of a directory with the service account of the tests.
func settings(d *ldaptest.Server, edits ...func(*provision.LDAP)) provision.LDAP {
	s := provision.LDAP{
		URLs: []string{d.SecureURL}, CA: d.CA, ServerName: "localhost", Preset: d.Preset,
		BindDN: d.Reader, BindPassword: provision.NewSecret(d.Password),
		BaseDNs: []string{d.People}, GroupBaseDNs: []string{d.Groups}, Login: true,
	}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

// open returns a directory whose secrets are all the password of the tests.
func open(t testing.TB, s provision.LDAP, password string) *ldap.Server {
	t.Helper()
	server, err := ldap.NewServer(ldap.Options{
		Connection: "dir", Settings: s, Outbound: provision.Outbound{AllowPrivate: true},
		Secret: func(context.Context, string) (string, error) { return password, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// listed is what a source has.
type listed struct {
	users  map[string]provision.SyncUser  // by userName
	groups map[string]provision.SyncGroup // by name
	silent bool                           // nothing is known of groups
	mark   string
}

// read reads a source to its end.
func read(t testing.TB, server *ldap.Server, mark string) (listed, error) {
	t.Helper()
	out := listed{users: map[string]provision.SyncUser{}, groups: map[string]provision.SyncGroup{}}
	src, err := server.Source(t.Context(), mark)
	if err != nil {
		return out, err
	}
	for u, err := range src.Users(t.Context()) {
		if err != nil {
			return out, err
		}
		out.users[text(u.Content, "userName")] = u
	}
	groups := src.Groups(t.Context())
	if groups == nil {
		out.silent = true
	} else {
		for g, err := range groups {
			if err != nil {
				return out, err
			}
			out.groups[text(g.Content, "displayName")] = g
		}
	}
	out.mark = src.(interface{ Mark() string }).Mark()
	return out, nil
}

func mustRead(t testing.TB, server *ldap.Server, mark string) listed {
	t.Helper()
	l, err := read(t, server, mark)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func text(c provision.Content, path string) string {
	v, _ := c.Document.Get(path)
	return v.Text()
}

// newEngine makes an engine with the connection "dir".
func newEngine(t testing.TB, edit func(*provision.Connection), engine ...func(*provision.Engine)) *provision.Engine {
	t.Helper()
	e := &provision.Engine{Store: memory.New()}
	for _, set := range engine {
		set(e)
	}
	immutable := true
	c := provision.Connection{ID: "dir"}
	c.Policy.ExternalIDImmutable = &immutable
	if edit != nil {
		edit(&c)
	}
	if _, err := e.Directory("dir").SaveConnection(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return e
}

// state is who is active, with the groups of each.
func state(t testing.TB, e *provision.Engine) map[string][]string {
	t.Helper()
	list, err := e.Directory("dir").Accounts(t.Context(), store.AccountQuery{Statuses: []string{"active"}})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, a := range list {
		groups := []string{a.Email, a.ExternalID}
		for _, g := range a.Groups {
			groups = append(groups, g.Name)
		}
		slices.Sort(groups)
		out[a.UserName] = groups
	}
	return out
}

// later returns a mark an hour later.
func later(t testing.TB, mark string) string {
	t.Helper()
	var m map[string]map[string]string
	if err := json.Unmarshal([]byte(mark), &m); err != nil {
		t.Fatal(err)
	}
	for _, place := range m {
		at, err := time.Parse("20060102150405Z", place["at"])
		if err != nil {
			t.Fatal(err)
		}
		place["at"] = at.Add(time.Hour).Format("20060102150405Z")
	}
	return fmt.Sprintf(`{"people":{"server":%q,"at":%q},"groups":{"server":%q,"at":%q}}`,
		m["people"]["server"], m["people"]["at"], m["groups"]["server"], m["groups"]["at"])
}
