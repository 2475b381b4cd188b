package scim_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// tenantRow is a request of connection acme that names what belongs to
// connection other. The placeholders <theirUser>, <theirGroup>, <theirName> and
// <theirCursor> are things of other; <user>, <user2> and <group> are acme's.
type tenantRow struct {
	Name        string          `json:"name"`
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	Body        json.RawMessage `json:"body"`
	IfMatch     string          `json:"ifMatch"`
	IfNoneMatch string          `json:"ifNoneMatch"`
	Me          string          `json:"me"` // whom the host takes the client for
	Status      int             `json:"status"`
	ScimType    string          `json:"scimType"`
	Total       *int            `json:"total"`
	Operations  []string        `json:"operations"` // statuses in a bulk response
	Changes     bool            `json:"changes"`    // acme may change; other never does
}

func tenantRows(t *testing.T) []tenantRow {
	t.Helper()
	var rows []tenantRow
	decodeStrict(t, "testdata/tenants.json", &rows)
	return rows
}

// Every endpoint has rows, and an endpoint of resources has them for users and
// for groups, so that a new route without rows fails here.
func TestTenantRowsCoverRoutes(t *testing.T) {
	covered := map[string]bool{}
	for _, row := range tenantRows(t) {
		path, _, _ := strings.Cut(row.Path, "?")
		covered[concrete(scim.RouteOf(row.Method, path), strings.Split(path, "/")[1])] = true
	}
	for _, route := range scim.Routes() {
		for _, endpoint := range []string{"Users", "Groups"} {
			if want := concrete(route, endpoint); !covered[want] {
				t.Errorf("testdata/tenants.json has no row for %s", want)
			}
		}
	}
}

// concrete puts an endpoint in the place of the first segment of a route.
func concrete(route, endpoint string) string {
	if method, rest, ok := strings.Cut(route, " /*"); ok {
		return method + " /" + endpoint + rest
	}
	return route
}

// tenants is a service with two connections that both have users and a group,
// and what the placeholders of a row stand for.
type tenants struct {
	*service
	expand func(string) string
	their  []string // the words that stand for other's things
}

const tenantMarker = "zebra" // in every name of the connection other

// newTenants makes the same directories each time, with the same ids. In a world
// that is not foreign the placeholders stand for what nobody has.
func newTenants(t *testing.T, st store.Store, dialect string, foreign bool) *tenants {
	t.Helper()
	s := newService(t, &noted{Store: st}, dialect)
	s.engine.Rand = rand.NewChaCha8([32]byte{1})
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s.engine.Now = func() time.Time { return now }
	s.handler.(*scim.Handler).Me = func(r *http.Request, _ scim.Principal) (string, error) {
		return r.Header.Get("X-Me"), nil
	}
	create := func(token, path, body string) string {
		a := s.do("POST", path, token, body)
		if a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.json(t)["id"].(string)
	}
	user := create(acmeToken, "/Users", `{`+coreUser+`"userName":"ada@example.com"}`)
	user2 := create(acmeToken, "/Users", `{`+coreUser+`"userName":"grace@example.com","externalId":"grace"}`)
	group := create(acmeToken, "/Groups", `{`+coreGroup+`"displayName":"Support","members":[{"value":"`+user+`"}]}`)
	theirUser := create(otherToken, "/Users", `{`+coreUser+`"userName":"zebra@example.com","externalId":"zebra-1","displayName":"zebra","emails":[{"value":"zebra@example.com"}]}`)
	create(otherToken, "/Users", `{"userName":"zebra2@example.com","schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"`+theirUser+`"}}}`)
	theirGroup := create(otherToken, "/Groups", `{`+coreGroup+`"displayName":"zebra-group","externalId":"zebra-1","members":[{"value":"`+theirUser+`"}]}`)
	cursor := s.do("GET", "/Users?count=1&cursor=", otherToken, "").json(t)["nextCursor"].(string)
	their := []string{theirUser, theirGroup, tenantMarker, cursor}
	used := their
	if !foreign {
		used = nobodys(their)
	}
	replacer := strings.NewReplacer("<user>", user, "<user2>", user2, "<group>", group,
		"<theirUser>", used[0], "<theirGroup>", used[1], "<theirName>", used[2], "<theirCursor>", used[3])
	return &tenants{service: s, expand: replacer.Replace, their: their}
}

