package schema_test

import (
	"fmt"

	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision/scim/schema"
)

// A body in the manner of an identity provider becomes a canonical document.
func Example() {
	user := schema.Standard().Type("User")
	d := schema.Decoder{Allow: schema.TextBooleans | schema.EmptyAsAbsent | schema.LooseSchemas}
	o, err := d.Resource(user, []byte(`{
		"active": "True",
		"USERNAME": "Babs@example.com",
		"emails": [{"type": "work", "value": "babs@example.com"}],
		"title": ""
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := user.Validate(o); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", o.AppendJSON(nil))
	for _, key := range user.Keys(o) {
		fmt.Printf("%s = %s\n", key.Attribute, key.Value)
	}
	fmt.Println(d.Used.Names())
	// Output:
	// {"userName":"Babs@example.com","active":true,"emails":[{"value":"babs@example.com","type":"work"}]}
	// userName = babs@example.com
	// emails.value = babs@example.com
	// [textBooleans emptyAsAbsent looseSchemas]
}

// A strict decoder says which attribute is wrong, and how.
func ExampleDecoder_Resource() {
	var d schema.Decoder
	_, err := d.Resource(schema.Standard().Type("User"), []byte(`{"userName": "babs", "active": "True"}`))
	fmt.Println(err)
	// Output: active "True": expected a boolean, got a string
}

// A resource type of its own, beside users and groups.
func ExampleCompile() {
	set, err := schema.Compile(schema.Definition{
		Name:     "Device",
		Endpoint: "/Devices",
		Schema: elimity.Schema{
			ID: "urn:example:schemas:2.0:Device",
			Attributes: elimity.Attributes{
				elimity.SimpleCoreAttribute(elimity.SimpleStringParams(elimity.StringParams{Name: "displayName", Required: true})),
				elimity.SimpleCoreAttribute(elimity.SimpleNumberParams(elimity.NumberParams{Name: "port", Type: elimity.AttributeTypeInteger()})),
			},
		},
		Index: []string{"displayName"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Endpoint("/Devices").Resolve("", "PORT", "", false))
	// Output: port
}
