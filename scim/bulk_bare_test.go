package scim_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// partsStore notes which parts of resources transactions load.
type partsStore struct {
	store.Store
	loaded store.Parts
}

func (s *partsStore) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, &resultTx{Tx: partsTx{tx, s}, groups: func() { s.loaded |= store.WithGroups }})
	})
}

type partsTx struct {
	store.Tx
	store *partsStore
}

func (t partsTx) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	t.store.loaded |= with
	return t.Tx.Resource(typ, id, with)
}

// TestBulkAnswersWithoutResources says that a bulk request loads no groups and no
// members for answers that nobody asked for (RFC 7644 section 3.7.3), and that its
// answer is as small for large resources, whatever the request names.
func TestBulkAnswersWithoutResources(t *testing.T) {
	st := &partsStore{Store: memory.New()}
	s := newService(t, st, "rfc")
	ann := s.must("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann"}`)
	staff := s.must("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff","members":[{"value":"`+ann+`"}]}`)

	st.loaded = 0
	a := s.do("PUT", "/Users/"+ann, acmeToken, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann"}`)
	if a.status != http.StatusOK || st.loaded != store.WithGroups {
		t.Errorf("a PUT of a user alone: status %d, parts %b, want %b: does this test still see what is loaded?", a.status, st.loaded, store.WithGroups)
	}

	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"NAME","title":"` + strings.Repeat("x", 60_000) + `"}`
	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"PATH","value":"new"}]}`
	for _, op := range []struct{ name, method, path, data, status string }{
		{"POST of a user", "POST", "/Users", strings.Replace(user, "NAME", "bob", 1), "201"},
		{"PUT of a user", "PUT", "/Users/" + ann, strings.Replace(user, "NAME", "ann", 1), "200"},
		{"PATCH of a user", "PATCH", "/Users/" + ann, strings.Replace(patch, "PATH", "nickName", 1), "200"},
		{"PATCH that names attributes", "PATCH", "/Users/" + ann + "?attributes=title", strings.Replace(patch, "PATH", "nickName", 1), "404"},
		{"POST of a group", "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"New","members":[{"value":"` + ann + `"}]}`, "201"},
		{"PUT of a group", "PUT", "/Groups/" + staff, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff 2","members":[{"value":"` + ann + `"}]}`, "200"},
		{"PATCH of a group", "PATCH", "/Groups/" + staff, strings.Replace(patch, "PATH", "displayName", 1), "204"},
		{"DELETE of a group", "DELETE", "/Groups/" + staff, "null", "204"},
	} {
		st.loaded = 0
		a := s.do("POST", "/Bulk", acmeToken, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
			{"method":"`+op.method+`","path":"`+op.path+`","bulkId":"b","data":`+op.data+`}]}`)
		result, _ := a.json(t)["Operations"].([]any)
		if len(result) != 1 {
			t.Fatalf("%s: %s", op.name, a.body)
		}
		got, _ := result[0].(map[string]any)
		if got["status"] != op.status || st.loaded != 0 || len(a.body) > 700 {
			t.Errorf("%s: status %v, want %s; parts %b loaded; %d bytes: %.700s", op.name, got["status"], op.status, st.loaded, len(a.body), a.body)
		}
		if op.status < "300" && got["response"] != nil {
			t.Errorf("%s: the answer has the resource: %.700s", op.name, a.body)
		}
	}
}
