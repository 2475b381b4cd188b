package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// heap is how much memory is in use at the points of a request where it is looked at:
// before operations of a bulk request, behind reads of the store, and before the
// answer is written. The request waits meanwhile, so that nothing is counted but what
// it holds.
type heap struct {
	before, peak uint64
	views        int
}

// look looks again where there is more than before. What a request gives back to a pool
// belongs to nobody, and survives one collection but not a second.
func (h *heap) look() {
	if n := inUse(); n > h.peak {
		h.peak = max(h.peak, inUse())
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (h *heap) begin() {
	inUse()
	h.before, h.views = inUse(), 0
	h.peak = h.before
}

func (h *heap) grown() int64 { return int64(h.peak - h.before) } //nolint:gosec // far from the largest

// heapStore looks at the heap when something large may have been read.
type heapStore struct {
	store.Store
	heap *heap
}

func (s heapStore) View(ctx context.Context, scope string, fn func(context.Context, store.Reader) error) error {
	err := s.Store.View(ctx, scope, fn)
	if s.heap.views++; s.heap.views < 5 || s.heap.views%50 == 0 { // to look takes its time
		s.heap.look()
	}
	return err
}

// counted is an answer that is counted and not kept.
type counted struct {
	header http.Header
	status int
	size   int
	heap   *heap
}

func (c *counted) Header() http.Header { return c.header }

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.heap.look()
}

func (c *counted) Write(p []byte) (int, error) {
	c.size += len(p)
	return len(p), nil
}

// hostile is a directory in which requests can cost much.
type hostile struct {
	*service
	store store.Store
	fat   []string // users of 940 kB
	many  []string // users of many values
	crews []string // groups of many members
	crowd []string // users in them

	legion string   // a group of 200,000 members
	ranks  []string // users in it
}

func newHostile(t *testing.T, st store.Store) *hostile {
	h := &hostile{service: newService(t, st, "okta"), store: st}
	h.handler.(*scim.Handler).Limits = scim.Limits{Rate: -1, ScanRows: 500_000, ScanTime: time.Hour}
	text := strings.Repeat("x", 60_000)
	for i := range 40 {
		var b strings.Builder
		for k := range 15 {
			fmt.Fprintf(&b, `,{"type":"t%d","formatted":"%s"}`, k, text)
		}
		h.fat = append(h.fat, h.must("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"fat%d","addresses":[%s]}`, i, b.String()[1:])))
	}
	for i := range 2 {
		var b strings.Builder
		for k := range 18_000 {
			fmt.Fprintf(&b, `,{"value":"%06d@hostile.example.com","type":"w"}`, k)
		}
		h.many = append(h.many, h.must("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"many%d","emails":[%s]}`, i, b.String()[1:])))
	}
	for i := range 5 {
		h.crews = append(h.crews, h.must("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"crew%d"}`, i)))
	}
	h.crowd = h.fill("memberinthecrowd", 12_000, h.crews...)
	h.legion = h.must("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"legion"}`)
	h.ranks = h.fill("memberinthelegion", 200_000, h.legion)
	return h
}

// fill puts users into groups, behind the handler.
func (h *hostile) fill(prefix string, n int, groups ...string) (ids []string) {
	err := h.store.Update(h.t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		ids = nil
		now := time.Now().UTC()
		for i := range n {
			id := fmt.Sprintf("%s%010d", prefix, i)
			ids = append(ids, id)
			r := &store.Resource{ID: id, Type: provision.TypeUser, Version: 1, Created: now, Modified: now, Display: id, Document: store.Document("{}"), Keys: []store.Key{}}
			if err := tx.PutResource(r); err != nil {
				return err
			}
			for _, group := range groups {
				if _, err := tx.PutMembership(store.Membership{Group: group, Member: id, Source: store.SourceSCIM, Kind: provision.TypeUser}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return ids
}

// repeat is a bulk request of n operations.
func repeat(n int, operation func(i int) string) string {
	operations := make([]string, n)
	for i := range operations {
		operations[i] = operation(i)
	}
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

func patchOf(path string, i int, attribute string) string {
	return fmt.Sprintf(`{"method":"PATCH","path":"%s","data":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"%s","value":"new %d"}]}}`, path, attribute, i)
}

// hostileRequest is a request that could cost much more than it is worth.
type hostileRequest struct{ name, method, path, body string }

func (h *hostile) requests() []hostileRequest {
	const schemas = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],`
	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"x"}]}`
	rename := func(i int) string {
		return fmt.Sprintf(`{"method":"PUT","path":"/Groups/%s","data":%s"displayName":"crew of %d"}}`, h.crews[0], schemas, i)
	}
	members := schemas + `"displayName":"crew1","members":[{"value":"` + strings.Join(h.crowd, `"},{"value":"`) + `"}]}`
	name := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"legion x"}]}`
	legion := schemas + `"displayName":"legion","members":[{"value":"` + strings.Join(h.ranks, `"},{"value":"`) + `"}]}`
	operations := make([]string, 1000)
	for i := range operations {
		operations[i] = fmt.Sprintf(`{"op":"replace","path":"title","value":"x%d"}`, i)
	}
	wide := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(operations, ",") + `]}`
	nested := repeat(1000, func(i int) string {
		members := `[]`
		if i > 0 && i%99 != 0 { // more levels are refused
			members = fmt.Sprintf(`[{"value":"bulkId:g%d"}]`, i-1)
		}
		return fmt.Sprintf(`{"method":"POST","path":"/Groups","bulkId":"g%d","data":%s"displayName":"nested %d","members":%s}}`, i, schemas, i, members)
	})
	return []hostileRequest{
		{"PATCH of long values, 100 times", "POST", "/Bulk", repeat(100, func(i int) string { return patchOf("/Users/"+h.fat[0], i, "title") })},
		{"PATCH of many values, 40 times", "POST", "/Bulk", repeat(40, func(i int) string { return patchOf("/Users/"+h.many[0], i, "title") })},
		{"rename by PATCH, 100 times", "POST", "/Bulk", repeat(100, func(i int) string { return patchOf("/Groups/"+h.crews[0], i, "displayName") })},
		{"rename by PUT, 100 times", "POST", "/Bulk", repeat(100, rename)},
		{"users", "GET", "/Users?count=1000", ""},
		{"users, sorted", "GET", "/Users?count=1000&sortBy=userName", ""},
		{"users by a filter", "GET", "/Users?count=1000&filter=" + url.QueryEscape(`userName co "a"`), ""},
		{"users by a filter that finds nobody", "GET", "/Users?count=1000&filter=" + url.QueryEscape(`title co "zzz"`), ""},
		{"users by cursor", "GET", "/Users?count=1000&cursor=", ""},
		{"users by a search", "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":1000}`},
		{"names of users", "GET", "/Users?count=1000&attributes=userName", ""},
		{"everything", "GET", "/?count=1000", ""},
		{"groups", "GET", "/Groups?count=1000", ""},
		{"groups, sorted", "GET", "/Groups?count=1000&sortBy=displayName", ""},
		{"some of many values", "GET", "/Users/" + h.many[0] + "?attributes=emails.value", ""},
		{"a group", "GET", "/Groups/" + h.crews[0], ""},
		{"a large group", "GET", "/Groups/" + h.legion, ""},
		{"some of a large group", "GET", "/Groups/" + h.legion + "?attributes=members.value", ""},
		{"rename of a large group, with its members", "PATCH", "/Groups/" + h.legion + "?attributes=members", name},
		{"PUT of the members of a large group", "PUT", "/Groups/" + h.legion, legion},
		{"groups, from a large one", "GET", "/Groups?startIndex=6", ""},
		{"groups by cursor, from a large one", "GET", "/Groups?cursor=&sortBy=displayName&sortOrder=descending", ""},
		{"PUT that empties a large group", "PUT", "/Groups/" + h.legion, schemas + `"displayName":"legion","members":[]}`},
		{"PATCH of long values", "PATCH", "/Users/" + h.fat[0], patch},
		{"PATCH of long values, 1,000 operations", "PATCH", "/Users/" + h.fat[0], wide},
		{"deep filter", "GET", "/Users?count=1000&filter=" + url.QueryEscape(strings.Repeat("not (", 12)+`title pr`+strings.Repeat(")", 12)), ""},
		{"wide filter", "GET", "/Users?count=1000&filter=" + url.QueryEscape(strings.Repeat(`title co "x" or `, 9)+`title co "x"`), ""},
		{"nested groups", "POST", "/Bulk", nested},
		{"PUT of members", "PUT", "/Groups/" + h.crews[1], members},
		{"PATCH of many values", "PATCH", "/Users/" + h.many[0], patch},
	}
}

// TestPeakMemory bounds what hostile requests hold: ten times their body and the
// limit of an answer, and nothing that grows with how often a request asks for
// something. What one operation decodes, and lets go, is not looked at.
func TestPeakMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector takes memory of its own, and ten minutes for this")
	}
	const (
		answer = 8 << 20 // the default of Limits.Answer
		slack  = 2 << 20 // what stores and caches keep
	)
	file, err := sqlite.Open(t.Context(), sqlite.Config{Path: t.TempDir() + "/test.db", Synchronous: sqlite.Normal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	for name, st := range map[string]store.Store{"memory": memory.New(), "sqlite": file} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, st)
			seen := &heap{}
			h.engine.Store = heapStore{st, seen}
			operations := 0
			h.handler.(*scim.Handler).Before = func(context.Context, scim.Operation) error {
				if operations++; operations%20 == 0 {
					seen.look()
				}
				return nil
			}
			for _, test := range h.requests() {
				r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
				r.Header.Set("Authorization", "Bearer "+acmeToken)
				r.Header.Set("Content-Type", "application/scim+json")
				w := &counted{header: http.Header{}, heap: seen}
				seen.begin()
				h.handler.ServeHTTP(w, r)
				most := int64(10*len(test.body) + answer + slack)
				if w.status != http.StatusOK || seen.grown() > most {
					t.Errorf("%s: status %d, a body of %d bytes and an answer of %d took %d bytes, want at most %d", test.name, w.status, len(test.body), w.size, seen.grown(), most)
				}
			}
		})
	}
}
