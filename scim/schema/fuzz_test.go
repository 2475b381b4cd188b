package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/schema"
)

// FuzzResource decodes arbitrary bodies. What comes out is canonical, is a
// fixed point of reading and writing, and is what encoding/json reads.
func FuzzResource(f *testing.F) {
	f.Add(readFile(f, "testdata/user.json"), uint32(0))
	f.Add([]byte(`{"userName":"Zoe\u0308","active":"True","emails":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager":"x"}`), ^uint32(0))
	f.Add([]byte(`{"title":"","name":{"givenName":" "},"emails":[{"value":"","type":"x"},{"primary":true},{"primary":"1"}]}`), ^uint32(0))
	f.Add([]byte(`{"title":7,"x":{"y":[1e5,"\ud83d\ude00"]},"roles":[null,{}],"meta":{"a":[]},"password":"p"}`), ^uint32(0))
	user := schema.Standard().Type("User")
	f.Fuzz(func(t *testing.T, body []byte, allow uint32) {
		d := schema.Decoder{Allow: schema.Tolerance(allow) | schema.LooseSchemas}
		o, err := d.Resource(user, body)
		if err != nil {
			return
		}
		if d.Used&^d.Allow != 0 {
			t.Fatalf("used %v, which is not allowed", (d.Used &^ d.Allow).Names())
		}
		doc := o.AppendJSON(nil)
		checkObject(t, user.Root, o)
		again, err := user.Document(doc)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		if second := again.AppendJSON(nil); string(second) != string(doc) || !again.Equal(o) {
			t.Fatalf("read and written again:\n%s\n%s", doc, second)
		}
		strict := schema.Decoder{Allow: schema.LooseSchemas}
		third, err := strict.Resource(user, doc)
		if err != nil || !third.Equal(o) {
			t.Fatalf("the strict decoder reads %s as %s, %v", doc, third.AppendJSON(nil), err)
		}
		for _, k := range user.Keys(o) {
			if k.Attribute == "" || k.Value == "" {
				t.Errorf("key %+v of %s", k, doc)
			}
		}
		if d.Used&^schema.LooseSchemas == 0 {
			compareJSON(t, user, o, body)
		}
	})
}

// checkObject checks the invariants of an object.
func checkObject(t *testing.T, parent *schema.Attribute, o schema.Object) {
	order := -1
	for _, f := range o {
		a, v := f.Attribute, f.Value
		if a.Parent != parent || a.Order <= order {
			t.Fatalf("%s is out of place", a)
		}
		order = a.Order
		elements := []schema.Value{v}
		if a.MultiValued {
			if elements = v.Array; v.Kind != schema.ArrayValue || len(elements) == 0 {
				t.Fatalf("%s is not an array with elements", a)
			}
		}
		for _, e := range elements {
			switch {
			case a.Type == schema.Complex && (e.Kind != schema.ObjectValue || len(e.Object) == 0):
				t.Fatalf("%s is not an object with attributes", a)
			case a.Type == schema.Complex:
				checkObject(t, a, e.Object)
			case a.Type == schema.Boolean && e.Text != "true" && e.Text != "false":
				t.Fatalf("%s is %q", a, e.Text)
			case e.Kind == schema.Text && (!utf8.ValidString(e.Text) || strings.Contains(e.Text, "\x00")):
				t.Fatalf("%s is %q", a, e.Text)
			}
		}
	}
}

// compareJSON compares what needed no tolerance with encoding/json.
func compareJSON(t *testing.T, user *schema.ResourceType, o schema.Object, body []byte) {
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("encoding/json refuses what was read: %v", err)
	}
	for key, want := range m {
		a := user.Root.Lookup(key)
		if a == nil || a.Kept != schema.InDocument {
			continue
		}
		var got any
		if v := o.Get(a); v.Kind != schema.Unassigned {
			if err := json.Unmarshal(v.AppendJSON(nil), &got); err != nil {
				t.Fatal(err)
			}
		}
		want := known(a, want)
		few, _ := got.([]any)
		if all, _ := want.([]any); len(few) < len(all) {
			continue // elements were put together, or said nothing: see Elements
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-encoding/json +got):\n%s", a, diff)
		}
	}
}

// known returns what is left of a decoded JSON value of an attribute without
// unknown, read-only and unassigned parts.
func known(a *schema.Attribute, v any) any {
	switch v := v.(type) {
	case []any:
		var elements []any
		for _, e := range v {
			if e = known(a, e); e != nil {
				elements = append(elements, e)
			}
		}
		if elements == nil {
			return nil
		}
		return elements
	case map[string]any:
		object := map[string]any{}
		for key, e := range v {
			sub := a.Lookup(key)
			if sub == nil || sub.Mutability == schema.ReadOnly || sub.Kept == schema.Nowhere {
				continue
			}
			if e = known(sub, e); e != nil {
				object[sub.Name] = e
			}
		}
		if len(object) == 0 {
			return nil
		}
		return object
	}
	return v
}
