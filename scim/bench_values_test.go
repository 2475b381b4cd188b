package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// BenchmarkValues writes a user with many e-mails, in each way in which a client
// can: nothing may cost more than n log n of them. 40,000 are what fits into a body.
// held-ns/op is how long an operation keeps the other writers of the connection
// waiting, the commit apart.
func BenchmarkValues(b *testing.B) {
	stores := []struct {
		name string
		open func(b *testing.B) store.Store
	}{
		{"memory", func(*testing.B) store.Store { return memory.New() }},
		{"sqlite", func(b *testing.B) store.Store { return openSQLite(b, b.TempDir(), sqlite.Full) }},
	}
	for _, st := range stores {
		for _, operation := range valueOperations() {
			for _, n := range []int{1_000, 10_000, 40_000} {
				b.Run(fmt.Sprintf("store=%s/operation=%s/values=%d", st.name, operation.name, n), func(b *testing.B) {
					benchValues(b, &heldStore{Store: st.open(b)}, operation, n)
				})
			}
		}
	}
}

func benchValues(b *testing.B, st *heldStore, operation valueOperation, n int) {
	s := newServer(b, st, benchConnection)
	c := newClient(s.handler, s.token)
	id, err := c.create("/Users", manyEmails(nil, "many", "Pilot", n))
	if err != nil {
		b.Fatal(err)
	}
	bodies := [2][]byte{operation.body(n, 0), operation.body(n, 1)}
	st.held = 0
	measure(b, func(i int) {
		body := bodies[i%2]
		if operation.method == http.MethodPost {
			body = manyEmails(body[:0], strconv.Itoa(i), "Pilot", n)
			c.do(b, http.StatusCreated, http.MethodPost, "/Users", "excludedAttributes=emails", body)
			return
		}
		c.do(b, http.StatusOK, operation.method, "/Users/"+id, "excludedAttributes=emails", body)
	})
	b.ReportMetric(float64(st.held)/float64(b.N), "held-ns/op")
}

// heldStore measures how long transactions run.
type heldStore struct {
	store.Store
	held time.Duration
}

func (s *heldStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		defer func(start time.Time) { s.held += time.Since(start) }(time.Now())
		return fn(ctx, tx)
	})
}

// valueOperation is a way to write a user with n e-mails; body is another one in
// turn.
type valueOperation struct {
	name, method string
	body         func(n, turn int) []byte
}

func valueOperations() []valueOperation {
	patch := func(name string, operation func(n, turn int) string) valueOperation {
		return valueOperation{name: "patch-" + name, method: http.MethodPatch, body: func(n, turn int) []byte {
			return []byte(patchRequest(operation(n, turn)))
		}}
	}
	titles := [2]string{"Harbor Master", "Night Pilot"}
	return []valueOperation{
		{name: "post", method: http.MethodPost, body: func(n, turn int) []byte { return nil }},
		{name: "put-title", method: http.MethodPut, body: func(n, turn int) []byte { return manyEmails(nil, "many", titles[turn], n) }},
		patch("title", func(_, turn int) string {
			return `{"op":"replace","path":"title","value":"` + titles[turn] + `"}`
		}),
		patch("add-and-remove-one", func(_, turn int) string {
			return [2]string{
				`{"op":"add","path":"emails","value":[{"value":"x@e.c"}]}`,
				`{"op":"remove","path":"emails[value eq \"x@e.c\"]"}`,
			}[turn]
		}),
		patch("add-all", func(n, turn int) string {
			return `{"op":"add","value":{"title":"` + titles[turn] + `","emails":` + string(appendEmails(nil, "", n)) + `}}`
		}),
		patch("replace-all", func(n, turn int) string {
			return `{"op":"replace","path":"emails","value":` + string(appendEmails(nil, []string{"", "y"}[turn], n)) + `}`
		}),
		patch("replace-found", func(n, turn int) string {
			return `{"op":"replace","path":"emails[value eq \"` + strconv.Itoa(n/2) + `@e.c\"].display","value":"` + titles[turn] + `"}`
		}),
	}
}

// manyEmails appends a user with n e-mails, which begin with the user name but for
// that of "many".
func manyEmails(b []byte, userName, title string, n int) []byte {
	prefix := userName + "."
	if userName == "many" {
		prefix = ""
	}
	b = append(b, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+userName+`","title":"`+title+`","emails":`...)
	return append(appendEmails(b, prefix, n), '}')
}

func appendEmails(b []byte, prefix string, n int) []byte {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"value":"`...)
		b = append(b, prefix...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `@e.c"}`...)
	}
	return append(b, ']')
}
