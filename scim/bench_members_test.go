package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// BenchmarkMemberFilters sends a PATCH of a group with many operations that select
// members, and another that undoes it in turn where it changes anything.
func BenchmarkMemberFilters(b *testing.B) {
	sizes := []int{1_000, 10_000, 100_000}
	many := func(n int, operation func(i int) string) []byte {
		list := make([]string, n)
		for i := range list {
			list[i] = operation(i)
		}
		return []byte(patchRequest(strings.Join(list, ",")))
	}
	requests := []struct {
		name   string
		bodies [][]byte
	}{
		{"operations=100/filter=display-eq", [][]byte{many(100, func(int) string {
			return `{"op":"add","path":"members[display eq \"member1000001\"]","value":{"value":"member1000001"}}`
		})}},
		{"operations=1000/filter=value-eq", [][]byte{
			many(1000, func(i int) string { return replaceMember(i, "member", "other") }),
			many(1000, func(i int) string { return replaceMember(i, "other", "member") }),
		}},
	}
	for _, k := range kinds()[:2] {
		for _, r := range requests {
			for _, size := range sizes {
				b.Run(fmt.Sprintf("%s/%s/members=%d", k.name, r.name, size), func(b *testing.B) {
					s := k.open(b, 1)
					groups := s.fillGroups(b, []int{size})
					s.putOthers(b, 1000)
					c := newClient(s.handler, s.token)
					measure(b, func(i int) {
						c.do(b, http.StatusNoContent, http.MethodPatch, "/Groups/"+groups[0], "", r.bodies[i%len(r.bodies)])
					})
				})
			}
		}
	}
}

func replaceMember(i int, from, to string) string {
	n := string(appendNumber(nil, i))
	return `{"op":"replace","path":"members[value eq \"` + from + n + `\"]","value":{"value":"` + to + n + `"}}`
}

// holding is a store that tells how long an update had the writer of its connection at
// most.
type holding struct {
	store.Store
	longest time.Duration
}

func (h *holding) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return h.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		began := time.Now()
		defer func() { h.longest = max(h.longest, time.Since(began)) }()
		return fn(ctx, tx)
	})
}

// BenchmarkReplaceMembers replaces the members of a group by a PUT: with the same, with
// one less and more in turn, and with all others in turn. It tells how long the writer
// was held at most.
func BenchmarkReplaceMembers(b *testing.B) {
	const size = 100_000
	list := func(name string, from, to int) []byte {
		var text strings.Builder
		text.WriteString(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew","members":[`)
		for i := from; i < to; i++ {
			if i > from {
				text.WriteByte(',')
			}
			text.WriteString(`{"value":"` + name + string(appendNumber(nil, i)) + `"}`)
		}
		text.WriteString(`]}`)
		return []byte(text.String())
	}
	all, less, others := list("member", 0, size), list("member", 1, size), list("other", 0, size)
	for _, k := range kinds()[:2] {
		b.Run(k.name, func(b *testing.B) {
			s := k.open(b, 1)
			path := "/Groups/" + s.fillGroups(b, []int{size})[0]
			s.putOthers(b, size)
			held := &holding{Store: s.store}
			s.handler.(*scim.Handler).Engine.Store = held
			c := newClient(s.handler, s.token)
			c.do(b, http.StatusOK, http.MethodPut, path, "excludedAttributes=members", all)
			for _, change := range []struct {
				name   string
				bodies [2][]byte
			}{{"same", [2][]byte{all, all}}, {"one", [2][]byte{less, all}}, {"all", [2][]byte{others, all}}} {
				b.Run("change="+change.name, func(b *testing.B) {
					held.longest = 0
					measure(b, func(i int) {
						c.do(b, http.StatusOK, http.MethodPut, path, "excludedAttributes=members", change.bodies[i%2])
					})
					b.ReportMetric(float64(held.longest.Microseconds())/1000, "held-ms")
				})
			}
		})
	}
}

// BenchmarkDeleteGroup deletes a group of many members, and tells how long the writer was
// held at most.
func BenchmarkDeleteGroup(b *testing.B) {
	for _, k := range kinds()[:2] {
		for _, size := range []int{1_000, 10_000} {
			b.Run(fmt.Sprintf("%s/members=%d", k.name, size), func(b *testing.B) {
				s := k.open(b, 1)
				held := &holding{Store: s.store}
				sizes := make([]int, b.N)
				for i := range sizes {
					sizes[i] = size + i // their names differ
				}
				groups := s.fillGroups(b, sizes)
				s.handler.(*scim.Handler).Engine.Store = held
				c := newClient(s.handler, s.token)
				b.ResetTimer()
				for _, group := range groups {
					c.do(b, http.StatusNoContent, http.MethodDelete, "/Groups/"+group, "", nil)
				}
				b.ReportMetric(float64(held.longest.Microseconds())/1000, "held-ms")
			})
		}
	}
}
