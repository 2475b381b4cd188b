package scim_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
)

// memberReads counts what a store is asked about the members of groups, to derive
// accounts apart.
type memberReads struct {
	store.Store
	n int
}

func (m *memberReads) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	return m.Store.View(ctx, scope, func(ctx context.Context, r store.Reader) error { return fn(ctx, memberReader{r, m}) })
}

func (m *memberReads) Scan(ctx context.Context, scope string, q store.Query) (store.Page, error) {
	m.asked(q.With)
	return m.Store.Scan(ctx, scope, q)
}

func (m *memberReads) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return m.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, memberReadTx{tx, m}) })
}

func (m *memberReads) asked(with store.Parts) {
	if with&store.WithMembers != 0 {
		m.n++
	}
}

type memberReader struct {
	store.Reader
	by *memberReads
}

func (r memberReader) Memberships(group, after string, limit int) ([]store.Membership, error) {
	r.by.n++
	return r.Reader.Memberships(group, after, limit)
}

func (r memberReader) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	r.by.asked(with)
	return r.Reader.Resource(typ, id, with)
}

func (r memberReader) Query(q store.Query) (store.Page, error) {
	r.by.asked(q.With)
	return r.Reader.Query(q)
}

type memberReadTx struct {
	store.Tx
	by *memberReads
}

func (r memberReadTx) Memberships(group, after string, limit int) ([]store.Membership, error) {
	r.by.n++
	return r.Tx.Memberships(group, after, limit)
}

func (r memberReadTx) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	r.by.asked(with)
	return r.Tx.Resource(typ, id, with)
}

func (r memberReadTx) Query(q store.Query) (store.Page, error) {
	r.by.asked(q.With)
	return r.Tx.Query(q)
}

// TestMembersAreNotRead: a request whose answer is without members asks nothing about
// them, however it says so; the same request asks for them where they are in the answer.
func TestMembersAreNotRead(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			c := newCrowded(t, st, 1500)
			user := c.must("POST", "/Users", `{`+coreUser+`"userName":"ann"}`)
			reads := &memberReads{Store: st}
			c.engine.Store = reads
			path := "/Groups/" + c.group
			join := patchRequest(`{"op":"add","path":"members","value":[{"value":"` + user + `"}]}`)
			for _, test := range []struct {
				name, method, path, body string
			}{
				{"GET", http.MethodGet, path + "?", ""},
				{"list", http.MethodGet, "/Groups?", ""},
				{"filter", http.MethodGet, "/Groups?filter=displayName+eq+%22crowd%22&", ""},
				{"PATCH", http.MethodPatch, path + "?", join},
				{"PUT that leaves the members", http.MethodPut, path + "?", `{` + coreGroup + `"displayName":"crowd"}`},
			} {
				for _, parameter := range []string{"excludedAttributes=members", "attributes=displayName"} {
					reads.n = 0
					if a := c.do(test.method, test.path+parameter, acmeToken, test.body); a.status != http.StatusOK || strings.Contains(a.body, "member0") {
						t.Errorf("%s %s: %d %.200s", test.name, parameter, a.status, a.body)
					}
					if reads.n != 0 {
						t.Errorf("%s %s: members were read %d times", test.name, parameter, reads.n)
					}
				}
				reads.n = 0
				if a := c.do(test.method, test.path+"attributes=members", acmeToken, test.body); a.status != http.StatusOK || reads.n == 0 {
					t.Errorf("%s of members: %d, read %d times", test.name, a.status, reads.n)
				}
			}
		})
	}
}
