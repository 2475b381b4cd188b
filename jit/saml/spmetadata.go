package saml

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"

	saml2 "github.com/russellhaering/gosaml2"
	"github.com/russellhaering/gosaml2/types"
)

// The service provider's own metadata (SAML metadata section 2.4.4). gosaml2's
// is not used: it expires after a week, which breaks those identity providers
// that import it once, and it invites CBC.
type (
	spMetadata struct {
		XMLName  xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
		EntityID string   `xml:"entityID,attr"`
		Role     spRole   `xml:"SPSSODescriptor"`
	}

	spRole struct {
		RequestsSigned bool       `xml:"AuthnRequestsSigned,attr"`
		WantSigned     bool       `xml:"WantAssertionsSigned,attr"`
		Protocols      string     `xml:"protocolSupportEnumeration,attr"`
		Keys           []spKey    `xml:"KeyDescriptor"`
		Consumers      []spTarget `xml:"AssertionConsumerService"`
	}

	spKey struct {
		Use     string    `xml:"use,attr"`
		Info    spKeyInfo `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo"`
		Methods []spMethod
	}

	spKeyInfo struct {
		Certificate string `xml:"X509Data>X509Certificate"`
	}

	spMethod struct {
		XMLName   xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:metadata EncryptionMethod"`
		Algorithm string   `xml:"Algorithm,attr"`
	}

	spTarget struct {
		Binding  string `xml:"Binding,attr"`
		Location string `xml:"Location,attr"`
		Index    int    `xml:"index,attr"`
		Default  bool   `xml:"isDefault,attr"`
	}
)

// Metadata returns the metadata document of the service provider, to be given to
// the identity provider. It does not expire.
func (sp *ServiceProvider) Metadata() ([]byte, error) {
	doc := spMetadata{
		EntityID: sp.entityID,
		Role: spRole{
			RequestsSigned: sp.sign,
			WantSigned:     true,
			Protocols:      saml2.SAMLProtocolNamespace,
			Consumers:      []spTarget{{Binding: saml2.BindingHttpPost, Location: sp.ACS(), Index: 1, Default: true}},
		},
	}
	if sp.certificate != nil {
		info := spKeyInfo{Certificate: base64.StdEncoding.EncodeToString(sp.certificate.Raw)}
		doc.Role.Keys = []spKey{
			{Use: "signing", Info: info},
			{Use: "encryption", Info: info, Methods: []spMethod{
				{Algorithm: types.MethodAES256GCM}, {Algorithm: types.MethodAES128GCM}, {Algorithm: types.MethodRSAOAEP},
			}},
		}
	}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}
