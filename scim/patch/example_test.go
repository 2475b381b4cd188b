package patch_test

import (
	"fmt"

	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
)

func Example() {
	user := schema.Standard().Type("User")
	doc, err := user.Document([]byte(`{"userName":"mira","active":true}`))
	if err != nil {
		panic(err)
	}

	// What Entra ID sends: a capitalized operation, a boolean as text, and a
	// value filter that finds nothing.
	decoder := &schema.Decoder{Allow: schema.AnyCaseOp | schema.TextBooleans | schema.ReplaceCreates}
	request, err := patch.Parse(decoder, []byte(`{
		"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
		"Operations": [
			{"op": "Replace", "path": "active", "value": "False"},
			{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "mira@example.com"}
		]
	}`), patch.Limits{})
	if err != nil {
		panic(err)
	}
	changed, err := request.Apply(decoder, user, doc, nil)
	if err != nil {
		panic(err)
	}

	fmt.Printf("%s\n", changed.AppendJSON(nil))
	fmt.Println(decoder.Used.Names())
	// Output:
	// {"userName":"mira","active":false,"emails":[{"value":"mira@example.com","type":"work"}]}
	// [textBooleans anyCaseOp replaceCreates]
}
