package scim_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// updateStore looks at the transactions of a request.
type updateStore struct {
	store.Store
	updates int
	before  func(update int) // nil, or called before each
	mallocs uint64           // inside the transactions
}

func (s *updateStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	if s.updates++; s.before != nil {
		s.before(s.updates)
	}
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		start := mallocs()
		defer func() { s.mallocs += mallocs() - start }()
		return fn(ctx, tx)
	})
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// TestLargeDocumentMoves has another write come between the reading of a large
// document and the transaction that writes it: neither is lost, and what is refused
// is what the document then refuses.
func TestLargeDocumentMoves(t *testing.T) {
	const values = 2_000
	patch := func(operation string) func() string { return func() string { return patchRequest(operation) } }
	tests := []struct {
		name, method string
		body         func() string
		other        string // the operation that comes between
		ifMatch      string
		want         int
		contains     []string
		lacks        string
	}{
		{
			name: "PATCH", method: http.MethodPatch, body: patch(`{"op":"replace","path":"title","value":"Captain"}`),
			other: `{"op":"replace","path":"nickName","value":"Ann"}`, want: http.StatusOK, contains: []string{`"title":"Captain"`, `"nickName":"Ann"`},
		},
		{
			name: "PATCH of what has come", method: http.MethodPatch, body: patch(`{"op":"remove","path":"emails[value eq \"new@e.c\"]"}`),
			other: `{"op":"add","path":"emails","value":{"value":"new@e.c"}}`, want: http.StatusOK, lacks: "new@e.c",
		},
		{
			name: "PATCH of what has gone", method: http.MethodPatch, body: patch(`{"op":"remove","path":"emails[value eq \"7@e.c\"]"}`),
			other: `{"op":"remove","path":"emails[value eq \"7@e.c\"]"}`, want: http.StatusBadRequest, contains: []string{"noTarget"},
		},
		{
			name: "PATCH of a version", method: http.MethodPatch, body: patch(`{"op":"replace","path":"title","value":"Captain"}`), ifMatch: `W/"1"`,
			other: `{"op":"replace","path":"nickName","value":"Ann"}`, want: http.StatusPreconditionFailed,
		},
		{
			name: "PUT", method: http.MethodPut, body: func() string { return string(manyEmails(nil, "many", "Captain", values)) },
			other: `{"op":"replace","path":"active","value":false}`, want: http.StatusOK, contains: []string{`"title":"Captain"`, `"active":true`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := &updateStore{Store: memory.New()}
			s := newServer(t, st, benchConnection)
			setDialect(t, s, "rfc") // which refuses what is not there
			c, other := newClient(s.handler, s.token), newClient(s.handler, s.token)
			id, err := c.create("/Users", manyEmails(nil, "many", "Pilot", values))
			if err != nil {
				t.Fatal(err)
			}
			moves := 2 // before the transaction that writes
			if test.method == http.MethodPut {
				moves = 1
			}
			st.updates = 0
			st.before = func(update int) {
				if update == moves {
					st.before = nil
					other.do(t, http.StatusOK, http.MethodPatch, "/Users/"+id, "", []byte(patchRequest(test.other)))
				}
			}
			if test.ifMatch != "" {
				c.request.Header.Set("If-Match", test.ifMatch)
			}
			c.do(t, test.want, test.method, "/Users/"+id, "", []byte(test.body()))
			if st.before != nil {
				t.Errorf("%d transactions: nothing came between", st.updates)
			}
			for _, want := range test.contains {
				if !strings.Contains(string(c.answer.body), want) {
					t.Errorf("no %s in %.300s", want, c.answer.body)
				}
			}
			if test.lacks != "" && strings.Contains(string(c.answer.body), test.lacks) {
				t.Errorf("%s is there", test.lacks)
			}
		})
	}
}

func setDialect(t *testing.T, s *server, dialect string) {
	t.Helper()
	directory := s.handler.(*scim.Handler).Engine.Directory(benchConnection).As(provision.Actor{Kind: "operator"})
	_, err := directory.UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Dialect = dialect
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestContentOutsideTransactions counts the allocations of transactions, which keep
// other writers waiting: they do not grow with the values of an attribute, as what the
// document becomes is made before.
func TestContentOutsideTransactions(t *testing.T) {
	inside := func(operation valueOperation, values int) uint64 {
		st := &updateStore{Store: memory.New()}
		s := newServer(t, st, benchConnection)
		c := newClient(s.handler, s.token)
		if operation.method == http.MethodPost {
			st.mallocs = 0
			c.do(t, http.StatusCreated, http.MethodPost, "/Users", "", manyEmails(nil, "many", "Pilot", values))
			return st.mallocs
		}
		id, err := c.create("/Users", manyEmails(nil, "many", "Pilot", values))
		if err != nil {
			t.Fatal(err)
		}
		st.mallocs = 0
		for turn := range 2 {
			c.do(t, http.StatusOK, operation.method, "/Users/"+id, "", operation.body(values, turn))
		}
		return st.mallocs
	}
	for _, operation := range valueOperations() {
		t.Run(operation.name, func(t *testing.T) {
			few, many := inside(operation, 2_000), inside(operation, 10_000)
			if many > 2*few+100 { // the index of the store grows at times
				t.Errorf("%d allocations for 2,000 values, %d for 10,000", few, many)
			}
		})
	}
}
