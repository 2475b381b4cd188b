package patch_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// randomEmails makes users with e-mails, and operations on them.
type randomEmails struct {
	*rand.Rand
	emails int
}

func (r randomEmails) pick(list ...string) string { return list[r.IntN(len(list))] }

func (r randomEmails) value() string {
	return fmt.Sprintf("%s%d@example.com", r.pick("a", "A"), r.IntN(12+r.emails))
}

func (r randomEmails) element() string {
	element := `{"value":"` + r.value() + `"`
	if r.IntN(2) == 0 {
		element += `,"type":"` + r.pick("work", "home", "WORK") + `"`
	}
	if r.IntN(3) == 0 {
		element += `,"display":"` + r.pick("x", "y", "z") + `"`
	}
	if r.IntN(9) == 0 {
		element += `,"primary":` + r.pick("true", "false")
	}
	return element + "}"
}

func (r randomEmails) filter(depth int) string {
	switch n := r.IntN(9); {
	case n < 3:
		return `value eq \"` + r.value() + `\"`
	case n == 3:
		return `type eq \"` + r.pick("work", "home") + `\"`
	case n == 4:
		return `primary eq ` + r.pick("true", "false")
	case n == 5:
		return `display eq \"` + r.pick("x", "y") + `\"`
	case n == 6 || depth == 0:
		return `value sw \"` + r.pick("a1", "a") + `\"`
	}
	return "(" + r.filter(depth-1) + r.pick(" and ", " or ") + r.filter(depth-1) + ")"
}

func (r randomEmails) operation() string {
	op, value := r.pick("add", "replace", "remove"), r.element()
	path := "emails" + r.pick("", "["+r.filter(2)+"]", "[("+r.filter(2)+") and value pr]")
	switch sub := r.pick("", "type", "display", "primary", "value"); {
	case sub == "", sub == "value" && op == "remove", path == "emails" && sub == "primary":
	case (sub == "primary" || sub == "type") && !strings.HasSuffix(path, "value pr]"):
		// It could make an element without a value, which the end of a request removes.
	case sub == "primary":
		path, value = path+".primary", r.pick("true", "false")
	case sub == "value":
		path, value = path+".value", `"`+r.value()+`"`
	default:
		path, value = path+"."+sub, `"`+r.pick("work", "home", "x")+`"`
	}
	operation := `{"op":"` + op + `","path":"` + path + `"`
	if op != "remove" {
		operation += `,"value":` + value
	}
	return operation + "}"
}

// TestApplyOneByOne applies operations in one request and each in its own. What the
// first keeps of the elements for all operations, the others make anew each time.
func TestApplyOneByOne(t *testing.T) {
	user := resourceType(t, "User")
	changed := 0
	for seed := range uint64(4000) {
		r := randomEmails{rand.New(rand.NewPCG(seed, 5)), []int{3, 15, 18, 40}[seed%4]}
		list := make([]string, r.emails)
		for i := range list {
			list[i] = r.element()
		}
		before := document(t, user, []byte(`{"userName":"babs","emails":[`+strings.Join(list, ",")+`]}`))
		if user.Validate(before) != nil {
			continue // two are primary
		}
		operations := make([]string, 2+r.IntN(6))
		for i := range operations {
			operations[i] = r.operation()
		}
		one, err := apply(&schema.Decoder{Allow: everything}, user, message(operations...), before, nil)
		each, eachErr := before, error(nil)
		for _, operation := range operations {
			if each, eachErr = apply(&schema.Decoder{Allow: everything}, user, message(operation), each, nil); eachErr != nil {
				break
			}
		}
		if scimType(err) != scimType(eachErr) || !one.Equal(each) {
			t.Fatalf("seed %d: %s\n%s\nin one request: %s (%v)\none by one:     %s (%v)", seed, before.AppendJSON(nil),
				strings.Join(operations, "\n"), one.AppendJSON(nil), err, each.AppendJSON(nil), eachErr)
		}
		if err == nil && !one.Equal(before) {
			changed++
		}
	}
	if changed < 500 {
		t.Errorf("only %d requests changed something", changed)
	}
}

// manyValues returns a user with n e-mails.
func manyValues(t testing.TB, n int) schema.Object {
	emails := make([]string, n)
	for i := range emails {
		emails[i] = fmt.Sprintf(`{"value":"%d@example.com","type":"work"}`, i)
	}
	return document(t, resourceType(t, "User"), []byte(`{"userName":"babs","emails":[`+strings.Join(emails, ",")+`]}`))
}

