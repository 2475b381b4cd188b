package schema_test

import (
	"fmt"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision/scim/schema"
)

func stringAttribute(name string) elimity.CoreAttribute {
	return elimity.SimpleCoreAttribute(elimity.SimpleStringParams(elimity.StringParams{Name: name}))
}

// definition is a valid definition with the attributes given.
func definition(attributes ...elimity.CoreAttribute) schema.Definition {
	return schema.Definition{Name: "Thing", Endpoint: "/Things", Schema: elimity.Schema{ID: "urn:example:Thing", Attributes: attributes}}
}

func manyAttributes(t *testing.T) *schema.Set {
	t.Helper()
	def := definition()
	def.Name = "Wide"
	for i := range 100 {
		def.Schema.Attributes = append(def.Schema.Attributes, stringAttribute(fmt.Sprintf("a%03d", i)))
	}
	set, err := schema.Compile(def)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestCompileErrors(t *testing.T) {
	complexOf := func(name string, subs ...elimity.SimpleParams) elimity.CoreAttribute {
		return elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: name, SubAttributes: subs})
	}
	text := func(name string) elimity.SimpleParams {
		return elimity.SimpleStringParams(elimity.StringParams{Name: name})
	}
	nested := loadSchema(t, []byte(`{"id":"urn:example:Thing","attributes":[{"name":"outer","type":"complex","subAttributes":[{"name":"inner","type":"complex"}]}]}`))
	change := func(fn func(*schema.Definition)) []schema.Definition {
		def := definition(stringAttribute("a"))
		fn(&def)
		return []schema.Definition{def}
	}
	tests := []struct {
		name string
		defs []schema.Definition
		want string // empty: no error
	}{
		{"valid", change(func(*schema.Definition) {}), ""},
		{"$ref as constructed", []schema.Definition{definition(complexOf("a", text("value"), elimity.SimpleReferenceParams(elimity.ReferenceParams{Name: "$ref"})))}, ""},
		{"nothing", nil, "no resource types"},
		{"duplicate name", []schema.Definition{definition(stringAttribute("a"), stringAttribute("A"))}, `attribute "A" is defined twice`},
		{"common attribute", []schema.Definition{definition(stringAttribute("ID"))}, `attribute "ID" is defined twice, or is a common attribute`},
		{"nested complex", change(func(d *schema.Definition) { d.Schema = nested }), "outer.inner is complex inside a complex attribute"},
		{"empty complex", []schema.Definition{definition(complexOf("a"))}, `complex attribute "a" has no sub-attributes`},
		{"sub-attribute with a dot", []schema.Definition{definition(complexOf("a", text("b.c")))}, `"b.c" is not an attribute name`},
		{"sub-attribute without a name", []schema.Definition{definition(complexOf("a", text("")))}, `"" is not an attribute name`},
		{"attribute that was not constructed", []schema.Definition{definition(elimity.CoreAttribute{})}, `"" is not an attribute name`},
		{"no URN", change(func(d *schema.Definition) { d.Schema.ID = "" }), `"" is not the URN of a schema`},
		{"URN with a quote", change(func(d *schema.Definition) { d.Schema.ID = `urn:"` }), `is not the URN of a schema`},
		{"no name", change(func(d *schema.Definition) { d.Name = "" }), "not a name"},
		{"percent in the name", change(func(d *schema.Definition) { d.Name = "%d" }), `resource type "%d": not a name`},
		{"no endpoint", change(func(d *schema.Definition) { d.Endpoint = "" }), "is not one path segment"},
		{"endpoint without a slash", change(func(d *schema.Definition) { d.Endpoint = "Things" }), "is not one path segment"},
		{"endpoint of two segments", change(func(d *schema.Definition) { d.Endpoint = "/a/b" }), "is not one path segment"},
		{"reserved endpoint", change(func(d *schema.Definition) { d.Endpoint = "/schemas" }), "is reserved"},
		{"same type twice", []schema.Definition{definition(stringAttribute("a")), definition(stringAttribute("a"))}, "the name is used twice"},
		{"same endpoint twice", []schema.Definition{definition(stringAttribute("a")), definition(stringAttribute("a"))}, `endpoint "/Things" is that of "Thing"`},
		{"same schema twice", []schema.Definition{definition(stringAttribute("a")), definition(stringAttribute("a"))}, `schema "urn:example:Thing" is that of "Thing"`},
		{"extension is the core schema", change(func(d *schema.Definition) { d.Extensions = []schema.Extension{{Schema: d.Schema}} }), "is the core schema"},
		{"same extension twice", change(func(d *schema.Definition) {
			d.Extensions = []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser()}, {Schema: elimity.ExtensionEnterpriseUser()}}
		}), "is defined twice"},
		{"one URN, two schemas", []schema.Definition{
			change(func(d *schema.Definition) {
				d.Extensions = []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser()}}
			})[0],
			{Name: "Other", Endpoint: "/Others", Schema: elimity.Schema{ID: schema.EnterpriseURN, Attributes: elimity.Attributes{stringAttribute("a")}}},
		}, "is defined twice, differently"},
		{"unknown index", change(func(d *schema.Definition) { d.Index = []string{"b"} }), `index attribute "b" is unknown`},
		{"unknown unique", change(func(d *schema.Definition) { d.Unique = []string{"a.b"} }), `index attribute "a.b" is unknown`},
		{"complex index", change(func(d *schema.Definition) {
			d.Schema.Attributes, d.Index = elimity.Attributes{complexOf("c", text("value"))}, []string{"c"}
		}), "c is a complex attribute that cannot be indexed"},
		{"index of what the server makes", change(func(d *schema.Definition) { d.Index = []string{"meta.version"} }), "meta.version is a string attribute that cannot be indexed"},
		{"unique decimal", []schema.Definition{definition(elimity.SimpleCoreAttribute(elimity.SimpleNumberParams(elimity.NumberParams{Name: "n", Uniqueness: elimity.AttributeUniquenessServer()})))},
			"n is a decimal attribute that cannot be indexed or unique"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set, err := schema.Compile(test.defs...)
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("error: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want %q", err, test.want)
			case (set == nil) != (err != nil):
				t.Error("a set and an error, or neither")
			}
		})
	}
}

// TestCompileJoins finds all that is wrong at once.
func TestCompileJoins(t *testing.T) {
	def := definition(stringAttribute("a"), stringAttribute("a"))
	def.Endpoint, def.Index = "/Bulk", []string{"x"}
	_, err := schema.Compile(def)
	for _, want := range []string{"defined twice", "reserved", "unknown"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to have %q", err, want)
		}
	}
}
