package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/scim/schema"
)

// TestElementsManyAsFew puts the same few elements together alone and among so
// many others that they are found by an index.
func TestElementsManyAsFew(t *testing.T) {
	user := schema.Standard().Type("User")
	samples := map[string][]string{
		"emails":    {`{"value":"a"}`, `{"value":"A","type":"work"}`, `{"value":"a","type":"WORK","primary":true}`, `{"value":"ü"}`, `{"value":"Ü","display":"x"}`, `{"value":"ſ"}`, `{"value":"s"}`, `{"display":"a"}`, `{"display":"a"}`},
		"addresses": {`{"type":"work","country":"NO"}`, `{"type":"work","country":"no","primary":true}`, `{"country":"NO"}`, `{"type":"home","country":"NO"}`},
		"photos":    {`{"value":"a"}`, `{"value":"A"}`, `{"value":"a","type":"x"}`, `{"value":"a","display":"d"}`},
	}
	for name, elements := range samples {
		a := user.Root.Lookup(name)
		field := "display"
		if name == "addresses" {
			field = "locality"
		}
		var others []string
		for i := range 40 {
			others = append(others, fmt.Sprintf(`{"%s":"other %d"}`, field, i))
		}
		read := func(list []string) []schema.Value {
			v, err := new(schema.Decoder).Value(a, []byte("["+strings.Join(list, ",")+"]"), false)
			if err != nil {
				t.Fatal(err)
			}
			return v.Array
		}
		few, many := read(elements), read(append(others, elements...))
		many = many[len(others):]
		got, want := schema.Value{Kind: schema.ArrayValue, Array: many}, schema.Value{Kind: schema.ArrayValue, Array: few}
		if !got.Equal(want) {
			t.Errorf("%s: among many %s, alone %s", name, got.AppendJSON(nil), want.AppendJSON(nil))
		}
		if len(few) == len(elements) {
			t.Errorf("%s: nothing was put together", name)
		}
	}
}

// TestManyElements decodes a user with 60,000 e-mails and makes its keys. Comparing
// each with each takes ten seconds and more; finding them by an index takes none.
func TestManyElements(t *testing.T) {
	const many = 60_000
	user := schema.Standard().Type("User")
	var body strings.Builder
	body.WriteString(`{"userName":"a","emails":[{"value":"0@x"}`)
	for i := range 2 * many {
		fmt.Fprintf(&body, `,{"value":"%d@x","type":"work"}`, i%many)
	}
	body.WriteString(`]}`)
	start := time.Now()
	d := schema.Decoder{Allow: schema.LooseSchemas}
	o, err := d.Resource(user, []byte(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(o.Get(user.Root.Lookup("emails")).Array); got != many+1 {
		t.Errorf("%d elements, want %d", got, many+1)
	}
	if got := len(user.Keys(o)); got != many+1 {
		t.Errorf("%d keys, want one for the name and %d for e-mails", got, many)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
