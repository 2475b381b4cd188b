package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/schema"
)

// readVectors reads a file of test vectors. An unknown field is an error, so
// that a misspelled expectation cannot pass.
func readVectors(t *testing.T, file string, vectors any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(readFile(t, "testdata/"+file)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(vectors); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// tolerances turns names into a set; "all" is every tolerance.
func tolerances(t *testing.T, names []string) schema.Tolerance {
	t.Helper()
	var set schema.Tolerance
	for _, name := range names {
		if name == "all" {
			return all
		}
		tolerance, ok := schema.ToleranceNamed(name)
		if !ok {
			t.Fatalf("unknown tolerance %q", name)
		}
		set |= tolerance
	}
	return set
}

// wantError is what an error must be; the detail is a part of it.
type wantError struct {
	Type      string `json:"type"`
	Attribute string `json:"attribute"`
	Detail    string `json:"detail"`
}

// check compares an error and reports whether there is one.
func (want *wantError) check(t *testing.T, err error) bool {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatalf("error: %v", err)
		}
		return false
	}
	var got *schema.Error
	if !errors.As(err, &got) {
		t.Fatalf("error is %v, want one of type %s", err, want.Type)
	}
	if got.Type != want.Type || !strings.Contains(got.Detail, want.Detail) {
		t.Errorf("error is %s %q, want %s %q", got.Type, got.Detail, want.Type, want.Detail)
	}
	if got.Code == "" {
		t.Error("the error has no code")
	}
	if got.Attribute != want.Attribute {
		t.Errorf("attribute of the error is %q, want %q", got.Attribute, want.Attribute)
	}
	return true
}

// canonical returns JSON without white space and needless escapes.
func canonical(t *testing.T, data []byte) string {
	t.Helper()
	v := jsontext.Value(bytes.Clone(data))
	if err := v.Format(); err != nil {
		t.Fatal(err)
	}
	return string(v)
}

func TestResource(t *testing.T) {
	var vectors []struct {
		Name  string          `json:"name"`
		Type  string          `json:"type"`
		Allow []string        `json:"allow"`
		Body  json.RawMessage `json:"body"`
		Text  *string         `json:"text"` // instead of a body that is not JSON, or must not be reformatted
		Want  json.RawMessage `json:"want"`
		Used  []string        `json:"used"`
		Error *wantError      `json:"error"`
	}
	readVectors(t, "resource.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			if v.Text != nil {
				v.Body = []byte(*v.Text)
			}
			resource := schema.Standard().Type(v.Type)
			d := schema.Decoder{Allow: tolerances(t, v.Allow)}
			o, err := d.Resource(resource, v.Body)
			if v.Error.check(t, err) {
				return
			}
			got := o.AppendJSON(nil)
			if diff := cmp.Diff(canonical(t, v.Want), string(got)); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(v.Used, d.Used.Names()); diff != "" {
				t.Errorf("tolerances used (-want +got):\n%s", diff)
			}
			again, err := resource.Document(got)
			if err != nil || !again.Equal(o) {
				t.Errorf("read again as a document: %s, %v", again.AppendJSON(nil), err)
			}
		})
	}
}
