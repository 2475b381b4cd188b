package scim_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"testing"

	"github.com/scimjit/provision/store"
)

// The benchmarks of this package call handlers in process, through ServeHTTP, on
// directories of 10,000 users. Ours is measured whole, with authentication,
// derivation and events. docs/performance.md says what the peers do and has the
// last figures.

// BenchmarkHarness measures what the benchmarks themselves cost: making a body
// and calling a handler that only reads it and writes as many bytes.
func BenchmarkHarness(b *testing.B) {
	var buf []byte
	answer := appendBenchUser(nil, 0, "Pilot")
	c := newClient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf = buf[:r.ContentLength]
		_, _ = r.Body.Read(buf)
		_, _ = w.Write(answer)
	}), "")
	body := make([]byte, 0, 4096)
	buf = make([]byte, 4096)
	measure(b, func(i int) {
		body = appendBenchUser(body[:0], i, "Pilot")
		c.do(b, http.StatusOK, http.MethodPost, "/Users", "", body)
	})
}

// address is the path and query of a GET.
type address struct{ path, query string }

// benchReads measures GET of addresses, one after the other, for each kind of
// server and for a handler that does nothing but write the bytes that ours
// answered. Answers must contain what want says.
func benchReads(b *testing.B, want string, addresses func(s *server) []address) {
	run := func(b *testing.B, h http.Handler, token string, list []address) {
		c := newClient(h, token)
		c.do(b, http.StatusOK, http.MethodGet, list[0].path, list[0].query, nil)
		if !bytes.Contains(c.answer.body, []byte(want)) {
			b.Fatalf("the answer has no %s: %.400s", want, c.answer.body)
		}
		measure(b, func(i int) {
			a := list[i%len(list)]
			c.do(b, http.StatusOK, http.MethodGet, a.path, a.query, nil)
		})
	}
	recorded := recordedServer{}
	withUsers(b, func(b *testing.B, s *server) {
		list := addresses(s)
		if s.store != nil && len(recorded) == 0 {
			recorded.record(b, s, list)
		}
		run(b, s.handler, s.token, list)
	})
	if len(recorded) == 0 {
		return // -bench left ours out
	}
	b.Run(fmt.Sprintf("peer=bytes/users=%d", benchUsers), func(b *testing.B) {
		list := make([]address, 0, len(recorded))
		for a := range maps.Keys(recorded) {
			list = append(list, a)
		}
		run(b, recorded, "", list)
	})
}

// recordedServer writes recorded answers: nothing that answers these bytes can
// do less.
type recordedServer map[address][]byte

func (s recordedServer) record(tb testing.TB, from *server, list []address) {
	c := newClient(from.handler, from.token)
	for _, a := range list {
		c.do(tb, http.StatusOK, http.MethodGet, a.path, a.query, nil)
		s[a] = bytes.Clone(c.answer.body)
	}
}

func (s recordedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/scim+json")
	_, _ = w.Write(s[address{r.URL.Path, r.URL.RawQuery}])
}

// BenchmarkGet gets one user by id.
func BenchmarkGet(b *testing.B) {
	benchReads(b, `"meta":{`, func(s *server) []address {
		list := make([]address, len(s.users))
		for n, id := range s.users {
			list[n] = address{path: "/Users/" + id}
		}
		return list
	})
}

// BenchmarkFilterUserName finds one user by userName.
func BenchmarkFilterUserName(b *testing.B) { benchFilter(b, "userName", benchUserName) }

// BenchmarkFilterExternalID finds one user by externalId.
func BenchmarkFilterExternalID(b *testing.B) { benchFilter(b, "externalId", benchExternalID) }

func benchFilter(b *testing.B, attribute string, value func(n int) string) {
	benchReads(b, `otalResults":1`, func(s *server) []address {
		list := make([]address, len(s.users))
		for n := range s.users {
			list[n] = address{"/Users", filterQuery(attribute, value(n))}
		}
		return list
	})
}

// BenchmarkList lists 100 users, page after page.
func BenchmarkList(b *testing.B) {
	benchReads(b, fmt.Sprintf(`otalResults":%d`, benchUsers), func(s *server) []address {
		list := make([]address, benchUsers/100)
		for i := range list {
			list[i] = address{"/Users", fmt.Sprintf("startIndex=%d&count=100", 100*i+1)}
		}
		return list
	})
}

