package scim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision/store/memory"
)

// A hundred levels of groups may be, and no more: the refusal names the member and
// its place, whatever the request, and the next request is answered as before.
func TestTooDeepGroups(t *testing.T) {
	s := newService(t, memory.New(), "")
	top := s.must("POST", "/Groups", `{"displayName":"level 1"}`)
	bottom := top
	for i := range 99 {
		members := fmt.Sprintf(`"members":[{"value":%q}]`, top)
		top = s.must("POST", "/Groups", fmt.Sprintf(`{"displayName":"level %d",%s}`, i+2, members))
	}
	other := s.must("POST", "/Groups", `{"displayName":"other"}`)
	user := s.must("POST", "/Users", `{"userName":"ada"}`)
	ops := func(ops string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`
	}
	bulk := func(op string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + op + `]}`
	}
	for _, test := range []struct {
		name, method, path, body string
		status                   int // that counts; of a bulk request that of the operation
		member, place            string
	}{
		{"POST", "POST", "/Groups", `{"displayName":"x","members":[{"value":"USER"},{"value":"TOP"}]}`, 400, top, "members[1].value"},
		{"PUT", "PUT", "/Groups/OTHER", `{"displayName":"other","members":[{"value":"TOP"}]}`, 400, top, "members[0].value"},
		{"PATCH", "PATCH", "/Groups/OTHER", ops(`{"op":"add","path":"members","value":[{"value":"USER"},{"value":"TOP"}]}`), 400, top, "members[1].value"},
		{"PATCH without path", "PATCH", "/Groups/OTHER", ops(`{"op":"replace","value":{"members":[{"value":"TOP"}]}}`), 400, top, "members[0].value"},
		{"PATCH of the bottom", "PATCH", "/Groups/BOTTOM", ops(`{"op":"add","path":"members","value":[{"value":"OTHER"}]}`), 400, other, "members[0].value"},
		{"bulk", "POST", "/Bulk", bulk(`{"method":"POST","path":"/Groups","bulkId":"q","data":{"displayName":"x","members":[{"value":"TOP"}]}}`), 400, top, "members[0].value"},
		{"a ring", "PATCH", "/Groups/BOTTOM", ops(`{"op":"add","path":"members","value":[{"value":"TOP"}]}`), 204, "", ""},
		{"a user at the bottom", "PATCH", "/Groups/BOTTOM", ops(`{"op":"add","path":"members","value":[{"value":"USER"}]}`), 204, "", ""},
		{"nothing new", "PUT", "/Groups/TOP", `{"displayName":"top"}`, 200, "", ""},
	} {
		fill := strings.NewReplacer("TOP", top, "OTHER", other, "USER", user, "BOTTOM", bottom)
		a := s.do(test.method, fill.Replace(test.path), acmeToken, fill.Replace(test.body))
		if test.member == "" {
			if a.status != test.status {
				t.Errorf("%s: %d %s", test.name, a.status, a.body)
			}
			continue
		}
		want := fmt.Sprintf(`%s \"%s\": groups would be nested in more than 100 levels [too_deep_groups]`, test.place, test.member)
		if !strings.Contains(a.body, want) || !strings.Contains(a.body, `"invalidValue"`) || !strings.Contains(a.body, fmt.Sprintf(`"%d"`, test.status)) {
			t.Errorf("%s: %d %s, want %s", test.name, a.status, a.body, want)
		}
	}
}
