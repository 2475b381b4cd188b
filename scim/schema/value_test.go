package schema_test

import (
	"encoding/json"
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

func text(s string) schema.Value { return schema.Value{Kind: schema.Text, Text: s} }

func TestObject(t *testing.T) {
	user := schema.Standard().Type("User")
	lookup := user.Root.Lookup
	var o schema.Object
	o.Set(lookup("title"), text("t"))
	o.Set(lookup("userName"), text("u"))
	o.Set(lookup("externalId"), text("e"))
	o.Set(lookup("nickName"), schema.Value{})
	o.Set(lookup("title"), text("T"))
	o.Set(user.Extensions[0], schema.Value{Kind: schema.ObjectValue, Object: schema.Object{{user.Extensions[0].Lookup("department"), text("d")}}})
	o.Set(lookup("active"), schema.Value{Kind: schema.Literal, Text: "true"})
	o.Set(lookup("externalId"), schema.Value{})
	want := `{"userName":"u","title":"T","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}`
	if diff := cmp.Diff(want, string(o.AppendJSON(nil))); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	if got := o.Get(lookup("title")); got.Text != "T" {
		t.Errorf("title is %v", got)
	}
	if got := o.Get(lookup("nickName")); got.Kind != schema.Unassigned {
		t.Errorf("nickName is %v", got)
	}
	if got := string(o.AppendJSON([]byte("x"))); got != "x"+want {
		t.Errorf("AppendJSON does not append: %s", got)
	}
}

// TestSetKeepsNeighbours sets an attribute in an object that was decoded
// together with others.
func TestSetKeepsNeighbours(t *testing.T) {
	user := schema.Standard().Type("User")
	o, err := user.Document(store.Document(`{"userName":"u","emails":[{"value":"a"},{"value":"b"}],"roles":[{"value":"r"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	emails := user.Root.Lookup("emails")
	list := o.Get(emails).Array
	list[0].Object.Set(emails.Lookup("primary"), schema.Value{Kind: schema.Literal, Text: "true"})
	list = append(list, schema.Value{Kind: schema.ObjectValue, Object: schema.Object{{emails.Lookup("value"), text("c")}}})
	o.Set(emails, schema.Value{Kind: schema.ArrayValue, Array: list})
	want := `{"userName":"u","emails":[{"value":"a","primary":true},{"value":"b"},{"value":"c"}],"roles":[{"value":"r"}]}`
	if diff := cmp.Diff(want, string(o.AppendJSON(nil))); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
}

func TestEqualAndClone(t *testing.T) {
	user := schema.Standard().Type("User")
	docs := []string{
		`{}`,
		`{"userName":"a"}`,
		`{"userName":"b"}`,
		`{"title":"a"}`,
		`{"userName":"a","active":true}`,
		`{"userName":"a","active":false}`,
		`{"userName":"a","name":{"familyName":"x"}}`,
		`{"userName":"a","name":{"givenName":"x"}}`,
		`{"userName":"a","emails":[{"value":"x"},{"value":"y"}]}`,
		`{"userName":"a","emails":[{"value":"y"},{"value":"x"}]}`,
		`{"userName":"a","emails":[{"value":"x"}]}`,
	}
	read := func(doc string) schema.Value {
		o, err := user.Document(store.Document(doc))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Value{Kind: schema.ObjectValue, Object: o}
	}
	for _, a := range docs {
		for _, b := range docs {
			if got := read(a).Equal(read(b)); got != (a == b) {
				t.Errorf("%s equals %s: %t", a, b, got)
			}
		}
		original := read(a)
		clone := original.Clone()
		if !clone.Equal(original) {
			t.Errorf("clone of %s is %s", a, clone.AppendJSON(nil))
		}
		scribble(clone)
		if got := string(original.AppendJSON(nil)); got != a {
			t.Errorf("changing the clone of %s made it %s", a, got)
		}
	}
	if text("1").Equal(schema.Value{Kind: schema.Literal, Text: "1"}) {
		t.Error("a text equals a number")
	}
}

// scribble overwrites every text in a value.
func scribble(v schema.Value) {
	for i := range v.Object {
		scribble(v.Object[i].Value)
		v.Object[i].Value.Text = "scribble"
	}
	for i := range v.Array {
		scribble(v.Array[i])
		v.Array[i].Text = "scribble"
	}
}

func TestIsEmpty(t *testing.T) {
	name := schema.Standard().Type("User").Root.Lookup("name")
	object := func(s string) schema.Value {
		return schema.Value{Kind: schema.ObjectValue, Object: schema.Object{{name.Lookup("givenName"), text(s)}}}
	}
	array := func(values ...schema.Value) schema.Value {
		return schema.Value{Kind: schema.ArrayValue, Array: values}
	}
	tests := []struct {
		name  string
		value schema.Value
		want  bool
	}{
		{"unassigned", schema.Value{}, true},
		{"empty text", text(""), true},
		{"blank text", text(" \t\n"), true},
		{"text", text("a"), false},
		{"false", schema.Value{Kind: schema.Literal, Text: "false"}, false},
		{"zero", schema.Value{Kind: schema.Literal, Text: "0"}, false},
		{"empty object", schema.Value{Kind: schema.ObjectValue}, true},
		{"object of blank text", object(" "), true},
		{"object", object("a"), false},
		{"empty array", array(), true},
		{"array of empty values", array(text(""), object("")), true},
		{"array", array(text(""), object("a")), false},
	}
	for _, test := range tests {
		if got := test.value.IsEmpty(); got != test.want {
			t.Errorf("%s: IsEmpty is %t", test.name, got)
		}
	}
}

// TestAppendJSONText compares the escapes with those of encoding/json.
func TestAppendJSONText(t *testing.T) {
	for c := range rune(0x300) {
		s := "a" + string(c) + "b"
		got := text(s).AppendJSON(nil)
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != s {
			t.Errorf("%q is written as %s: %q, %v", s, got, back, err)
		}
	}
	tests := []struct{ text, want string }{
		{"<a href='x'>&", `"<a href='x'>&"`},
		{"\b\t\n\f\r\x01\x7f\"\\/", `"\b\t\n\f\r\u0001` + "\x7f" + `\"\\/"`},
		{"\u2028 é 😀", "\"\u2028 é 😀\""},
		{"not UTF-8: \xff", "\"not UTF-8: \uFFFD\""},
	}
	for _, test := range tests {
		if got := string(text(test.text).AppendJSON(nil)); got != test.want {
			t.Errorf("%q is written as %s, want %s", test.text, got, test.want)
		}
	}
	if got := string((schema.Value{}).AppendJSON(nil)); got != "null" {
		t.Errorf("unassigned is written as %s", got)
	}
}

func TestToleranceNames(t *testing.T) {
	if got := schema.Tolerance(0).Names(); got != nil {
		t.Errorf("the empty set has the names %v", got)
	}
	want := []string{"textBooleans", "anyCaseOp", "onePrimary"}
	if diff := cmp.Diff(want, (schema.OnePrimary | schema.TextBooleans | schema.AnyCaseOp).Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if got, want := len(all.Names()), bits.Len32(uint32(schema.BareText)); got != want {
		t.Errorf("%d tolerances have a name, want %d", got, want)
	}
	for i, name := range all.Names() {
		if got, ok := schema.ToleranceNamed(name); !ok || got != 1<<i {
			t.Errorf("the tolerance %q is %b, %t", name, got, ok)
		}
	}
	if got, ok := schema.ToleranceNamed("onePrimaries"); ok || got != 0 {
		t.Errorf("an unknown tolerance is %b, %t", got, ok)
	}
}

func TestUse(t *testing.T) {
	d := schema.Decoder{Allow: schema.BareComplex}
	if d.Use(schema.PathKeys) || d.Used != 0 {
		t.Error("a tolerance that is not allowed was used")
	}
	if !d.Use(schema.BareComplex) || d.Used != schema.BareComplex {
		t.Error("an allowed tolerance was not used, or not recorded")
	}
}