// BenchmarkPost creates users. The directory grows by one with each operation.
func BenchmarkPost(b *testing.B) {
	withUsers(b, func(b *testing.B, s *server) {
		c := newClient(s.handler, s.token)
		body := make([]byte, 0, 4096)
		measure(b, func(i int) {
			body = appendBenchUser(body[:0], benchUsers+i, "Pilot")
			c.do(b, http.StatusCreated, http.MethodPost, "/Users", "", body)
		})
	})
}

// BenchmarkPut replaces a user by one with another title.
func BenchmarkPut(b *testing.B) {
	titles := [2]string{"Harbor Master", "Night Pilot"}
	withUsers(b, func(b *testing.B, s *server) {
		c := newClient(s.handler, s.token)
		paths := userPaths(s)
		body := make([]byte, 0, 4096)
		measure(b, func(i int) {
			n := i % len(paths)
			body = appendBenchUser(body[:0], n, titles[i/len(paths)%2])
			c.do(b, http.StatusOK, http.MethodPut, paths[n], "", body)
		})
	})
}

// BenchmarkPatchActive disables and enables users in turn. The answer is the
// whole user.
func BenchmarkPatchActive(b *testing.B) {
	bodies := [2][]byte{
		[]byte(patchRequest(`{"op":"replace","path":"active","value":false}`)),
		[]byte(patchRequest(`{"op":"replace","path":"active","value":true}`)),
	}
	withUsers(b, func(b *testing.B, s *server) {
		c := newClient(s.handler, s.token)
		paths := userPaths(s)
		measure(b, func(i int) {
			c.do(b, http.StatusOK, http.MethodPatch, paths[i%len(paths)], "", bodies[i/len(paths)%2])
		})
	})
}

func patchRequest(operation string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
}

func userPaths(s *server) []string {
	paths := make([]string, len(s.users))
	for n, id := range s.users {
		paths[n] = "/Users/" + id
	}
	return paths
}

// BenchmarkGroupAdd adds one member to a group by one PATCH and removes it by
// the next, so that the group keeps its size: half of the operations are adds
// and half removes. The member is another one each time. Ours and the floor
// answer 204, elimity's server the whole group.
func BenchmarkGroupAdd(b *testing.B) {
	sizes := []int{10, 1_000, 10_000, 100_000}
	for _, k := range kinds() {
		b.Run(k.name, func(b *testing.B) {
			s := k.open(b, 100)
			groups := s.fillGroups(b, sizes)
			for i, size := range sizes {
				b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) { benchGroup(b, s, "/Groups/"+groups[i]) })
			}
		})
	}
}

func benchGroup(b *testing.B, s *server, path string) {
	want := http.StatusNoContent
	if s.peer != nil {
		want = http.StatusOK
	}
	bodies := make([][]byte, 0, 2*len(s.users))
	for _, id := range s.users {
		bodies = append(bodies,
			[]byte(patchRequest(`{"op":"add","path":"members","value":[{"value":"`+id+`"}]}`)),
			[]byte(patchRequest(`{"op":"remove","path":"members[value eq \"`+id+`\"]"}`)))
	}
	c := newClient(s.handler, s.token)
	measure(b, func(i int) {
		c.do(b, want, http.MethodPatch, path, "", bodies[i%len(bodies)])
	})
	if b.N%2 == 1 {
		c.do(b, want, http.MethodPatch, path, "", bodies[b.N%len(bodies)])
	}
}

// BenchmarkMemory measures what a user costs to keep: bytes/user without the
// retained events, and event-bytes/user for the one event of its creation.
func BenchmarkMemory(b *testing.B) {
	const users = 20_000
	for _, k := range kinds() {
		if k.onDisk {
			continue
		}
		b.Run(k.name, func(b *testing.B) {
			for b.Loop() {
				before := liveHeap()
				s := k.open(b, users)
				s.users = nil
				filled := liveHeap()
				kept := filled
				if s.store != nil {
					s.pruneEvents(b)
					kept = liveHeap()
					b.ReportMetric(float64(filled-kept)/users, "event-bytes/user")
				}
				b.ReportMetric(float64(kept-before)/users, "bytes/user")
				runtime.KeepAlive(s)
			}
		})
	}
}

// liveHeap returns how many bytes are reachable. It collects twice, since the
// first collection only moves pools to their victim caches.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (s *server) pruneEvents(tb testing.TB) {
	tb.Helper()
	err := s.store.Update(context.Background(), benchConnection, func(_ context.Context, tx store.Tx) error {
		_, last, err := tx.EventRange()
		if err != nil {
			return err
		}
		_, err = tx.PruneEvents(last)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}
