package patch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// enterpriseUser is a document of about 1.7 kB.
func enterpriseUser(b *testing.B) []byte {
	b.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "documents", "user.json"))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// BenchmarkUser measures what a handler does with a stored user: decode the
// document, decode and apply the request, encode the document. The peer decodes
// to a map, sets a key and encodes, which is the least that a handler based on
// encoding/json does.
func BenchmarkUser(b *testing.B) {
	user := schema.Standard().Type("User")
	o, err := (&schema.Decoder{}).Resource(user, enterpriseUser(b))
	if err != nil {
		b.Fatal(err)
	}
	stored := o.AppendJSON(nil)
	requests := []struct{ name, operations string }{
		{"active", `{"op":"replace","value":{"active":false}}`},
		{"legacy", `{"op":"Replace","path":"active","value":"False"}`},
		{"email", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"new@example.com"}`},
	}
	for _, r := range requests {
		body := message(r.operations)
		b.Run("patch="+r.name, func(b *testing.B) {
			b.ReportAllocs()
			var buffer []byte
			for b.Loop() {
				doc, err := user.Document(stored)
				if err != nil {
					b.Fatal(err)
				}
				changed, err := apply(&schema.Decoder{Allow: everything}, user, body, doc, nil)
				if err != nil {
					b.Fatal(err)
				}
				buffer = changed.AppendJSON(buffer[:0])
			}
		})
		b.Run("patch="+r.name+"/apply", func(b *testing.B) {
			b.ReportAllocs()
			doc, err := user.Document(stored)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := apply(&schema.Decoder{Allow: everything}, user, body, doc, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("peer=map", func(b *testing.B) {
		body := message(requests[0].operations)
		b.ReportAllocs()
		for b.Loop() {
			var doc map[string]any
			var request struct {
				Operations []struct{ Value map[string]any }
			}
			if json.Unmarshal(stored, &doc) != nil || json.Unmarshal(body, &request) != nil {
				b.Fatal("decoding failed")
			}
			for key, value := range request.Operations[0].Value {
				doc[key] = value
			}
			if _, err := json.Marshal(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// discard is membership that keeps nothing.
type discard struct{}

func (discard) Add(string) error                    { return nil }
func (discard) Remove(string) error                 { return nil }
func (discard) Clear() error                        { return nil }
func (discard) Each(func(schema.Value) error) error { return nil }

func (discard) Member(string) (v schema.Value, is bool, err error) { return v, false, nil }

var _ patch.Members = discard{}

func BenchmarkGroup(b *testing.B) {
	group := schema.Standard().Type("Group")
	doc, err := group.Document([]byte(`{"displayName":"Tour Guides"}`))
	if err != nil {
		b.Fatal(err)
	}
	member := func(n int) string { return fmt.Sprintf(`{"value":"2819c223-7f76-453a-919d-%012d"}`, n) }
	list := member(0)
	for i := 1; i < 1000; i++ {
		list += "," + member(i)
	}
	for _, r := range []struct{ name, operations string }{
		{"add=1", `{"op":"add","path":"members","value":[` + member(0) + `]}`},
		{"remove=1", `{"op":"remove","path":"members[value eq \"2819c223-7f76-453a-919d-413861904646\"]"}`},
		{"add=1000", `{"op":"add","path":"members","value":[` + list + `]}`},
	} {
		body := message(r.operations)
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := apply(&schema.Decoder{Allow: everything}, group, body, doc, discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
