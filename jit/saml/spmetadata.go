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
		Logouts        []spLogout `xml:"SingleLogoutService"`
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
		XMLName   xml.Name     `xml:"urn:oasis:names:tc:SAML:2.0:metadata EncryptionMethod"`
		Algorithm string       `xml:"Algorithm,attr"`
		Digest    *spAlgorithm `xml:"http://www.w3.org/2000/09/xmldsig# DigestMethod"`
		Mask      *spAlgorithm `xml:"http://www.w3.org/2009/xmlenc11# MGF"`
	}

	spAlgorithm struct {
		Algorithm string `xml:"Algorithm,attr"`
	}

	spLogout struct {
		Binding  string `xml:"Binding,attr"`
		Location string `xml:"Location,attr"`
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
			Logouts:        []spLogout{{saml2.BindingHttpRedirect, sp.SLO()}, {saml2.BindingHttpPost, sp.SLO()}},
			Consumers:      []spTarget{{Binding: saml2.BindingHttpPost, Location: sp.ACS(), Index: 1, Default: true}},
		},
	}
	for _, cert := range sp.certificates {
		info := spKeyInfo{Certificate: base64.StdEncoding.EncodeToString(cert.Raw)}
		doc.Role.Keys = append(doc.Role.Keys, spKey{Use: "signing", Info: info})
		if sp.offerKey {
			doc.Role.Keys = append(doc.Role.Keys, spKey{Use: "encryption", Info: info, Methods: sp.encryptionMethods()})
		}
	}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("saml: metadata: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

// encryptionMethods are those that [ServiceProvider.Verify] can decrypt, the best
// first.
func (sp *ServiceProvider) encryptionMethods() []spMethod {
	methods := []spMethod{{Algorithm: types.MethodAES256GCM}, {Algorithm: types.MethodAES192GCM}, {Algorithm: types.MethodAES128GCM}}
	if sp.allowCBC {
		methods = append(methods, spMethod{Algorithm: types.MethodAES256CBC}, spMethod{Algorithm: methodAES192CBC}, spMethod{Algorithm: types.MethodAES128CBC})
	}
	for _, pair := range [][2]string{{digestSHA256, "mgf1sha256"}, {digestSHA384, "mgf1sha384"}, {digestSHA512, "mgf1sha512"}} {
		methods = append(methods, spMethod{
			Algorithm: types.MethodRSAOAEP2, Digest: &spAlgorithm{pair[0]}, Mask: &spAlgorithm{xenc11Namespace + pair[1]},
		})
	}
	return append(methods, spMethod{Algorithm: types.MethodRSAOAEP})
}
