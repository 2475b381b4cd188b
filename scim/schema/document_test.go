package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

func TestValue(t *testing.T) {
	var vectors []struct {
		Name      string          `json:"name"`
		Attribute string          `json:"attribute"`
		Element   bool            `json:"element"`
		Allow     []string        `json:"allow"`
		Value     json.RawMessage `json:"value"`
		Text      string          `json:"text"` // instead of a value that is not JSON, or must not be reformatted
		Want      json.RawMessage `json:"want"` // null: unassigned
		Used      []string        `json:"used"`
		Error     *wantError      `json:"error"`
	}
	readVectors(t, "value.json", &vectors)
	badge := testSet(t).Type("Badge")
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			if v.Text != "" {
				v.Value = []byte(v.Text)
			}
			d := schema.Decoder{Allow: tolerances(t, v.Allow)}
			got, err := d.Value(badge.Resolve("", v.Attribute, "", false), v.Value, v.Element)
			if v.Error.check(t, err) {
				return
			}
			if diff := cmp.Diff(canonical(t, v.Want), string(got.AppendJSON(nil))); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(v.Used, d.Used.Names()); diff != "" {
				t.Errorf("tolerances used (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKeys tests what a document tells beside its attributes.
func TestKeys(t *testing.T) {
	var vectors []struct {
		Name     string          `json:"name"`
		Type     string          `json:"type"`
		Document json.RawMessage `json:"document"`
		Want     [][3]any        `json:"want"` // attribute, value, unique
		Display  string          `json:"display"`
		Schemas  []string        `json:"schemas"`
	}
	readVectors(t, "keys.json", &vectors)
	set := testSet(t)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			resource := set.Type(v.Type)
			o, err := resource.Document(store.Document(canonical(t, v.Document)))
			if err != nil {
				t.Fatal(err)
			}
			got := [][3]any{}
			for _, k := range resource.Keys(o) {
				got = append(got, [3]any{k.Attribute, k.Value, k.Unique})
			}
			if diff := cmp.Diff(v.Want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if display := resource.Display(o); display != v.Display {
				t.Errorf("display is %q, want %q", display, v.Display)
			}
			if diff := cmp.Diff(v.Schemas, resource.Schemas(o)); diff != "" {
				t.Errorf("schemas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	var vectors []struct {
		Name     string          `json:"name"`
		Type     string          `json:"type"`
		Document json.RawMessage `json:"document"`
		Error    *wantError      `json:"error"`
	}
	readVectors(t, "validate.json", &vectors)
	set := testSet(t)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			resource := set.Type(v.Type)
			o, err := resource.Document(store.Document(canonical(t, v.Document)))
			if err != nil {
				t.Fatal(err)
			}
			v.Error.check(t, resource.Validate(o))
		})
	}
}

func TestLimits(t *testing.T) {
	user := schema.Standard().Type("User")
	deep := func(n int) string {
		return `{"x":` + strings.Repeat(`[`, n-1) + strings.Repeat(`]`, n-1) + `}`
	}
	deepObjects := func(n int) string {
		return strings.Repeat(`{"x":`, n) + `1` + strings.Repeat(`}`, n)
	}
	text := func(key string, n int) string { return `{"` + key + `":"` + strings.Repeat("x", n) + `"}` }
	tests := []struct {
		name, body string
		decoder    schema.Decoder
		want       *wantError
	}{
		{"depth 32", deep(32), schema.Decoder{}, nil},
		{"depth 33", deep(33), schema.Decoder{}, &wantError{"invalidSyntax", "", "nested deeper than 32"}},
		{"objects 33", deepObjects(33), schema.Decoder{}, &wantError{"invalidSyntax", "", "nested deeper than 32"}},
		{"depth 20,000", deep(20_000), schema.Decoder{}, &wantError{"invalidSyntax", "", ""}},
		{"own depth", `{"name":{"x":1}}`, schema.Decoder{MaxDepth: 1}, &wantError{"invalidSyntax", "name", "name: nested deeper than 1"}},
		{"text of 64 KiB", text("title", 64<<10), schema.Decoder{}, nil},
		{"longer text", text("title", 64<<10+1), schema.Decoder{}, &wantError{"invalidSyntax", "title", "title: a string is longer than 65536 bytes"}},
		{"longer text that is ignored", text("x", 64<<10+1), schema.Decoder{}, &wantError{"invalidSyntax", "", "a string is longer than 65536 bytes"}},
		{"longer key", `{"` + strings.Repeat("k", 64<<10+1) + `":1}`, schema.Decoder{}, &wantError{"invalidSyntax", "", "a string is longer than 65536 bytes"}},
		{"escapes count as what they mean", `{"title":"` + strings.Repeat(`\u0061`, 100) + `"}`, schema.Decoder{MaxString: 100}, nil},
		{"longer text of escapes", `{"title":"` + strings.Repeat(`\n`, 101) + `"}`, schema.Decoder{MaxString: 100}, &wantError{"invalidSyntax", "title", "longer than 100 bytes"}},
		{"indexed text of 1 KiB", text("userName", schema.MaxIndexed), schema.Decoder{}, nil},
		{"longer indexed text", text("userName", schema.MaxIndexed+1), schema.Decoder{}, &wantError{"invalidValue", "userName", `userName "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: longer than 1024 bytes`}},
		{"longer indexed element", `{"emails":[` + text("value", schema.MaxIndexed+1) + `]}`, schema.Decoder{}, &wantError{"invalidValue", "emails.value", "longer than 1024 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.decoder.Allow |= schema.LooseSchemas
			_, err := test.decoder.Resource(user, []byte(test.body))
			test.want.check(t, err)
		})
	}
}

// TestManyAttributes decodes into an object of more attributes than fit a word.
func TestManyAttributes(t *testing.T) {
	set := manyAttributes(t)
	wide := set.Type("Wide")
	d := schema.Decoder{Allow: schema.LooseSchemas}
	// Four common attributes come before them: a059 is the 64th, a060 the first
	// beyond a word.
	for body, want := range map[string]string{
		`{"a099":"z","a000":"a","A050":"m"}`:                     `{"a000":"a","a050":"m","a099":"z"}`,
		`{"a059":"last","a000":"a"}`:                             `{"a000":"a","a059":"last"}`,
		`{"a060":"first","a059":"last","a000":"a"}`:              `{"a000":"a","a059":"last","a060":"first"}`,
		`{"a061":"second","a060":"first"}`:                       `{"a060":"first","a061":"second"}`,
		`{"a099":"z","a061":"second","a060":"first","a000":"a"}`: `{"a000":"a","a060":"first","a061":"second","a099":"z"}`,
	} {
		o, err := d.Resource(wide, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(o.AppendJSON(nil)); got != want {
			t.Errorf("%s is %s, want %s", body, got, want)
		}
	}
	for _, body := range []string{`{"a099":"z","A099":"a"}`, `{"a000":"z","A000":"a"}`} {
		_, err := d.Resource(wide, []byte(body))
		(&wantError{"invalidSyntax", "", "differ only in case"}).check(t, err)
	}
}

// TestStoredShapes reads documents that were written under another schema.
func TestStoredShapes(t *testing.T) {
	user := schema.Standard().Type("User")
	tests := []struct{ name, doc, want string }{
		{"attribute that is gone", `{"userName":"a","gone":{"x":[1]}}`, `{"userName":"a"}`},
		{"was complex", `{"userName":"a","title":{"value":"x"}}`, `{"userName":"a"}`},
		{"was simple", `{"userName":"a","name":"x"}`, `{"userName":"a"}`},
		{"was multi-valued", `{"userName":"a","title":["x"]}`, `{"userName":"a"}`},
		{"was single-valued", `{"userName":"a","emails":{"value":"x"}}`, `{"userName":"a"}`},
		{"nested array", `{"userName":"a","emails":[["x"]]}`, `{"userName":"a"}`},
		{"nulls", `{"userName":null,"emails":[null]}`, `{}`},
		{"long text", `{"userName":"` + strings.Repeat("x", 2000) + `"}`, `{"userName":"` + strings.Repeat("x", 2000) + `"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, err := user.Document(store.Document(test.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(o.AppendJSON(nil)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	for _, doc := range []string{``, `[]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a" 1}`, `{"a":}`, `{"a":1 "b":2}`, `{"userName":"a`, `{"userName":"a\`, `{"emails":[`, `{1:2}`} {
		if _, err := user.Document(store.Document(doc)); err == nil {
			t.Errorf("no error for the damaged document %s", doc)
		}
	}
}
