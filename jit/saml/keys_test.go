package saml_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/jit/saml"
)

func spare(pair *keyPair) func(*saml.Options) {
	return func(o *saml.Options) {
		o.SpareKey, o.SpareCertificate = pair.signer.(*rsa.PrivateKey), pair.cert
	}
}

// While a key of ours is replaced, both decrypt.
func TestSpareKey(t *testing.T) {
	for _, to := range []*keyPair{spPair(), strangerKey()} {
		message := []byte(shape{encrypt: aesGCM, to: to}.make(t))
		if _, err := provider(t, spare(strangerKey())).Verify(message, requestID, noon); err != nil {
			t.Errorf("for %v: %v", to.cert.Subject, err)
		}
	}
	if _, err := provider(t).Verify([]byte(shape{encrypt: aesGCM, to: strangerKey()}.make(t)), requestID, noon); codeOf(err) != saml.CodeDecryption {
		t.Errorf("without the spare key: %v", err)
	}
}

// The metadata lists both keys, the one that signs first, and what each can be
// used for.
func TestMetadataKeys(t *testing.T) {
	tests := []struct {
		name    string
		options []func(*saml.Options)
		want    []string
	}{
		{"one key", nil, []string{"signing 4", "encryption 4"}},
		{"two keys", []func(*saml.Options){spare(strangerKey())}, []string{"signing 4", "encryption 4", "signing 3", "encryption 3"}},
		{"not for encryption", []func(*saml.Options){spare(strangerKey()), func(o *saml.Options) { o.Settings.Encryption = "off" }}, []string{"signing 4", "signing 3"}},
		{"no key", []func(*saml.Options){withoutKey}, nil},
	}
	numbers := map[string]string{}
	for _, pair := range []*keyPair{spPair(), strangerKey()} {
		numbers[base64.StdEncoding.EncodeToString(pair.cert.Raw)] = pair.cert.SerialNumber.String()
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, k := range descriptors(t, provider(t, tt.options...)) {
				got = append(got, k.Use+" "+numbers[k.KeyInfo.X509Data.X509Certificates[0].Data])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

// What the metadata lists is what the fixtures of the attack suite show to work.
func TestMetadataEncryptionMethods(t *testing.T) {
	want := []string{
		"http://www.w3.org/2009/xmlenc11#aes256-gcm",
		"http://www.w3.org/2009/xmlenc11#aes192-gcm",
		"http://www.w3.org/2009/xmlenc11#aes128-gcm",
		"http://www.w3.org/2009/xmlenc11#rsa-oaep http://www.w3.org/2001/04/xmlenc#sha256 http://www.w3.org/2009/xmlenc11#mgf1sha256",
		"http://www.w3.org/2009/xmlenc11#rsa-oaep http://www.w3.org/2001/04/xmldsig-more#sha384 http://www.w3.org/2009/xmlenc11#mgf1sha384",
		"http://www.w3.org/2009/xmlenc11#rsa-oaep http://www.w3.org/2001/04/xmlenc#sha512 http://www.w3.org/2009/xmlenc11#mgf1sha512",
		"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
	}
	data, err := provider(t).Metadata()
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, method := range doc.FindElements("//EncryptionMethod") {
		text := method.SelectAttrValue("Algorithm", "")
		for _, child := range method.ChildElements() {
			text += " " + child.SelectAttrValue("Algorithm", "")
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
}

func descriptors(t *testing.T, sp *saml.ServiceProvider) []crewjam.KeyDescriptor {
	t.Helper()
	data, err := sp.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	var entity crewjam.EntityDescriptor
	if err := xml.Unmarshal(data, &entity); err != nil {
		t.Fatal(err)
	}
	return entity.SPSSODescriptors[0].KeyDescriptors
}

// AES-CBC is offered only where it is accepted, and warned about.
func TestInsecureAllowCBC(t *testing.T) {
	for _, on := range []bool{false, true} {
		var options []func(*saml.Options)
		if on {
			options = append(options, allowCBC)
		}
		sp := provider(t, options...)
		offered := slices.ContainsFunc(descriptors(t, sp)[1].EncryptionMethods, func(m crewjam.EncryptionMethod) bool {
			return strings.HasSuffix(m.Algorithm, "-cbc")
		})
		warned := slices.ContainsFunc(sp.Warnings(noon), func(text string) bool { return strings.HasPrefix(text, "insecureAllowCBC") })
		if offered != on || warned != on {
			t.Errorf("on is %v: offered %v, warned %v", on, offered, warned)
		}
	}
}
