package patch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// message returns a PATCH body with operations.
func message(operations ...string) []byte {
	return []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(operations, ",") + `]}`)
}

func repeated(n int, operation string) []string {
	operations := make([]string, n)
	for i := range operations {
		operations[i] = operation
	}
	return operations
}

func TestParseLimits(t *testing.T) {
	const remove = `{"op":"remove","path":"nickName"}`
	nested := func(depth int) string {
		return `{"op":"add","value":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	}
	text := func(s string) string { return `{"op":"add","path":"nickName","value":"` + s + `"}` }
	tests := []struct {
		name    string
		decoder schema.Decoder
		limits  patch.Limits
		body    []byte
		want    string // the scimType
	}{
		{name: "operations up to the default", body: message(repeated(1000, remove)...)},
		{name: "operations beyond the default", body: message(repeated(1001, remove)...), want: "tooMany"},
		{name: "operations up to a limit", limits: patch.Limits{Operations: 2}, body: message(remove, remove)},
		{name: "operations beyond a limit", limits: patch.Limits{Operations: 2}, body: message(remove, remove, remove), want: "tooMany"},

		// The body, its Operations and the operation are three levels.
		{name: "depth up to the default", body: message(nested(29))},
		{name: "depth beyond the default", body: message(nested(30)), want: "invalidSyntax"},
		{name: "depth beyond a limit", decoder: schema.Decoder{MaxDepth: 4}, body: message(nested(2)), want: "invalidSyntax"},
		{name: "siblings are not depth", decoder: schema.Decoder{MaxDepth: 4}, body: message(repeated(9, nested(1))...)},
		{name: "brackets in texts are not depth", body: message(text(strings.Repeat(`[{\"`, 40)))},
		{name: "depth of a text that is not JSON", body: []byte(strings.Repeat("[", 1_000_000)), want: "invalidSyntax"},

		{name: "string up to the default", body: message(text(strings.Repeat("a", 64<<10)))},
		{name: "string beyond the default", body: message(text(strings.Repeat("a", 64<<10+1))), want: "invalidSyntax"},
		{name: "string counts what it stands for", body: message(text(strings.Repeat(`\u0061`, 64<<10)))},
		{name: "string of escapes beyond the default", body: message(text(strings.Repeat(`\u0061`, 64<<10+1))), want: "invalidSyntax"},
		{name: "string beyond a limit", decoder: schema.Decoder{MaxString: 50}, body: message(text(strings.Repeat("a", 51))), want: "invalidSyntax"},
		{name: "an ignored key beyond a limit", decoder: schema.Decoder{MaxString: 50}, body: message(`{"op":"remove","path":"a","` + strings.Repeat("k", 51) + `":1}`), want: "invalidSyntax"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := patch.Parse(&test.decoder, test.body, test.limits)
			if got := scimType(err); got != test.want {
				t.Errorf("error type %q (%v), want %q", got, err, test.want)
			}
			if got := errors.Is(err, patch.ErrTooManyOperations); got != (test.want == "tooMany") {
				t.Errorf("errors.Is(err, ErrTooManyOperations) is %t", got)
			}
			if (request == nil) != (err != nil) {
				t.Errorf("request %v with error %v", request, err)
			}
		})
	}
}

func TestApplyLimits(t *testing.T) {
	emails := make([]string, 100)
	for i := range emails {
		emails[i] = fmt.Sprintf(`{"value":"%d@example.com"}`, i)
	}
	list := strings.Join(emails, ",")
	many := `{"value":"0"}`
	for i := range 1000 {
		many += fmt.Sprintf(`,{"value":"%d"}`, i+1)
	}
	user := resourceType(t, "User")
	before := document(t, user, []byte(`{"userName":"babs","emails":[`+list+`]}`))
	const (
		found   = `{"op":"replace","path":"emails[value eq \"7@example.com\"].type","value":"work"}`
		edit    = `{"op":"replace","path":"emails[value sw \"7@\"].type","value":"work"}`
		addOne  = `{"op":"add","path":"emails","value":{"value":"x"}}`
		twice   = `{"op":"remove","path":"emails[value eq \"x\" or type ew \"y\"]"}`
		deep    = `{"op":"remove","path":"emails[((value pr))]"}`
		another = `{"op":"replace","path":"nickName","value":"B"}`
	)
	long := `{"op":"replace","path":"emails","value":[{"display":"` + strings.Repeat("a", 64*300) + `"}]}`
	tests := []struct {
		name       string
		limits     patch.Limits
		operations []string
		want       string
	}{
		{name: "elements up to a limit", limits: patch.Limits{Elements: 300}, operations: repeated(2, edit)},
		{name: "elements beyond a limit", limits: patch.Limits{Elements: 299}, operations: repeated(2, edit), want: "tooMany"},
		{name: "each term counts", limits: patch.Limits{Elements: 599}, operations: []string{twice, twice}, want: "tooMany"},
		{name: "each term counts up to a limit", limits: patch.Limits{Elements: 600}, operations: []string{twice, twice}},
		{name: "elements that eq finds", limits: patch.Limits{Elements: 1200}, operations: repeated(1000, found)},
		{name: "elements that eq finds beyond a limit", limits: patch.Limits{Elements: 1199}, operations: repeated(1000, found), want: "tooMany"},
		{name: "long elements count more", limits: patch.Limits{Elements: 300}, operations: []string{long, edit}, want: "tooMany"},
		{name: "elements without a filter", limits: patch.Limits{Elements: 99}, operations: []string{`{"op":"replace","path":"emails.type","value":"work"}`}, want: "tooMany"},
		{name: "elements of many adds", limits: patch.Limits{Elements: 1100}, operations: repeated(1000, addOne)},
		{name: "elements of an add", limits: patch.Limits{Elements: 99}, operations: []string{addOne}, want: "tooMany"},
		{name: "elements of a list to remove", limits: patch.Limits{Elements: 199}, operations: []string{`{"op":"remove","path":"emails","value":[` + list + `]}`}, want: "tooMany"},
		{name: "elements of a list to remove up to a limit", limits: patch.Limits{Elements: 200}, operations: []string{`{"op":"remove","path":"emails","value":[` + list + `]}`}},
		{name: "elements beyond the default", operations: append(repeated(999, `{"op":"add","path":"emails","value":[`+many+`]}`), another), want: "tooMany"},
		{name: "filter up to a limit", limits: patch.Limits{Filter: filter.Limits{Depth: 3}}, operations: []string{deep}},
		{name: "filter beyond a limit", limits: patch.Limits{Filter: filter.Limits{Depth: 2}}, operations: []string{deep}, want: "invalidPath"},
		{name: "path beyond a limit", limits: patch.Limits{Filter: filter.Limits{Bytes: 10}}, operations: []string{deep}, want: "invalidPath"},
		{name: "a long key is unknown", limits: patch.Limits{Filter: filter.Limits{Bytes: 10}}, operations: []string{`{"op":"add","value":{"emails[type eq \"work\"].value":"x"}}`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			decoder := &schema.Decoder{Allow: everything}
			request, err := patch.Parse(decoder, message(test.operations...), test.limits)
			if err != nil {
				t.Fatal(err)
			}
			_, err = request.Apply(decoder, user, before, nil)
			if got := scimType(err); got != test.want {
				t.Errorf("error type %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

func TestApplyLimitsMembers(t *testing.T) {
	group := resourceType(t, "Group")
	decoder := &schema.Decoder{}
	request, err := patch.Parse(decoder, message(`{"op":"remove","path":"members[type eq \"User\"]"}`), patch.Limits{Elements: 7})
	if err != nil {
		t.Fatal(err)
	}
	m := &members{typ: group, ids: []string{"1", "2", "3", "4", "5", "6", "7", "8"}}
	_, err = request.Apply(decoder, group, document(t, group, []byte(`{"displayName":"g"}`)), m)
	if got := scimType(err); got != "tooMany" || len(m.ids) != 8 {
		t.Errorf("error type %q (%v), members %q", got, err, m.ids)
	}
}

// What members return ends the request and is returned as it is.
func TestApplyMembersFail(t *testing.T) {
	group := resourceType(t, "Group")
	before := document(t, group, []byte(`{"displayName":"g"}`))
	for _, operation := range []string{
		`{"op":"add","path":"members","value":[{"value":"u1"},{"value":"u2"}]}`,
		`{"op":"replace","path":"members","value":[{"value":"u1"}]}`,
		`{"op":"remove","path":"members"}`,
		`{"op":"remove","path":"members[value eq \"u1\"]"}`,
		`{"op":"remove","path":"members[type eq \"User\"]"}`,
		`{"op":"replace","path":"members[value eq \"u1\"]","value":{"value":"u2"}}`,
	} {
		m := &members{typ: group, ids: []string{"u1"}, fail: errors.New("unknown member")}
		_, err := apply(&schema.Decoder{}, group, message(operation, `{"op":"add","path":"members","value":{"value":"u9"}}`), before, m)
		if !errors.Is(err, m.fail) {
			t.Errorf("%s: %v, want %v", operation, err, m.fail)
		}
		if len(m.calls) != 1 {
			t.Errorf("%s: calls %q after the first failed", operation, m.calls)
		}
	}
}

// Documents that share memory do not see each other's changes.
func TestApplySharing(t *testing.T) {
	user := resourceType(t, "User")
	patched := func(o schema.Object, operations ...string) schema.Object {
		t.Helper()
		o, err := apply(&schema.Decoder{Allow: everything}, user, message(operations...), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	base := patched(document(t, user, []byte(`{"userName":"babs","emails":[{"value":"1"},{"value":"2"}]}`)),
		`{"op":"add","path":"emails","value":[{"value":"3"},{"value":"4"},{"value":"5"}]}`)
	first := patched(base, `{"op":"add","path":"emails","value":[{"value":"a","primary":true}]}`)
	want := string(first.AppendJSON(nil))
	for _, operation := range []string{
		`{"op":"add","path":"emails","value":[{"value":"b","primary":true}]}`,
		`{"op":"replace","path":"emails[value eq \"1\"].primary","value":true}`,
		`{"op":"remove","path":"emails[value eq \"1\"]"}`,
		`{"op":"remove","path":"emails","value":["2"]}`,
	} {
		patched(base, operation)
		patched(first, operation)
		if got := string(first.AppendJSON(nil)); got != want {
			t.Errorf("after %s: %s, want %s", operation, got, want)
		}
	}
}

// A request may be applied again, as a transaction that runs again does.
func TestApplyAgain(t *testing.T) {
	user := resourceType(t, "User")
	before := document(t, user, []byte(`{"userName":"babs"}`))
	decoder := &schema.Decoder{}
	request, err := patch.Parse(decoder, message(`{"op":"add","path":"emails","value":[{"value":"a"}]}`, `{"op":"add","path":"emails[value eq \"a\"].type","value":"work"}`), patch.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := request.Apply(decoder, user, before, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(got.AppendJSON(nil)), `{"userName":"babs","emails":[{"value":"a","type":"work"}]}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// rests counts how often it is asked.
type rests int

func (r *rests) GiveWay() { *r++ }

// A request is asked to rest before each operation.
func TestApplyRests(t *testing.T) {
	user := resourceType(t, "User")
	decoder := &schema.Decoder{}
	request, err := patch.Parse(decoder, message(repeated(7, `{"op":"replace","path":"nickName","value":"B"}`)...), patch.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var asked rests
	request.Rests = &asked
	if _, err := request.Apply(decoder, user, document(t, user, []byte(`{"userName":"babs"}`)), nil); err != nil || asked != 7 {
		t.Errorf("asked %d times for 7 operations, %v", asked, err)
	}
}
