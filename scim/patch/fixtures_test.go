package patch_test

import (
	"slices"
	"sync"
	"testing"

	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision/scim/schema"
)

// resourceType returns a type of the standard set, or the custom type "Device".
func resourceType(t testing.TB, name string) *schema.ResourceType {
	t.Helper()
	switch name {
	case "":
		name = "User"
	case "Device":
		typ, err := device()
		if err != nil {
			t.Fatal(err)
		}
		return typ
	}
	typ := schema.Standard().Type(name)
	if typ == nil {
		t.Fatalf("no resource type %q", name)
	}
	return typ
}

// device compiles a type that has what User and Group lack.
var device = sync.OnceValues(func() (*schema.ResourceType, error) {
	text := elimity.SimpleStringParams
	core := elimity.Schema{ID: "urn:example:Device", Attributes: []elimity.CoreAttribute{
		elimity.SimpleCoreAttribute(text(elimity.StringParams{Name: "serial", Mutability: elimity.AttributeMutabilityImmutable()})),
		elimity.SimpleCoreAttribute(text(elimity.StringParams{Name: "label"})),
		elimity.SimpleCoreAttribute(text(elimity.StringParams{Name: "tags", MultiValued: true})),
		elimity.SimpleCoreAttribute(elimity.SimpleNumberParams(elimity.NumberParams{Name: "ports", Type: elimity.AttributeTypeInteger()})),
		elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: "slots", MultiValued: true, SubAttributes: []elimity.SimpleParams{
			text(elimity.StringParams{Name: "value", Required: true}),
			text(elimity.StringParams{Name: "burnt", Mutability: elimity.AttributeMutabilityImmutable()}),
			text(elimity.StringParams{Name: "cards", MultiValued: true}),
			elimity.SimpleNumberParams(elimity.NumberParams{Name: "index", Type: elimity.AttributeTypeInteger()}),
		}}),
		elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: "site", Mutability: elimity.AttributeMutabilityImmutable(), SubAttributes: []elimity.SimpleParams{
			text(elimity.StringParams{Name: "building"}),
			text(elimity.StringParams{Name: "room"}),
		}}),
		elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: "owner", SubAttributes: []elimity.SimpleParams{
			text(elimity.StringParams{Name: "value", Mutability: elimity.AttributeMutabilityImmutable()}),
			text(elimity.StringParams{Name: "note"}),
		}}),
	}}
	warranty := elimity.Schema{ID: "urn:example:Warranty", Attributes: []elimity.CoreAttribute{
		elimity.SimpleCoreAttribute(text(elimity.StringParams{Name: "until"})),
	}}
	set, err := schema.Compile(schema.Definition{
		Name: "Device", Endpoint: "/Devices", Schema: core,
		Extensions: []schema.Extension{{Schema: warranty, Required: true}},
	})
	if err != nil {
		return nil, err
	}
	return set.Type("Device"), nil
})

// document decodes the document of a vector.
func document(t testing.TB, typ *schema.ResourceType, data []byte) schema.Object {
	t.Helper()
	decoder := &schema.Decoder{Allow: schema.LooseSchemas}
	o, err := decoder.Resource(typ, data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return o
}

// members records the calls that a PATCH makes and keeps the members that
// result.
type members struct {
	typ   *schema.ResourceType
	ids   []string
	calls []string
	fail  error // returned by every call
}

func (m *members) Add(id string) error {
	m.calls = append(m.calls, "add "+id)
	if !slices.Contains(m.ids, id) {
		m.ids = append(m.ids, id)
	}
	return m.fail
}

func (m *members) Remove(id string) error {
	m.calls = append(m.calls, "remove "+id)
	m.ids = slices.DeleteFunc(m.ids, func(s string) bool { return s == id })
	return m.fail
}

func (m *members) Clear() error {
	m.calls = append(m.calls, "clear")
	m.ids = []string{}
	return m.fail
}

func (m *members) Each(fn func(schema.Value) error) error {
	m.calls = append(m.calls, "each")
	for _, id := range slices.Clone(m.ids) {
		if err := fn(m.value(id)); err != nil {
			return err
		}
	}
	return m.fail
}

func (m *members) Member(id string) (v schema.Value, is bool, err error) {
	m.calls = append(m.calls, "member "+id)
	if !slices.Contains(m.ids, id) {
		return v, false, m.fail
	}
	return m.value(id), true, m.fail
}

func (m *members) value(id string) schema.Value {
	a := m.typ.Root.Lookup("members")
	var o schema.Object
	o.Set(a.Lookup("value"), schema.Value{Kind: schema.Text, Text: id})
	o.Set(a.Lookup("display"), schema.Value{Kind: schema.Text, Text: "display of " + id})
	o.Set(a.Lookup("type"), schema.Value{Kind: schema.Text, Text: "User"})
	return schema.Value{Kind: schema.ObjectValue, Object: o}
}
