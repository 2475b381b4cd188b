package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// crowded is a service with a group of many members, some of whom are known from more
// than one source, and some from none that clients read.
type crowded struct {
	*service
	store store.Store
	group string
	want  []string // members as clients read them
}

func newCrowded(t *testing.T, st store.Store, n int) *crowded {
	c := &crowded{service: newService(t, st, "okta"), store: st}
	c.group = c.must("POST", "/Groups", `{`+coreGroup+`"displayName":"crowd"}`)
	c.update(func(tx store.Tx) error {
		c.want = nil
		for i := range n {
			id := fmt.Sprintf("member%06d", i)
			r := &store.Resource{ID: id, Type: provision.TypeUser, Version: 1, Display: "d" + id, Document: store.Document("{}"), Keys: []store.Key{}}
			if err := tx.PutResource(r); err != nil {
				return err
			}
			sources := []store.Source{store.SourceSCIM, store.SourceDefault, store.SourceJIT}[i%3:]
			if i%7 == 3 {
				sources = []store.Source{store.SourceOperator}
			} else {
				c.want = append(c.want, id)
			}
			for _, source := range sources {
				if _, err := tx.PutMembership(store.Membership{Group: c.group, Member: id, Source: source, Kind: provision.TypeUser}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return c
}

func (c *crowded) update(fn func(store.Tx) error) {
	c.t.Helper()
	if err := c.store.Update(c.t.Context(), "acme", func(_ context.Context, tx store.Tx) error { return fn(tx) }); err != nil {
		c.t.Fatal(err)
	}
}

// group is an answer about a group.
type group struct {
	Schemas []string          `json:"schemas"`
	ID      string            `json:"id"`
	Name    string            `json:"displayName"`
	Members []json.RawMessage `json:"members"`
	Meta    struct {
		Version string `json:"version"`
	} `json:"meta"`
}

func (c *crowded) members(a reply) (ids []string, first string) {
	c.t.Helper()
	var g group
	if err := json.Unmarshal([]byte(a.body), &g); err != nil {
		c.t.Fatalf("%v in %.200s", err, a.body)
	}
	if a.status != http.StatusOK || g.ID != c.group || len(g.Schemas) != 1 || g.Meta.Version != a.header.Get("Etag") {
		c.t.Errorf("status %d, %+.200v", a.status, g)
	}
	for _, m := range g.Members {
		var member struct {
			Value string `json:"value"`
		}
		if err := json.Unmarshal(m, &member); err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, member.Value)
	}
	return ids, string(g.Members[0])
}

// A group of several pages is answered like any other, whatever the request.
func TestLargeGroup(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t, open(t), 3500)
			const whole = `{"value":"member000000","$ref":"https://sp.example/scim/v2/Users/member000000","display":"dmember000000","type":"User"}`
			for _, test := range []struct{ name, method, query, body, first string }{
				{"GET", "GET", "", "", whole},
				{"one part of members", "GET", "?attributes=members.value,meta.version", "", `{"value":"member000000"}`},
				{"without names", "GET", "?excludedAttributes=members.display", "", strings.Replace(whole, `"display":"dmember000000",`, "", 1)},
				{"PATCH that asks", "PATCH", "?attributes=members,meta,schemas,id", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"new"}]}`, whole},
				{"PUT", "PUT", "", `{` + coreGroup + `"displayName":"newer"}`, whole},
			} {
				a := c.do(test.method, "/Groups/"+c.group+test.query, acmeToken, test.body)
				ids, first := c.members(a)
				if diff := cmp.Diff(c.want, ids); diff != "" || first != test.first {
					t.Errorf("%s: first %s (-want +got):\n%.1000s", test.name, first, diff)
				}
			}
			c.handler.(*scim.Handler).Limits.Answer = 1000 * store.MembershipSize
			for _, query := range []string{"", "?cursor=", "?sortBy=displayName&count=5"} {
				a := c.do("GET", "/Groups"+query, acmeToken, "")
				var list struct {
					Resources    []json.RawMessage `json:"Resources"`
					ItemsPerPage int               `json:"itemsPerPage"`
				}
				if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Resources) != 1 || list.ItemsPerPage != 1 {
					t.Fatalf("list %s: %v in %.300s", query, err, a.body)
				}
				var g group
				if err := json.Unmarshal(list.Resources[0], &g); err != nil {
					t.Fatal(err)
				}
				one := reply{a.status, http.Header{"Etag": {g.Meta.Version}}, string(list.Resources[0])}
				ids, first := c.members(one)
				if diff := cmp.Diff(c.want, ids); diff != "" || first != whole {
					t.Errorf("list %s: first %s (-want +got):\n%.1000s", query, first, diff)
				}
			}
			a := c.do("GET", "/Groups/"+c.group+"?excludedAttributes=members", acmeToken, "")
			if strings.Contains(a.body, "members") || a.header.Get("Content-Length") == "" {
				t.Errorf("without members: %.300s, length %q", a.body, a.header.Get("Content-Length"))
			}
		})
	}
}

// pausing is a store that does something before a page of members is read.
type pausing struct {
	store.Store
	views  int
	before func(view int)
}

func (p *pausing) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	if p.views++; p.before != nil {
		p.before(p.views)
	}
	return p.Store.View(ctx, scope, fn)
}

// What happens to a group while it is read does not make an answer that is wrong: it
// has everybody who stays and the version of the beginning, or it is cut off.
func TestLargeGroupChanges(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			c := newCrowded(t, st, 3500)
			p := &pausing{Store: st}
			c.engine.Store = p
			server := httptest.NewServer(c.handler)
			defer server.Close()
			get := func(before func()) (reply, error) {
				p.views, p.before = 0, func(view int) {
					if view == 4 {
						before()
					}
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/Groups/"+c.group, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+acmeToken)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				return reply{resp.StatusCode, resp.Header, string(body)}, err
			}
			a, err := get(func() {
				c.update(func(tx store.Tx) error {
					for _, id := range []string{c.want[0], c.want[len(c.want)-1]} {
						if _, err := tx.DeleteMembership(c.group, id, ""); err != nil {
							return err
						}
					}
					r, err := tx.Resource(provision.TypeGroup, c.group, 0)
					if err != nil {
						return err
					}
					next := *r
					next.Version++
					return tx.PutResource(&next)
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			ids, _ := c.members(a)
			if diff := cmp.Diff(c.want[:len(c.want)-1], ids); diff != "" || a.header.Get("Etag") != `W/"1"` {
				t.Errorf("tag %s (-want +got):\n%.1000s", a.header.Get("Etag"), diff)
			}
			a, err = get(func() {
				c.update(func(tx store.Tx) error { return tx.DeleteResource(provision.TypeGroup, c.group) })
			})
			if err == nil || json.Valid([]byte(a.body)) {
				t.Errorf("a group that is deleted meanwhile: %d bytes, %v", len(a.body), err)
			}
		})
	}
}
