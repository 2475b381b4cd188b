package saml_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scimjit/provision/jit/saml"
)

var differentialCases = flag.Int("xmlsec.cases", 100, "how many documents are compared with xmlsec1")

// TestXmlsecAgrees lets xmlsec1 sign and encrypt generated responses, changes
// some, and compares what it says of them with what this package says. Whatever
// is generated obeys the rules of the shape, but for what is named in expected.
func TestXmlsecAgrees(t *testing.T) {
	external(t, "xmlsec1")
	x := newXmlsec(t)
	sp := provider(t, trust(x.pairs()...), allowSHA1)
	for seed := range uint64(*differentialCases) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := newXMLGenerator(seed)
			message, key := x.signed(t, g)
			m := mutations[g.IntN(len(mutations))]
			if m.old != "" {
				message = strings.Replace(message, m.old, m.new, 1)
			}
			theirs := x.verify(t, g, message, key)
			if m.old == "" && !theirs {
				t.Errorf("xmlsec1 refuses its own signature:\n%s", message)
			}
			if g.encrypt && g.target == "_a1" {
				message = x.encrypted(t, g, message, "gcm")
			}
			v, err := sp.Verify([]byte(message), requestID, noon)
			if ours := err == nil; ours != theirs && !expected(err) {
				t.Errorf("%s: xmlsec1 accepts: %v, we: %v (SignedInfo %s %q, content %s %q)\n%s", m.name, theirs, err, g.info, g.lists[0], g.content, g.lists[1], message)
			}
			if err == nil && v.Assertion.Attributes[0].Values[0] != "jane@example.com" {
				t.Errorf("%s: read %+v", m.name, v.Assertion)
			}
		})
	}
}

// expected are refusals that xmlsec1 would not make: Canonical XML 1.1 where an
// xml:base would have to be resolved against another.
func expected(err error) bool {
	return codeOf(err) == saml.CodeAlgorithm && strings.Contains(err.Error(), "xml:base")
}

// xmlsec runs xmlsec1 with keys of the test.
type xmlsec struct {
	dir  string
	keys map[string]*keyPair // by method
}

func newXmlsec(t *testing.T) *xmlsec {
	t.Helper()
	x := &xmlsec{dir: t.TempDir(), keys: map[string]*keyPair{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   idpPair(),
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   idpPair(),
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   idpPair(),
		"http://www.w3.org/2000/09/xmldsig#rsa-sha1":          idpPair(),
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": ecPair(),
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": newEC(t, elliptic.P384(), 11),
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": newEC(t, elliptic.P521(), 12),
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1":   newEC(t, elliptic.P521(), 13),
	}}
	for _, pair := range append(x.pairs(), spPair()) {
		x.write(t, pair)
	}
	return x
}

func newEC(t *testing.T, curve elliptic.Curve, serial int64) *keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(key, serial, noon.AddDate(0, -2, 0), noon.AddDate(0, 9, 0))
}

func (x *xmlsec) pairs() []*keyPair {
	var out []*keyPair
	seen := map[*keyPair]bool{}
	for _, pair := range x.keys {
		if !seen[pair] {
			out = append(out, pair)
		}
		seen[pair] = true
	}
	return out
}

func (x *xmlsec) path(pair *keyPair, ext string) string {
	return filepath.Join(x.dir, pair.cert.SerialNumber.String()+ext)
}

func (x *xmlsec) write(t *testing.T, pair *keyPair) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.signer)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(pair.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	for ext, block := range map[string]*pem.Block{
		".key": {Type: "PRIVATE KEY", Bytes: der},
		".pub": {Type: "PUBLIC KEY", Bytes: public},
		".crt": {Type: "CERTIFICATE", Bytes: pair.cert.Raw},
	} {
		if err := os.WriteFile(x.path(pair, ext), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// run writes files and runs xmlsec1 on the last.
func (x *xmlsec) run(t *testing.T, files []string, args ...string) (out []byte, ok bool) {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range files {
		path := filepath.Join(dir, fmt.Sprint(i, ".xml"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if len(paths) == 2 {
		args = append(args, "--xml-data", paths[0])
	}
	target := filepath.Join(dir, "out")
	args = append(args, "--output", target, "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response", paths[len(paths)-1])
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "xmlsec1", args...)
	cmd.Stderr = &stderr
	err := cmd.Run()
	out, _ = os.ReadFile(target)
	if err != nil {
		out = stderr.Bytes()
	}
	return out, err == nil
}

func (g *xmlGenerator) node() string {
	return "//*[@ID='" + g.target + "']/*[local-name()='Signature']"
}

var (
	digestValue    = regexp.MustCompile(`(?s)<(?:\w+:)?DigestValue(/>|>.*?</(?:\w+:)?DigestValue>)`)
	signatureValue = regexp.MustCompile(`(?s)<(?:\w+:)?SignatureValue(/>|>.*?</(?:\w+:)?SignatureValue>)`)
)

// signed returns a generated document with its signature, and its key. Bytes
// that xmlsec1 does not fill in stay as they were.
func (x *xmlsec) signed(t *testing.T, g *xmlGenerator) (string, *keyPair) {
	t.Helper()
	var methods []string
	for method := range x.keys {
		methods = append(methods, method)
	}
	method := methods[g.IntN(len(methods))]
	text := strings.Replace(g.document(), "{method}", method, 1)
	key := x.keys[method]
	if g.encrypt && g.target == "_r1" {
		text = x.encrypted(t, g, text, pick(g, "gcm", "cbc"))
	}
	out, ok := x.run(t, []string{text}, "--sign", "--privkey-pem", x.path(key, ".key"), "--enabled-key-data", "key-name", "--node-xpath", g.node())
	if !ok {
		t.Fatalf("sign: %s\n%s", out, text)
	}
	for _, value := range []*regexp.Regexp{digestValue, signatureValue} {
		text = value.ReplaceAllLiteralString(text, string(value.Find(out)))
	}
	return text, key
}

func (x *xmlsec) verify(t *testing.T, g *xmlGenerator, text string, key *keyPair) bool {
	t.Helper()
	_, ok := x.run(t, []string{text}, "--verify", "--pubkey-pem", x.path(key, ".pub"), "--enabled-key-data", "key-name", "--node-xpath", g.node())
	return ok
}

// encrypted encrypts the Assertion within its EncryptedAssertion.
func (x *xmlsec) encrypted(t *testing.T, g *xmlGenerator, text, mode string) string {
	t.Helper()
	bits := pick(g, "128", "192", "256")
	cipher := map[string]string{"gcm": "http://www.w3.org/2009/xmlenc11#aes", "cbc": "http://www.w3.org/2001/04/xmlenc#aes"}[mode] + bits + "-" + mode
	template := `<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="` + cipher + `"/>` +
		`<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="` + rsaOAEP + `"/><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>` +
		`<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>`
	out, ok := x.run(t, []string{text, template}, "--encrypt", "--pubkey-cert-pem", x.path(spPair(), ".crt"), "--session-key", "aes-"+bits,
		"--node-xpath", "//*[local-name()='Assertion']")
	if !ok {
		t.Fatalf("encrypt: %s\n%s", out, text)
	}
	return string(out)
}
