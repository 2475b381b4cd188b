package saml_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
)

func TestAttributes(t *testing.T) {
	const targeted = `<saml:NameID NameQualifier="q">opaque</saml:NameID>`
	value := func(s string) string { return "<saml:AttributeValue>" + s + "</saml:AttributeValue>" }
	groups := func(values string) string { return `<saml:Attribute Name="groups">` + values + `</saml:Attribute>` }
	tests := []struct {
		name       string
		statements string // in the place of the one attribute statement
		want       []jit.Attribute
	}{
		{name: "no statement"},
		{
			name:       "several attributes of one name",
			statements: "<saml:AttributeStatement>" + groups(value("a")) + groups(value("b")) + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "groups", Values: []string{"a"}}, {Name: "groups", Values: []string{"b"}}},
		},
		{
			name: "several statements",
			statements: "<saml:AttributeStatement>" + groups(value("a")) + "</saml:AttributeStatement>" +
				"<saml:AttributeStatement>" + groups(value("b")) + "</saml:AttributeStatement>",
			want: []jit.Attribute{{Name: "groups", Values: []string{"a"}}, {Name: "groups", Values: []string{"b"}}},
		},
		{
			name:       "friendly name only",
			statements: `<saml:AttributeStatement><saml:Attribute FriendlyName="mail">` + value("a") + `</saml:Attribute></saml:AttributeStatement>`,
			want:       []jit.Attribute{{FriendlyName: "mail", Values: []string{"a"}}},
		},
		{
			name:       "elements inside of a value, and blanks",
			statements: "<saml:AttributeStatement>" + groups(value("IT<saml:b>x</saml:b>Admins")+value("IT"+targeted)+value(targeted+targeted)+value(" \n ")+value("")+value("b")) + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "groups", Values: []string{"b"}, Malformed: 3}},
		},
		{
			name:       "a value of XML beside others",
			statements: `<saml:AttributeStatement><saml:Attribute Name="address">` + value(`<x:Address xmlns:x="urn:x" x:lang="en"><x:Street>Main</x:Street><x:Status></x:Status></x:Address>`) + `</saml:Attribute>` + groups(value("a")) + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "address", Malformed: 1}, {Name: "groups", Values: []string{"a"}}},
		},
		{
			name:       "NameID as a value",
			statements: "<saml:AttributeStatement>" + groups(value("\n "+targeted+"\n")) + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "groups", Values: []string{"opaque"}}},
		},
		{
			name:       "attribute without values",
			statements: "<saml:AttributeStatement>" + groups("") + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "groups"}},
		},
		{
			name:       "references, sections and comments",
			statements: "<saml:AttributeStatement>" + groups(value("R&amp;D <![CDATA[<x>]]>&#233;<!-- c -->!")) + "</saml:AttributeStatement>",
			want:       []jit.Attribute{{Name: "groups", Values: []string{"R&D <x>é!"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, s := range map[string]shape{
				"plain":           {assertion: sub(statement, tt.statements)},
				"encrypted":       {assertion: sub(statement, tt.statements), encrypt: aesGCM},
				"signed response": {assertion: sub(statement, tt.statements), unsigned: true, signResponse: true},
			} {
				got, err := provider(t).Verify([]byte(s.make(t)), requestID, noon)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want := jit.Assertion{
					Issuer:     idpEntity,
					NameID:     provision.NameID{Value: "jane", Format: jit.NameIDPersistent},
					Attributes: tt.want,
				}
				if diff := cmp.Diff(want, got.Assertion); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}
