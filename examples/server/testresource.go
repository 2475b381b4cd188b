package main

import (
	"github.com/elimity-com/scim/optional"
	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision/scim/schema"
)

// The URNs of the test resource.
const (
	testResourceURN  = "urn:ietf:params:scim:schemas:test:2.0:TestResource"
	testExtensionURN = "urn:ietf:params:scim:schemas:extension:test:2.0:TestResource"
)

// withTestResource returns the schemas of RFC 7643 and the test resource, for
// every connection. A host adds resource types of its own in the same way.
func withTestResource() (func(connection string) *schema.Set, error) {
	set, err := schema.Compile(append(schema.StandardDefinitions(), testResource())...)
	if err != nil {
		return nil, err
	}
	return func(string) *schema.Set { return set }, nil
}

// testResource defines a resource type that has an attribute of every type and
// characteristic, to try clients and this library with.
func testResource() schema.Definition {
	return schema.Definition{
		Name:        "TestResource",
		Endpoint:    "/TestResources",
		Description: "A resource with an attribute of every kind",
		Schema: elimity.Schema{
			ID:         testResourceURN,
			Name:       optional.NewString("TestResource"),
			Attributes: testAttributes(),
		},
		Extensions: []schema.Extension{{
			Required: true,
			Schema: elimity.Schema{
				ID:   testExtensionURN,
				Name: optional.NewString("TestResource extension"),
				Attributes: elimity.Attributes{
					simple(elimity.StringParams{Name: "extString"}),
					simple(elimity.StringParams{Name: "extRequired", Required: true}),
					elimity.SimpleCoreAttribute(integer("extInteger")),
				},
			},
		}},
	}
}

func testAttributes() elimity.Attributes {
	return elimity.Attributes{
		simple(elimity.StringParams{Name: "identifier", Required: true, Uniqueness: elimity.AttributeUniquenessServer()}),
		simple(elimity.StringParams{Name: "caseExactString", CaseExact: true}),
		simple(elimity.StringParams{Name: "caseInsensitiveString"}),
		elimity.SimpleCoreAttribute(integer("integerAttr")),
		elimity.SimpleCoreAttribute(elimity.SimpleNumberParams(elimity.NumberParams{Name: "decimalAttr", Type: elimity.AttributeTypeDecimal()})),
		elimity.SimpleCoreAttribute(boolean("booleanAttr")),
		elimity.SimpleCoreAttribute(elimity.SimpleDateTimeParams(elimity.DateTimeParams{Name: "dateTimeAttr"})),
		elimity.SimpleCoreAttribute(elimity.SimpleBinaryParams(elimity.BinaryParams{Name: "binaryAttr"})),
		elimity.SimpleCoreAttribute(elimity.SimpleReferenceParams(elimity.ReferenceParams{
			Name: "referenceAttr", ReferenceTypes: []elimity.AttributeReferenceType{elimity.AttributeReferenceTypeURI},
		})),
		simple(elimity.StringParams{Name: "readOnlyAttr", Mutability: elimity.AttributeMutabilityReadOnly()}),
		simple(elimity.StringParams{Name: "immutableAttr", Mutability: elimity.AttributeMutabilityImmutable()}),
		simple(elimity.StringParams{Name: "writeOnlyAttr", Mutability: elimity.AttributeMutabilityWriteOnly(), Returned: elimity.AttributeReturnedNever()}),
		simple(elimity.StringParams{Name: "requestOnlyAttr", Returned: elimity.AttributeReturnedRequest()}),
		simple(elimity.StringParams{Name: "alwaysReturnedAttr", Returned: elimity.AttributeReturnedAlways()}),
		simple(elimity.StringParams{Name: "multiStrings", MultiValued: true}),
		elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: "complexAttr", SubAttributes: []elimity.SimpleParams{
			elimity.SimpleStringParams(elimity.StringParams{Name: "sub1"}), integer("sub2"), boolean("sub3"),
		}}),
		elimity.ComplexCoreAttribute(elimity.ComplexParams{Name: "multiComplex", MultiValued: true, SubAttributes: []elimity.SimpleParams{
			elimity.SimpleStringParams(elimity.StringParams{Name: "value"}), elimity.SimpleStringParams(elimity.StringParams{Name: "type"}), boolean("primary"),
		}}),
		simple(elimity.StringParams{Name: "uniqueString", Uniqueness: elimity.AttributeUniquenessServer()}),
	}
}

func simple(p elimity.StringParams) elimity.CoreAttribute {
	return elimity.SimpleCoreAttribute(elimity.SimpleStringParams(p))
}

func integer(name string) elimity.SimpleParams {
	return elimity.SimpleNumberParams(elimity.NumberParams{Name: name, Type: elimity.AttributeTypeInteger()})
}

func boolean(name string) elimity.SimpleParams {
	return elimity.SimpleBooleanParams(elimity.BooleanParams{Name: name})
}