// manyOperations are the requests of BenchmarkValues and of TestApplyLooks: n
// operations, each on one of many e-mails.
var manyOperations = []struct{ name, operation string }{
	{"value eq", `{"op":"replace","path":"emails[value eq \"%d@example.com\"].display","value":"D"}`},
	{"type and value eq", `{"op":"replace","path":"emails[type eq \"work\" and value eq \"%d@example.com\"].value","value":"new%[1]d@example.com"}`},
	{"one or the other", `{"op":"replace","path":"emails[value eq \"%d@example.com\" or value eq \"none\"].primary","value":true}`},
	{"remove", `{"op":"remove","path":"emails[value eq \"%d@example.com\"]"}`},
	{"add", `{"op":"add","path":"emails","value":{"value":"new%d@example.com"}}`},
	{"add again", `{"op":"add","path":"emails","value":{"value":"%d@example.com","type":"work","display":"D"}}`},
	{"create", `{"op":"add","path":"emails[type eq \"home\" and value eq \"%d@example.com\"].display","value":"D"}`},
}

func manyOf(operation string, n int) []byte {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(operation, i)
	}
	return message(list...)
}

// TestApplyLooks counts the elements that many operations look at: those of the
// attribute once, and once to make each index, and of each operation what it finds.
func TestApplyLooks(t *testing.T) {
	const values, operations = 1000, 500
	user, before := resourceType(t, "User"), manyValues(t, values)
	for _, test := range manyOperations {
		t.Run(test.name, func(t *testing.T) {
			decoder := &schema.Decoder{Allow: everything}
			// Of two terms, each looks at the element that is found.
			limits := patch.Limits{Elements: 3*values + 8*operations}
			request, err := patch.Parse(decoder, manyOf(test.operation, operations), limits)
			if err != nil {
				t.Fatal(err)
			}
			if after, err := request.Apply(decoder, user, before, nil); err != nil || after.Equal(before) {
				t.Errorf("%v, or no change", err)
			}
		})
	}
}

// TestApplyMembersLooks has members loaded once for all operations that ask what they
// show, and not at all for those that name them by id.
func TestApplyMembersLooks(t *testing.T) {
	group := resourceType(t, "Group")
	before := document(t, group, []byte(`{"displayName":"g"}`))
	m := &members{typ: group}
	for i := range 1000 {
		m.ids = append(m.ids, fmt.Sprint("u", i))
	}
	var operations []string
	for i := range 300 {
		operations = append(operations,
			fmt.Sprintf(`{"op":"remove","path":"members[display eq \"display of u%d\"]"}`, i),
			fmt.Sprintf(`{"op":"add","path":"members","value":{"value":"new%d"}}`, i),
			fmt.Sprintf(`{"op":"remove","path":"members[display eq \"display of new%d\"]"}`, i/2))
		if i%2 == 1 {
			operations = operations[:len(operations)-1] // there are none any more
		}
	}
	decoder := &schema.Decoder{}
	request, err := patch.Parse(decoder, message(operations...), patch.Limits{Elements: 2*1000 + 8*len(operations)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := request.Apply(decoder, group, before, m); err != nil {
		t.Fatal(err)
	}
	loads := slices.DeleteFunc(slices.Clone(m.calls), func(call string) bool { return call != "each" })
	if len(loads) != 1 || len(m.ids) != 1000-300+300-150 {
		t.Errorf("%d loads, %d members", len(loads), len(m.ids))
	}

	m.calls = nil
	replace := `{"op":"replace","path":"members[value eq \"u%d\"]","value":{"value":"u%[1]d-b"}}`
	for i := range 300 {
		operations = append(operations[:i], fmt.Sprintf(replace, 400+i))
	}
	if request, err = patch.Parse(decoder, message(operations[:300]...), patch.Limits{Elements: 300}); err != nil {
		t.Fatal(err)
	}
	if _, err := request.Apply(decoder, group, before, m); err != nil || slices.Contains(m.calls, "each") {
		t.Errorf("error %v, calls %q", err, m.calls[:3])
	}
}

// BenchmarkValues applies a request of as many operations as one may have to users
// with more and more e-mails.
func BenchmarkValues(b *testing.B) {
	user := resourceType(b, "User")
	for _, r := range manyOperations {
		for _, n := range []int{1_000, 10_000, 40_000} {
			b.Run(fmt.Sprintf("operation=%s/operations=1000/values=%d", strings.ReplaceAll(r.name, " ", "-"), n), func(b *testing.B) {
				before, body := manyValues(b, n), manyOf(r.operation, 1000)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := apply(&schema.Decoder{Allow: everything}, user, body, before, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
