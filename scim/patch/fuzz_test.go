package patch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// FuzzApply applies any request to any document and checks that
//
//   - the document before stays as it was,
//   - the error, if there is one, has a type of RFC 7644 section 3.12,
//   - the document after a request is one that decoding gives again, and valid
//     if the one before was: no more than one primary value, nothing required
//     missing,
//   - a request that only replaces, without value filters, does the same twice
//     as once.
func FuzzApply(f *testing.F) {
	for _, list := range readVectors(f) {
		for i := range list {
			v := &list[i]
			f.Add(v.Type, v.Allow == "idp", []byte(v.Before), v.body())
		}
	}
	types := []string{"", "invalidSyntax", "invalidValue", "invalidPath", "invalidFilter", "noTarget", "mutability", "tooMany"}
	f.Fuzz(func(t *testing.T, name string, tolerant bool, before, body []byte) {
		if name != "" && name != "Group" && name != "Device" {
			name = ""
		}
		typ := resourceType(t, name)
		doc, err := (&schema.Decoder{Allow: everything}).Resource(typ, before)
		if err != nil {
			return // not a document
		}
		if a := typ.Root.Lookup("members"); a != nil {
			doc.Set(a, schema.Value{}) // kept elsewhere
		}
		var allow schema.Tolerance
		if tolerant {
			allow = everything
		}
		text := string(doc.AppendJSON(nil))

		decoder := &schema.Decoder{Allow: allow}
		after, err := apply(decoder, typ, body, doc, &members{typ: typ})
		if got := string(doc.AppendJSON(nil)); got != text {
			t.Fatalf("the document before was changed from %s to %s", text, got)
		}
		if kind := scimType(err); !slices.Contains(types, kind) {
			t.Fatalf("error type %q: %v", kind, err)
		}
		if err != nil {
			return
		}
		checkDocument(t, typ, after)
		if typ.Validate(doc) == nil {
			if err := typ.Validate(after); err != nil {
				t.Fatalf("%s became invalid as %s: %v", text, after.AppendJSON(nil), err)
			}
		}
		if decoder.Used&^allow != 0 {
			t.Fatalf("tolerances %v were used, %v allowed", decoder.Used.Names(), allow.Names())
		}
		if idempotent(t, body, allow) {
			again, err := apply(&schema.Decoder{Allow: allow}, typ, body, after, &members{typ: typ})
			if err != nil {
				t.Fatalf("the second time: %v", err)
			}
			if !again.Equal(after) {
				t.Fatalf("once: %s\ntwice: %s", after.AppendJSON(nil), again.AppendJSON(nil))
			}
		}
	})
}

// idempotent reports whether a request only replaces, without value filters.
// (With one, the first operation may change what the second selects. And what
// is immutable cannot be replaced by nothing and then by something.)
func idempotent(t *testing.T, body []byte, allow schema.Tolerance) bool {
	request, err := patch.Parse(&schema.Decoder{Allow: allow}, body, patch.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range request.Operations {
		if o.Op != "replace" || strings.Contains(o.Path+string(o.Value), "[") {
			return false
		}
	}
	return true
}

// FuzzParse checks that a request that was parsed is within its limits and
// means the same when it is written again.
func FuzzParse(f *testing.F) {
	for _, list := range readVectors(f) {
		for i := range list {
			f.Add(list[i].body())
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		decoder := &schema.Decoder{Allow: everything}
		request, err := patch.Parse(decoder, body, patch.Limits{Operations: 10})
		if err != nil {
			return
		}
		switch n := len(request.Operations); {
		case n == 0:
			return // the RFC has no such message to write
		case n > 10:
			t.Fatalf("%d operations", n)
		}
		written := make([]string, len(request.Operations))
		for i, o := range request.Operations {
			if !slices.Contains([]string{"add", "replace", "remove"}, o.Op) {
				t.Fatalf("op %q", o.Op)
			}
			written[i] = `{"op":` + quote(o.Op)
			if o.Path != "" {
				written[i] += `,"path":` + quote(o.Path)
			}
			if o.Value != nil {
				written[i] += `,"value":` + string(o.Value)
			}
			written[i] += "}"
		}
		again, err := patch.Parse(&schema.Decoder{}, message(written...), patch.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", message(written...), err)
		}
		for i, o := range again.Operations {
			if p := request.Operations[i]; o.Op != p.Op || o.Path != p.Path || string(o.Value) != string(p.Value) {
				t.Fatalf("operation %d: %q, want %q", i, o, p)
			}
		}
	})
}

func quote(s string) string {
	return string(schema.Value{Kind: schema.Text, Text: s}.AppendJSON(nil))
}
