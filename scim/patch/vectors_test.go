package patch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

// everything is what the dialects of identity providers allow.
const everything = ^schema.Tolerance(0)

// vector is one row of the files in testdata. Exactly one of After, Unchanged
// and Error is set.
type vector struct {
	Name       string          `json:"name"`
	Source     string          `json:"source"`
	Type       string          `json:"type"`  // "User" where it is empty
	Allow      string          `json:"allow"` // "rfc", "idp" or "both"
	Before     json.RawMessage `json:"before"`
	Members    []string        `json:"members"`
	Body       json.RawMessage `json:"body"`
	Text       string          `json:"text"` // a body that is not JSON
	Operations json.RawMessage `json:"operations"`

	After        json.RawMessage `json:"after"`
	Unchanged    bool            `json:"unchanged"`
	Error        string          `json:"error"`
	Calls        []string        `json:"calls"`
	MembersAfter []string        `json:"membersAfter"`
	Used         []string        `json:"used"` // tolerances; none with "rfc"
}

func (v *vector) body() []byte {
	switch {
	case v.Text != "":
		return []byte(v.Text)
	case v.Body != nil:
		return v.Body
	}
	return slices.Concat([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`), v.Operations, []byte("}"))
}

func readVectors(t testing.TB) map[string][]vector {
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	vectors := make(map[string][]vector)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		var list []vector
		if err := decoder.Decode(&list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors[strings.TrimSuffix(filepath.Base(file), ".json")] = list
	}
	return vectors
}

func TestVectors(t *testing.T) {
	for file, list := range readVectors(t) {
		names := make(map[string]bool)
		for i := range list {
			v := &list[i]
			if names[v.Name] || v.Name == "" || v.Source == "" {
				t.Errorf("%s: %q: the name is missing or not unique, or the source is missing", file, v.Name)
			}
			names[v.Name] = true
			if v.Allow == "rfc" || v.Allow == "both" {
				t.Run(file+"/"+v.Name+"/rfc", func(t *testing.T) { v.run(t, 0) })
			}
			if v.Allow == "idp" || v.Allow == "both" {
				t.Run(file+"/"+v.Name+"/idp", func(t *testing.T) { v.run(t, everything) })
			}
			if !slices.Contains([]string{"rfc", "idp", "both"}, v.Allow) {
				t.Errorf("%s: %q: allow is %q", file, v.Name, v.Allow)
			}
		}
	}
}

func (v *vector) run(t *testing.T, allow schema.Tolerance) {
	typ := resourceType(t, v.Type)
	before := document(t, typ, v.Before)
	want := v.expected(t, typ)

	decoder := &schema.Decoder{Allow: allow}
	members := &members{typ: typ, ids: slices.Clone(v.Members)}
	body := v.body()
	got, err := apply(decoder, typ, body, before, members)

	if text := string(before.AppendJSON(nil)); text != string(document(t, typ, v.Before).AppendJSON(nil)) {
		t.Errorf("the document before was changed to %s", text)
	}
	if diff := cmp.Diff(v.Error, scimType(err)); diff != "" {
		t.Fatalf("error type (-want +got):\n%s%v", diff, err)
	}
	if err != nil {
		return
	}
	if diff := cmp.Diff(want, string(got.AppendJSON(nil))); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if v.Unchanged && !got.Equal(before) {
		t.Error("the document is not Equal to the one before")
	}
	if diff := cmp.Diff(v.Calls, members.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if v.MembersAfter != nil {
		if diff := cmp.Diff(v.MembersAfter, members.ids); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	var used []string
	if allow != 0 {
		used = v.Used
	}
	if diff := cmp.Diff(used, decoder.Used.Names()); diff != "" {
		t.Errorf("used tolerances (-want +got):\n%s", diff)
	}
	checkDocument(t, typ, got)
}

// expected returns the document that a vector expects, "" for an error.
func (v *vector) expected(t *testing.T, typ *schema.ResourceType) string {
	outcomes := 0
	for _, set := range []bool{v.After != nil, v.Unchanged, v.Error != ""} {
		if set {
			outcomes++
		}
	}
	if outcomes != 1 {
		t.Fatal("the vector needs one of after, unchanged and error")
	}
	switch {
	case v.Unchanged:
		return string(document(t, typ, v.Before).AppendJSON(nil))
	case v.After != nil:
		return string(document(t, typ, v.After).AppendJSON(nil))
	}
	return ""
}

func apply(d *schema.Decoder, typ *schema.ResourceType, body []byte, before schema.Object, m patch.Members) (schema.Object, error) {
	request, err := patch.Parse(d, body, patch.Limits{})
	if err != nil {
		return nil, err
	}
	return request.Apply(d, typ, before, m)
}

// scimType returns the type of an error, which must be a [*schema.Error].
func scimType(err error) string {
	var e *schema.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return "not a schema.Error"
	case e.Code == "":
		return e.Type + " without a code"
	case e.Detail == "":
		return e.Type + " without a detail"
	}
	return e.Type
}

// checkDocument checks that a document is what decoding it again gives.
func checkDocument(t testing.TB, typ *schema.ResourceType, o schema.Object) {
	t.Helper()
	text := o.AppendJSON(nil)
	again, err := typ.Document(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !again.Equal(o) {
		t.Errorf("%s decodes to %s", text, again.AppendJSON(nil))
	}
}