// nobodys returns words of the same form that name nothing.
func nobodys(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.Repeat(string(rune('a'+i)), len(w))
	}
	return out
}

// send sends the request of a row as acme.
func (tn *tenants) send(row tenantRow) reply {
	headers := []string{}
	for name, value := range map[string]string{"If-Match": row.IfMatch, "If-None-Match": row.IfNoneMatch, "X-Me": row.Me} {
		if value != "" {
			headers = append(headers, name, tn.expand(value))
		}
	}
	return tn.do(row.Method, tn.expand(row.Path), acmeToken, tn.expand(string(row.Body)), headers...)
}

// noted is a store that notes which kinds of records are written, so that a test
// can read them all.
type noted struct {
	store.Store
	written []string
}

func (s *noted) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, notedTx{tx, s})
	})
}

type notedTx struct {
	store.Tx
	store *noted
}

func (tx notedTx) PutRecord(r *store.Record) error {
	if !slices.Contains(tx.store.written, r.Kind) {
		tx.store.written = append(tx.store.written, r.Kind)
	}
	return tx.Tx.PutRecord(r)
}

// state is all that the store keeps of a connection.
type state struct {
	Resources []*store.Resource
	Accounts  []*store.Account
	Events    []*store.Event
	Records   []*store.Record
}

