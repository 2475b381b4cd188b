package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
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
