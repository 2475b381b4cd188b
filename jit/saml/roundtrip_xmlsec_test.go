package saml_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scimjit/provision"
)

// TestXmlsecVerifiesRequest lets xmlsec1, an implementation of its own, check
// the signature of a request for authentication.
func TestXmlsecVerifiesRequest(t *testing.T) {
	external(t, "xmlsec1")
	app := newApplication(t)
	metadata := strings.Replace(string(readFile(t, samlData+"/idp-metadata.xml")), "bindings:HTTP-Redirect", "bindings:HTTP-POST", 1)
	app.connect(t, metadata, func(s *provision.SAML) { s.SignRequests = true })
	to, fields := newBrowser(t).get(app.url + "login").form(t)
	if to != "https://idp.example.com/sso" {
		t.Errorf("the form goes to %s", to)
	}
	request, err := base64.StdEncoding.DecodeString(fields.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	if output, err := xmlsecVerify(t, request, "sp"); err != nil {
		t.Errorf("%v: %s\n%s", err, output, request)
	}
	if output, err := xmlsecVerify(t, request, "attacker"); err == nil {
		t.Errorf("verified with another key: %s", output)
	}
	acs := []byte(app.url + "acs")
	if !bytes.Contains(request, acs) {
		t.Fatalf("no %s in %s", acs, request)
	}
	forged := bytes.Replace(request, acs, []byte("https://evil.example/acs"), 1)
	if output, err := xmlsecVerify(t, forged, "sp"); err == nil {
		t.Errorf("verified after a change: %s", output)
	}
}

func xmlsecVerify(t *testing.T, message []byte, key string) (output []byte, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "request.xml")
	if err := os.WriteFile(path, message, 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), "xmlsec1", "--verify",
		"--pubkey-cert-pem", filepath.Join(samlData, "testkeys", key+".crt"), "--enabled-key-data", "rsa",
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest", path).CombinedOutput()
}
