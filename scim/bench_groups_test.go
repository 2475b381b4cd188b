package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// BenchmarkPersonInGroups changes somebody who is in many groups: the title, which no
// policy reads, and active, by which the account is derived again. The answer is the
// whole user, or all but the groups, or without a member of a group that is added and
// removed in turn.
func BenchmarkPersonInGroups(b *testing.B) {
	requests := []struct {
		name, query string
		bodies      [2]string
	}{
		{"title/answer=all", "", [2]string{`{"op":"replace","path":"title","value":"A"}`, `{"op":"replace","path":"title","value":"B"}`}},
		{"title/answer=no-groups", "excludedAttributes=groups", [2]string{`{"op":"replace","path":"title","value":"A"}`, `{"op":"replace","path":"title","value":"B"}`}},
		{"active/answer=no-groups", "excludedAttributes=groups", [2]string{`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"active","value":true}`}},
	}
	for _, k := range kinds()[:2] {
		for _, r := range requests {
			for _, n := range []int{10, 100, 1_000} {
				b.Run(fmt.Sprintf("%s/change=%s/groups=%d", k.name, r.name, n), func(b *testing.B) {
					s := k.open(b, 1)
					s.putInGroups(b, s.users[0], n)
					bodies := [2][]byte{[]byte(patchRequest(r.bodies[0])), []byte(patchRequest(r.bodies[1]))}
					c := newClient(s.handler, s.token)
					measure(b, func(i int) {
						c.do(b, http.StatusOK, http.MethodPatch, "/Users/"+s.users[0], r.query, bodies[i%2])
					})
				})
			}
		}
	}
}

// To change what no policy reads decodes and copies no group, however many somebody is
// in. A store on a disk reads their row.
func TestTitleOfSomebodyInGroups(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has pools forget")
	}
	const requests, most = 20, 1_000
	for _, k := range kinds()[:2] {
		t.Run(k.name, func(t *testing.T) {
			var bytes [2]uint64 // of a request
			for i, n := range []int{10, most} {
				s := k.open(t, 1)
				s.putInGroups(t, s.users[0], n)
				c := newClient(s.handler, s.token)
				var before, after runtime.MemStats
				for title := range 2 * requests {
					if title == requests {
						runtime.ReadMemStats(&before)
					}
					body := patchRequest(fmt.Sprintf(`{"op":"replace","path":"title","value":"%d"}`, title))
					c.do(t, http.StatusOK, http.MethodPatch, "/Users/"+s.users[0], "excludedAttributes=groups", []byte(body))
				}
				runtime.ReadMemStats(&after)
				bytes[i] = (after.TotalAlloc - before.TotalAlloc) / requests
			}
			row := uint64(0)
			if k.onDisk {
				row = most * 70
			}
			if bytes[1] > bytes[0]*3/2+row {
				t.Errorf("%d bytes in 10 and 1,000 groups", bytes)
			}
		})
	}
}

// putInGroups writes groups with one member, and lets the account of the member
// follow.
func (s *server) putInGroups(tb testing.TB, user string, n int) {
	tb.Helper()
	err := s.store.Update(context.Background(), benchConnection, func(_ context.Context, tx store.Tx) error {
		now := time.Now().UTC()
		for i := range n {
			name := fmt.Sprintf("Group %d", i)
			r := &store.Resource{
				ID: fmt.Sprint("group", i), Type: provision.TypeGroup, Version: 1, Created: now, Modified: now, Display: name,
				Document: store.Document(`{"displayName":"` + name + `"}`), Keys: []store.Key{{Attribute: "displayName", Value: store.NameKey(name)}},
			}
			if err := tx.PutResource(r); err != nil {
				return err
			}
			if _, err := tx.PutMembership(store.Membership{Group: r.ID, Member: user, Source: store.SourceSCIM, Kind: provision.TypeUser}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	c := newClient(s.handler, s.token)
	for _, active := range []string{"false", "true"} {
		c.do(tb, http.StatusOK, http.MethodPatch, "/Users/"+user, "", []byte(patchRequest(`{"op":"replace","path":"active","value":`+active+`}`)))
	}
}
