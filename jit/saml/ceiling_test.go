package saml_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/saml"
)

// An assertion may have a group in an Attribute of its own, for as many groups as
// an identity may have.
func TestCeiling(t *testing.T) {
	most := strings.Repeat(`<saml:Attribute Name="groups"><saml:AttributeValue>g</saml:AttributeValue></saml:Attribute>`, provision.MaxIdentityGroups)
	tests := []struct {
		name  string
		shape shape
	}{
		{name: "assertion signed"},
		{name: "both signed", shape: shape{signResponse: true}},
		{name: "response signed", shape: shape{unsigned: true, signResponse: true}},
		{name: "encrypted", shape: shape{encrypt: aesGCM}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for values, want := range map[string]saml.Code{most: "", most + most[:len(most)/2]: saml.CodeAssertionTooLarge} {
				tt.shape.assertion = sub(statement, `<saml:AttributeStatement>`+values+`</saml:AttributeStatement>`)
				_, err := provider(t).Verify([]byte(tt.shape.make(t)), requestID, noon)
				if codeOf(err) != want || errors.Is(err, saml.ErrAssertionTooLarge) != (want != "") {
					t.Errorf("%d bytes of values: %v", len(values), err)
				}
			}
		})
	}
}