func (s *service) state(connection string) state {
	s.t.Helper()
	var out state
	err := s.engine.Store.View(s.t.Context(), connection, func(_ context.Context, r store.Reader) error {
		page, err := r.Query(store.Query{Limit: 1000, With: store.WithGroups | store.WithMembers})
		if err != nil {
			return err
		}
		out.Resources = page.Resources
		if out.Accounts, err = r.Accounts(store.AccountQuery{}); err != nil {
			return err
		}
		if out.Events, err = r.Events(0, 0); err != nil {
			return err
		}
		for _, kind := range s.engine.Store.(*noted).written {
			records, err := r.Records(kind, "", 0)
			if err != nil {
				return err
			}
			out.Records = append(out.Records, records...)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// TestTenants finds that a thing of another connection answers like one that
// does not exist, byte for byte, and that nothing changes in either connection.
func TestTenants(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			eachTenantRow(t, "", open, func(t *testing.T, row tenantRow, a reply, changed string) {
				row.check(t, a)
				if (changed != "") != row.Changes {
					t.Errorf("changes of acme wanted: %t; (-before +after):\n%s", row.Changes, changed)
				}
			})
		})
	}
}

// The same in every dialect, whatever the status is there.
func TestTenantsInEveryDialect(t *testing.T) {
	for _, dialect := range scim.Dialects() {
		t.Run(dialect.Name, func(t *testing.T) {
			open := stores["memory"]
			eachTenantRow(t, dialect.Name, open, func(t *testing.T, _ tenantRow, a reply, changed string) {
				if a.status >= 500 || (a.status >= 400 && changed != "") {
					t.Errorf("status %d; changes (-before +after):\n%s", a.status, changed)
				}
			})
		})
	}
}

// eachTenantRow sends each row to two worlds, one in which the placeholders are
// another connection's and one in which they are nobody's. It checks what holds
// for every row and calls check with the answer and what changed of acme. The
// worlds are made anew after a change.
func eachTenantRow(t *testing.T, dialect string, open func(*testing.T) store.Store, check func(t *testing.T, row tenantRow, a reply, changed string)) {
	t.Helper()
	var foreign, unknown *tenants
	for _, row := range tenantRows(t) {
		if foreign == nil {
			foreign, unknown = newTenants(t, open(t), dialect, true), newTenants(t, open(t), dialect, false)
		}
		changed := ""
		ok := t.Run(row.Method+" "+row.Name, func(t *testing.T) {
			foreign.t, unknown.t = t, t
			acme, other := foreign.state("acme"), foreign.state("other")
			a := foreign.send(row)
			changed = cmp.Diff(acme, foreign.state("acme"))
			check(t, row, a, changed)
			if diff := cmp.Diff(other, foreign.state("other")); diff != "" {
				t.Errorf("the other connection changed (-before +after):\n%s", diff)
			}
			if strings.Contains(a.body, tenantMarker) && !strings.Contains(row.Path+string(row.Body), "<theirName>") {
				t.Errorf("the answer tells of the other connection: %s", a.body)
			}
			if diff := cmp.Diff(unknown.send(row), foreign.hide(a), cmp.AllowUnexported(reply{})); diff != "" {
				t.Errorf("a foreign thing differs from an unknown one (-unknown +foreign):\n%s", diff)
			}
		})
		if changed != "" || !ok {
			foreign = nil
		}
	}
}

// check compares an answer with what the row wants.
func (row tenantRow) check(t *testing.T, a reply) {
	t.Helper()
	if a.status != row.Status {
		t.Fatalf("status %d, want %d; body %s", a.status, row.Status, a.body)
	}
	if a.status >= 400 {
		checkError(t, a, row.ScimType, "")
		return
	}
	if row.Total != nil {
		if got := a.json(t)["totalResults"]; got != float64(*row.Total) {
			t.Errorf("totalResults %v, want %d", got, *row.Total)
		}
	}
	if row.Operations == nil {
		return
	}
	statuses := []string{}
	for _, op := range a.json(t)["Operations"].([]any) {
		statuses = append(statuses, op.(map[string]any)["status"].(string))
	}
	if diff := cmp.Diff(row.Operations, statuses); diff != "" {
		t.Errorf("operations (-want +got):\n%s\n%s", diff, a.body)
	}
}

// hide puts the words of nobody in the place of other's.
func (tn *tenants) hide(a reply) reply {
	pairs := []string{}
	for i, word := range nobodys(tn.their) {
		pairs = append(pairs, tn.their[i], word)
	}
	replacer := strings.NewReplacer(pairs...)
	a.body = replacer.Replace(a.body)
	a.header = a.header.Clone()
	for _, values := range a.header {
		for i := range values {
			values[i] = replacer.Replace(values[i])
		}
	}
	return a
}

// eachStore runs a test with each store.
func eachStore(t *testing.T, name string, test func(*testing.T, func(*testing.T) store.Store)) {
	t.Helper()
	for kind, open := range stores {
		t.Run(name+" "+kind, func(t *testing.T) { test(t, open) })
	}
}

// The tenant comes from the credential alone: with that of acme, every route of
// another connection is not there, and without one nothing is.
func TestTenantOfEveryRoute(t *testing.T) {
	for name, router := range map[string]func(*scim.Handler) http.Handler{
		"path value": func(h *scim.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/scim/{connection}/v2/", h)
			return mux
		},
		"Prefix": func(h *scim.Handler) http.Handler {
			h.Prefix = "/scim/{connection}/v2"
			return h
		},
	} {
		eachStore(t, name, func(t *testing.T, open func(*testing.T) store.Store) {
			tn := newTenants(t, open(t), "", true)
			tn.handler.(*scim.Handler).Address = func(r *http.Request) string { return r.URL.Path }
			tn.handler = router(tn.handler.(*scim.Handler))
			acme, other := tn.state("acme"), tn.state("other")
			for _, route := range scim.Routes() {
				method, path, _ := strings.Cut(route, " /")
				for _, endpoint := range []string{"Users/" + tn.their[0], "Groups/" + tn.their[1]} {
					collection, id, _ := strings.Cut(endpoint, "/")
					resource := strings.Replace(strings.Replace(path, "*/*", collection+"/"+id, 1), "*", collection, 1)
					for token, want := range map[string]int{acmeToken: 404, "": 401, otherToken[1:]: 401} {
						body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"externalId","value":"mine"}]}`
						if method == "GET" || method == "DELETE" {
							body = ""
						}
						a := tn.do(method, "/scim/other/v2/"+resource, token, body)
						if a.status != want {
							t.Errorf("%s /%s: %d, want %d", method, resource, a.status, want)
						}
						checkError(t, a, "", "")
					}
				}
			}
			if diff := cmp.Diff([]state{acme, other}, []state{tn.state("acme"), tn.state("other")}); diff != "" {
				t.Errorf("something changed (-before +after):\n%s", diff)
			}
		})
	}
}
