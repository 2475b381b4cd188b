package saml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/jit/saml"
)

// TestHostileMetadata: browsers are sent to the locations of metadata, and its
// certificates decide who may log in. The first row is CVE-2023-45683 of
// crewjam/saml, where an address that was a script came into a form.
func TestHostileMetadata(t *testing.T) {
	const location, binding = `Location="https://idp.example.com/sso"`, "bindings:HTTP-Redirect"
	good := string(readFile(t, samlData+"/idp-metadata.xml"))
	_, dsa, ok := strings.Cut(string(readFile(t, samlData+"/testkeys/dsa.crt")), "-----BEGIN CERTIFICATE-----")
	if !ok {
		t.Fatal("no certificate")
	}
	dsa, _, _ = strings.Cut(dsa, "-----END")
	_, cert, _ := strings.Cut(good, "<ds:X509Certificate>")
	cert, _, _ = strings.Cut(cert, "</ds:X509Certificate>")
	key := good[strings.Index(good, "<KeyDescriptor"):strings.Index(good, "<SingleSignOnService")]
	role := good[strings.Index(good, "<IDPSSODescriptor"):strings.Index(good, "</EntityDescriptor>")]

	tests := []struct{ name, old, new string }{
		{"script", location, `Location="javascript:alert(1)"`},
		{"script in capitals", location, `Location="JaVaScRiPt:alert(1)"`},
		{"script with a host", location, `Location="javascript://idp.example.com/%0aalert(1)"`},
		{"data", location, `Location="data:text/html,x"`},
		{"http", location, `Location="http://idp.example.com/sso"`},
		{"http of a name that looks local", location, `Location="http://localhost.example.com/sso"`},
		{"no scheme", location, `Location="//idp.example.com/sso"`},
		{"no host", location, `Location="https:///sso"`},
		{"path", location, `Location="/sso"`},
		{"line break", location, `Location="https://idp.example.com/&#10;x"`},
		{"user", location, `Location="https://idp.example.com@evil.example/sso"`},
		{"fragment", location, `Location="https://idp.example.com/sso#x"`},
		{"no location", location, ``},
		{"another binding", binding, "bindings:SOAP"},
		{"document type", "<EntityDescriptor", "<!DOCTYPE x><EntityDescriptor"},
		{"entity", "<EntityDescriptor", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><EntityDescriptor`},
		{"two roots", "</EntityDescriptor>", "</EntityDescriptor><x/>"},
		{"processing instruction", "<IDPSSODescriptor", "<?x?><IDPSSODescriptor"},
		{"another namespace", "urn:oasis:names:tc:SAML:2.0:metadata", "urn:x"},
		{"no entity id", ` entityID="https://idp.example.com/metadata"`, ""},
		{"blank entity id", `entityID="https://idp.example.com/metadata`, `entityID=" `},
		{"long entity id", `entityID="`, `entityID="` + strings.Repeat("x", 1024)},
		{"no key", key, ""},
		{"key for encryption", `use="signing"`, `use="encryption"`},
		{"not base64", cert, "%%%"},
		{"not a certificate", cert, "Z2FyYmFnZQ=="},
		{"DSA certificate", cert, dsa},
		{"two roles", role, role + role},
		{"SAML 1.1", "urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.1:protocol"},
		{"too large", "<IDPSSODescriptor", strings.Repeat(" ", 1<<20) + "<IDPSSODescriptor"},
		{"too deep", "<KeyDescriptor", strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100) + "<KeyDescriptor"},
	}
	plain, err := saml.ParseMetadata([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad := strings.Replace(good, test.old, test.new, 1)
			if bad == good {
				t.Fatalf("the metadata has no %q", test.old)
			}
			if idp, err := saml.ParseMetadata([]byte(bad)); err == nil {
				t.Errorf("accepted: %+v", idp)
			}
		})
	}

	// Beside what can be used, what is hostile is left out and told of.
	beside := []struct{ name, old, new string }{
		{"script for posts", binding, `bindings:HTTP-POST" Location="javascript:alert(1)"/><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect`},
		{"script before the address", binding, `bindings:HTTP-Redirect" Location="javascript:alert(1)"/><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect`},
		{"script for logouts", "<SingleSignOnService", `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="data:text/html,x"/><SingleSignOnService`},
		{"DSA certificate", "<KeyDescriptor", strings.Replace(key, cert, dsa, 1) + "<KeyDescriptor"},
		{"not a certificate", "<KeyDescriptor", strings.Replace(key, cert, "Z2FyYmFnZQ==", 1) + "<KeyDescriptor"},
	}
	for _, test := range beside {
		t.Run("beside/"+test.name, func(t *testing.T) {
			idp, err := saml.ParseMetadata([]byte(strings.Replace(good, test.old, test.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if len(idp.Problems) != 1 {
				t.Errorf("problems %q", idp.Problems)
			}
			idp.Problems = nil
			if diff := cmp.Diff(plain, idp); diff != "" {
				t.Errorf("taken (-good +hostile):\n%s", diff)
			}
		})
	}
}
