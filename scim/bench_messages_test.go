package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// withStores runs fn on our stores only, for what the peers do not have.
func withStores(b *testing.B, fn func(b *testing.B, s *server)) {
	for _, k := range kinds() {
		if !strings.HasPrefix(k.name, "store=") {
			continue
		}
		b.Run(k.name, func(b *testing.B) { fn(b, k.open(b, 1000)) })
	}
}

// BenchmarkSearch finds a user by POST .search.
func BenchmarkSearch(b *testing.B) {
	withStores(b, func(b *testing.B, s *server) {
		c := newClient(s.handler, s.token)
		measure(b, func(i int) {
			body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName eq \"%s\""}`,
				benchUserName(i%len(s.users)))
			c.do(b, http.StatusOK, http.MethodPost, "/Users/.search", "", []byte(body))
		})
	})
}

// BenchmarkBulk changes 100 users: in one bulk request, and by as many requests
// of their own.
func BenchmarkBulk(b *testing.B) {
	const operations = 100
	operation := func(active bool) string {
		return fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, active)
	}
	withStores(b, func(b *testing.B, s *server) {
		var whole [2][]byte
		for i := range whole {
			list := make([]string, operations)
			for n := range list {
				list[n] = fmt.Sprintf(`{"method":"PATCH","path":"/Users/%s","data":%s}`, s.users[n], patchRequest(operation(i == 1)))
			}
			whole[i] = []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(list, ",") + `]}`)
		}
		c := newClient(s.handler, s.token)
		b.Run("one request", func(b *testing.B) {
			measure(b, func(i int) { c.do(b, http.StatusOK, http.MethodPost, "/Bulk", "", whole[i%2]) })
		})
		paths := userPaths(s)
		b.Run("100 requests", func(b *testing.B) {
			measure(b, func(i int) {
				body := []byte(patchRequest(operation(i%2 == 1)))
				for n := range operations {
					c.do(b, http.StatusOK, http.MethodPatch, paths[n], "", body)
				}
			})
		})
	})
}

// BenchmarkPatchShapes applies the same change in the shapes that identity
// providers send.
func BenchmarkPatchShapes(b *testing.B) {
	shapes := []struct{ name, operation string }{
		{"rfc", `{"op":"replace","path":"active","value":%t}`},
		{"okta", `{"op":"replace","value":{"active":%t}}`},
		{"entra", `{"op":"Replace","path":"active","value":"%t"}`},
		{"entra-email", `{"op":"Replace","path":"emails[type eq \"work\"].display","value":"%t"}`},
		{"entra-keys", `{"op":"replace","value":{"name.middleName":"%t","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division":"%[1]t"}}`},
	}
	withStores(b, func(b *testing.B, s *server) {
		c := newClient(s.handler, s.token)
		paths := userPaths(s)
		for _, shape := range shapes {
			b.Run("shape="+shape.name, func(b *testing.B) {
				measure(b, func(i int) {
					body := []byte(patchRequest(fmt.Sprintf(shape.operation, i/len(paths)%2 == 0)))
					c.do(b, http.StatusOK, http.MethodPatch, paths[i%len(paths)], "", body)
				})
			})
		}
	})
}
