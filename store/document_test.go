package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
)

const person = `{"userName":"ann","name":{"givenName":"A\n\"n\u006e\"","familyName":"Ü"},"active":true,"age":-1.5e3,` +
	`"emails":[{"value":"a@x","type":"work"},{"type":"home"},{"value":"b@x","primary":true}],"tags":["r","g"],` +
	`"urn:x:User":{"manager":{"value":"m"}}}`

func TestDocumentGet(t *testing.T) {
	for _, test := range []struct {
		name string
		doc  string
		keys []string
		want string // empty: nothing there
	}{
		{"text", person, []string{"userName"}, `"ann"`},
		{"sub-attribute", person, []string{"name", "familyName"}, `"Ü"`},
		{"boolean", person, []string{"active"}, `true`},
		{"number", person, []string{"age"}, `-1.5e3`},
		{"array whole", person, []string{"tags"}, `["r","g"]`},
		{"first in array", person, []string{"emails", "value"}, `"a@x"`},
		{"first in array that has it", person, []string{"emails", "primary"}, `true`},
		{"extension", person, []string{"urn:x:User", "manager", "value"}, `"m"`},
		{"no keys", `{"a":1}`, nil, `{"a":1}`},
		{"unknown", person, []string{"nothing"}, ""},
		{"below a text", person, []string{"userName", "x"}, ""},
		{"below an array of texts", person, []string{"tags", "x"}, ""},
		{"key in another case", person, []string{"username"}, ""},
		{"escaped key", `{"\u0061\"":1}`, []string{`a"`}, `1`},
		{"brackets in texts", `{"a":"}]{[\"","b":2}`, []string{"b"}, `2`},
		{"white space", " { \"a\" : [ 1 , 2 ] ,\n\"b\" : { } } ", []string{"a"}, `[ 1 , 2 ]`},
		{"backslashes before the quote", `{"a":"\\\\","b":1}`, []string{"b"}, `1`},
		{"empty", ``, []string{"a"}, ""},
		{"not an object", `["a"]`, []string{"a"}, ""},
		{"cut in a text", `{"a":"x`, []string{"a"}, ""},
		{"cut in an array", `{"a":[1`, []string{"a"}, ""},
		{"cut after a colon", `{"a":`, []string{"a"}, ""},
		{"cut after an escape", `{"a":"\`, []string{"a"}, ""},
		{"no value", `{"a":}`, []string{"a"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := store.Document(test.doc).Get(test.keys...)
			if string(got) != test.want || ok != (test.want != "") {
				t.Errorf("got %q, %t, want %q", got, ok, test.want)
			}
		})
	}
}

func TestDocumentValues(t *testing.T) {
	for _, test := range []struct {
		name string
		doc  string
		keys []string
		want []string
	}{
		{"one", person, []string{"userName"}, []string{`"ann"`}},
		{"elements", person, []string{"tags"}, []string{`"r"`, `"g"`}},
		{"in elements", person, []string{"emails", "value"}, []string{`"a@x"`, `"b@x"`}},
		{"arrays in elements", `{"a":[{"b":[1,2]},{"b":3}]}`, []string{"a", "b"}, []string{"1", "2", "3"}},
		{"an array in an array stays whole", `{"a":[[1],2]}`, []string{"a"}, []string{"[1]", "2"}},
		{"an array in an array is not entered", `{"a":[[{"b":1}]]}`, []string{"a", "b"}, nil},
		{"unknown", person, []string{"nothing"}, nil},
		{"empty array", `{"a":[]}`, []string{"a"}, nil},
		{"up to what is cut", `{"a":[1,2,"`, []string{"a"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for v := range store.Document(test.doc).Values(test.keys...) {
				got = append(got, string(v))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for range store.Document(person).Values("tags") {
		break // must not go on
	}
}

func TestRaw(t *testing.T) {
	for _, test := range []struct {
		raw     string
		text    string
		boolean bool
		present bool
	}{
		{`"a"`, "a", false, true},
		{`""`, "", false, false},
		{`"\u00e9\n\ud83d\ude00\ud800"`, "é\n😀\ufffd", false, true},
		{`"\x"`, "", false, true},
		{`true`, "", true, true},
		{`false`, "", false, true},
		{`"true"`, "true", false, true},
		{`null`, "", false, false},
		{`0`, "", false, true},
		{`[]`, "", false, false},
		{`{}`, "", false, false},
		{`["",null,{}]`, "", false, false},
		{`["",{"a":[1]}]`, "", false, true},
		{`{"a":"","b" : null}`, "", false, false},
		{`{"a":{"b":"c"}}`, "", false, true},
		{`"`, "", false, false},
		{``, "", false, false},
	} {
		r := store.Raw(test.raw)
		if r.Text() != test.text || r.Bool() != test.boolean || r.Present() != test.present {
			t.Errorf("%s: text %q, bool %t, present %t", test.raw, r.Text(), r.Bool(), r.Present())
		}
	}
}

// TestDocumentAllocations keeps reading free of garbage where nothing is
// escaped.
func TestDocumentAllocations(t *testing.T) {
	doc := store.Document(person)
	n := testing.AllocsPerRun(100, func() {
		count := 0
		for key, value := range doc.Fields() {
			switch string(key) {
			case "emails":
				for email := range value.Elements() {
					if v, ok := email.Document().Get("value"); ok {
						count += len(v)
					}
				}
			default:
				count++
			}
		}
		for v := range doc.Values("emails", "value") {
			count += len(v)
		}
		if count == 0 {
			t.Error("nothing was read")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzDocument reads any bytes: of valid JSON it must read the same as
// encoding/json, and of anything no more than there is.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{person, `{"a":[[],{},null,"\\\"",1e9]}`, `{"a" : tru }`, `[[[[`, `{"a":"\ud800\udc00"}`, `{"a":1,}`, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		steps := 0
		for _, value := range store.Document(data).Fields() {
			for element := range value.Elements() {
				element.Text()
				element.Present()
				element.Document().Get("a", "b")
				steps++
			}
			steps++
		}
		if steps > 2*len(data) {
			t.Errorf("%d steps in %d bytes", steps, len(data))
		}

		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var want any
		if !json.Valid(data) || !utf8.Valid(data) || decoder.Decode(&want) != nil {
			return
		}
		got, unique := read(store.Raw(bytes.TrimSpace(data)))
		if !unique {
			return // encoding/json takes the last of the values, and we the first
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-encoding/json +document):\n%s", diff)
		}
		if present := store.Raw(data).Present(); present != holds(want) {
			t.Errorf("present is %t", present)
		}
	})
}

// read decodes a value as encoding/json does, and reports whether every key is
// there once.
func read(r store.Raw) (value any, unique bool) {
	unique = true
	switch r[0] {
	case '{':
		object := map[string]any{}
		for key, raw := range r.Document().Fields() {
			v, ok := read(raw)
			_, twice := object[string(key)]
			object[string(key)] = v
			unique = unique && ok && !twice
		}
		return object, unique
	case '[':
		array := []any{}
		for raw := range r.Elements() {
			v, ok := read(raw)
			array = append(array, v)
			unique = unique && ok
		}
		return array, unique
	case '"':
		return r.Text(), true
	case 't', 'f':
		return r.Bool(), true
	case 'n':
		return nil, true
	}
	return json.Number(r), true
}

// holds is the definition of Raw.Present on a decoded value.
func holds(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		for _, element := range v {
			if holds(element) {
				return true
			}
		}
		return false
	case map[string]any:
		for _, value := range v {
			if holds(value) {
				return true
			}
		}
		return false
	}
	return true
}

func BenchmarkDocument(b *testing.B) {
	doc := store.Document(fmt.Sprintf(`{%q:%q,%s`, "note", bytes.Repeat([]byte("x"), 1400), person[1:]))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		for key, value := range doc.Fields() {
			if string(key) == "emails" {
				for email := range value.Elements() {
					email.Document().Get("value")
				}
			}
		}
	}
}
