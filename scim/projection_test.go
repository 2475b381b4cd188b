package scim_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// TestUnreadMembers asks in every way for groups without their members and for
// users without their groups: then the store is not asked for them. The same
// requests without the parameter show that the counting counts.
func TestUnreadMembers(t *testing.T) {
	const patch = `{"Operations":[{"op":"replace","path":"externalId","value":"new"}]}`
	tests := []struct {
		name, method, path, body string
		silent                   bool // does not read, also without the parameter
	}{
		{name: "get a group", method: "GET", path: "/Groups/<group>"},
		{name: "list groups", method: "GET", path: "/Groups"},
		{name: "create a group", method: "POST", path: "/Groups", body: `{"displayName":"New","members":[{"value":"<user>"}]}`},
		{name: "replace a group", method: "PUT", path: "/Groups/<group>", body: `{"displayName":"New"}`},
		{name: "modify a group", method: "PATCH", path: "/Groups/<group>", body: patch, silent: true},
		{name: "get a user", method: "GET", path: "/Users/<user>"},
		{name: "list users", method: "GET", path: "/Users"},
		{name: "list everything", method: "GET", path: "/"},
		{name: "create a user", method: "POST", path: "/Users", body: `{"userName":"new"}`},
		{name: "replace a user", method: "PUT", path: "/Users/<user>", body: `{"userName":"new"}`},
		{name: "modify a user", method: "PATCH", path: "/Users/<user>", body: patch},
		{name: "search everything", method: "POST", path: "/.search", body: `{"startIndex":1<parameter>}`},
	}
	parameters := []struct{ query, body string }{
		{"", ""},
		{"excludedAttributes=members,groups", `,"excludedAttributes":["members","groups"]`},
		{"attributes=externalId", `,"attributes":["externalId"]`},
		{"attributes=meta.version", `,"attributes":["meta.version"]`},
	}
	for _, test := range tests {
		for _, parameter := range parameters {
			t.Run(test.name+"/"+parameter.query, func(t *testing.T) {
				counting := &countingStore{Store: memory.New()}
				s := newService(t, counting, "")
				user := s.must("POST", "/Users", `{"userName":"ada"}`)
				group := s.must("POST", "/Groups", `{"displayName":"Engineers","members":[{"value":"`+user+`"}]}`)
				expand := strings.NewReplacer("<user>", user, "<group>", group, "<parameter>", parameter.body).Replace
				path := expand(test.path)
				if !strings.Contains(test.body, "<parameter>") {
					path += "?" + parameter.query
				}
				counting.parts, counting.lists = 0, 0
				if a := s.do(test.method, path, acmeToken, expand(test.body)); a.status >= 300 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				if want := parameter.query == "" && !test.silent; (counting.parts > 0) != want {
					t.Errorf("the store was asked for members or groups: %t, want %t", !want, want)
				}
				if test.method == "GET" && counting.lists > 0 {
					t.Errorf("memberships were listed %d times", counting.lists)
				}
			})
		}
	}
}

// countingStore counts what is asked about memberships.
type countingStore struct {
	store.Store
	parts int // reads of resources with members or groups
	lists int // lists of memberships
}

func (c *countingStore) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return c.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error {
		return fn(ctx, countingReader{r, c})
	})
}

func (c *countingStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return c.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, &resultTx{Tx: countingTx{tx, c}, groups: func() { c.parts++ }})
	})
}

// resultTx sees that the groups are read of the user that a request is about: for its
// answer.
type resultTx struct {
	store.Tx
	groups func()
	users  []string
}

func (tx *resultTx) PutResource(r *store.Resource) error {
	tx.users = append(tx.users, r.ID)
	return tx.Tx.PutResource(r)
}

func (tx *resultTx) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	if typ == provision.TypeUser {
		tx.users = append(tx.users, id)
	}
	return tx.Tx.Resource(typ, id, with)
}

func (tx *resultTx) MembershipsOf(members ...string) ([]store.Membership, error) {
	if len(members) == 1 && slices.Contains(tx.users, members[0]) {
		tx.groups()
	}
	return tx.Tx.MembershipsOf(members...)
}

type countingTx struct {
	store.Tx
	count *countingStore
}

func (tx countingTx) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	return countingReader{tx.Tx, tx.count}.Resource(typ, id, with)
}

func (tx countingTx) Memberships(group, after string, limit int) ([]store.Membership, error) {
	return countingReader{tx.Tx, tx.count}.Memberships(group, after, limit)
}

type countingReader struct {
	store.Reader
	count *countingStore
}

func (r countingReader) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	if with != 0 {
		r.count.parts++
	}
	return r.Reader.Resource(typ, id, with)
}

func (r countingReader) Query(q store.Query) (store.Page, error) {
	if q.With != 0 {
		r.count.parts++
	}
	return r.Reader.Query(q)
}

func (r countingReader) Memberships(group, after string, limit int) ([]store.Membership, error) {
	if limit == provision.MembersPage+1 { // as a part of an answer about the group
		r.count.parts++
	} else {
		r.count.lists++
	}
	return r.Reader.Memberships(group, after, limit)
}

func (r countingReader) MembershipsOf(members ...string) ([]store.Membership, error) {
	r.count.lists++
	return r.Reader.MembershipsOf(members...)
}
