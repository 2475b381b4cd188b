package saml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/jit"
)

// A part that was encrypted means what it meant where it was, when it has left what
// was around it.
func TestSealedPartsKeepTheirNamespaces(t *testing.T) {
	const own = ` xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion"`
	rename := func(text string) string {
		return strings.NewReplacer("<saml:", "<s:", "</saml:", "</s:").Replace(text)
	}
	sealed := func(part, name string) string {
		text := shape{encrypt: aesGCM}.encrypted(t, rename(part))
		return sub("<s:"+name, "<s:"+name+own)(rename(strings.ReplaceAll(text, "EncryptedAssertion", name)))
	}
	const attribute = `<saml:Attribute Name="mail"><saml:AttributeValue>jane@example.com</saml:AttributeValue></saml:Attribute>`
	signed := shape{assertion: all(
		sub(nameID, sealed(nameID, "EncryptedID")),
		sub("</saml:AttributeStatement>", sealed(attribute, "EncryptedAttribute")+"</saml:AttributeStatement>"),
	)}
	v, err := provider(t).Verify([]byte(signed.make(t)), requestID, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := []jit.Attribute{{Name: "email", Values: []string{"jane@example.com"}}, {Name: "mail", Values: []string{"jane@example.com"}}}
	if v.Assertion.NameID.Value != "jane" || !cmp.Equal(v.Assertion.Attributes, want) {
		t.Errorf("got %+v", v.Assertion)
	}
}
