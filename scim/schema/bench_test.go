package schema_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/scimjit/provision/scim/schema"
)

// every IdP tolerance, as a dialect would allow it.
const all = ^schema.Tolerance(0)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkResource decodes an enterprise user as a client sends it.
func BenchmarkResource(b *testing.B) {
	body := readFile(b, "testdata/user.json")
	user := schema.Standard().Type("User")
	b.Run("peer=schema", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d := schema.Decoder{Allow: all}
			if _, err := d.Resource(user, body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("peer=encoding_json_map", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(body, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDocument decodes a stored document.
func BenchmarkDocument(b *testing.B) {
	user, doc := storedUser(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := user.Document(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendJSON encodes a document.
func BenchmarkAppendJSON(b *testing.B) {
	user, doc := storedUser(b)
	o, err := user.Document(doc)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.Run("peer=schema", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = o.AppendJSON(buf[:0])
		}
	})
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		b.Fatal(err)
	}
	b.Run("peer=encoding_json_map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkKeys computes the index entries of a document.
func BenchmarkKeys(b *testing.B) {
	user, doc := storedUser(b)
	o, err := user.Document(doc)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		user.Keys(o)
	}
}

// BenchmarkMembers decodes a group that is sent whole.
func BenchmarkMembers(b *testing.B) {
	group := schema.Standard().Type("Group")
	body := []byte(`{"schemas":["` + schema.GroupURN + `"],"displayName":"Everyone","members":[`)
	const members = 10_000
	for i := range members {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"value":"2819c223-7f76-453a-919d-413861904646","display":"Babs Jensen"}`...)
	}
	body = append(body, `]}`...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := schema.Decoder{Allow: all}
		if _, err := d.Resource(group, body); err != nil {
			b.Fatal(err)
		}
	}
}

func storedUser(t testing.TB) (*schema.ResourceType, []byte) {
	t.Helper()
	user := schema.Standard().Type("User")
	d := schema.Decoder{Allow: all}
	o, err := d.Resource(user, readFile(t, "testdata/user.json"))
	if err != nil {
		t.Fatal(err)
	}
	return user, o.AppendJSON(nil)
}
