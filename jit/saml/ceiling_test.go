package saml_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scimjit/provision/jit/saml"
)

// The signature library traverses so many elements. When this test fails after
// an upgrade the other way, the ceiling has been lifted: documentation and
// advice can go.
func TestCeiling(t *testing.T) {
	tests := []struct {
		name  string
		shape shape
		max   int
	}{
		{name: "assertion signed", max: 470},
		{name: "both signed", shape: shape{signResponse: true}, max: 470},
		{name: "response signed", shape: shape{unsigned: true, signResponse: true}, max: 484},
		{name: "encrypted", shape: shape{encrypt: aesGCM}, max: 470},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n, want := range map[int]saml.Code{tt.max: "", tt.max + 1: saml.CodeAssertionTooLarge} {
				tt.shape.assertion = sub(statement, `<saml:AttributeStatement><saml:Attribute Name="groups">`+
					strings.Repeat("<saml:AttributeValue>g</saml:AttributeValue>", n)+`</saml:Attribute></saml:AttributeStatement>`)
				_, err := provider(t).Verify([]byte(tt.shape.make(t)), requestID, noon)
				if codeOf(err) != want || errors.Is(err, saml.ErrAssertionTooLarge) != (want != "") {
					t.Errorf("%d values: %v", n, err)
				}
			}
		})
	}
}
