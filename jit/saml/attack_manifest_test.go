package saml_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	samlData    = "../../testdata/saml"
	attacksPath = samlData + "/attacks"
)

// attack is one row of attacks.json: a message, and what must become of it.
type attack struct {
	Name      string
	File      string // the message; empty for one that the test makes
	Generate  string // what the test makes
	Advisory  string // of the software that fell for it
	Mechanism string

	Expect  string   // "reject" or "accept-signed-only"
	Code    string   // in the log
	Subject string   // user name of the account
	Groups  []string // that the account carries, sorted

	Connection string // "", "sha1", "cbc" or "idp-initiated"
	Browser    string // that posts it: "" is the one that asked, "other" asked another time, "none" never did
	Times      int    // how often it is posted; the last time counts
}

// attackNow is the time for which the messages were made.
var attackNow = time.Date(2026, 1, 1, 12, 0, 30, 0, time.UTC)

func loadAttacks(t testing.TB) []attack {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(readFile(t, filepath.Join(attacksPath, "attacks.json"))))
	decoder.DisallowUnknownFields()
	var list []attack
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// message returns the bytes of the message of a row.
func (a attack) message(t *testing.T) []byte {
	t.Helper()
	if a.Generate != "" {
		return generate(t, a.Generate)
	}
	return readFile(t, filepath.Join(attacksPath, a.File))
}

// TestAttacksListed compares the manifest with the files beside it.
func TestAttacksListed(t *testing.T) {
	listed := map[string]bool{}
	for _, a := range loadAttacks(t) {
		if listed[a.Name] {
			t.Errorf("two rows %q", a.Name)
		}
		listed[a.Name] = true
		switch {
		case a.Mechanism == "":
			t.Errorf("%s: no mechanism", a.Name)
		case a.Generate == "" && a.File != a.Name+".xml":
			t.Errorf("%s: file %q", a.Name, a.File)
		case a.Generate != "" && a.File != "":
			t.Errorf("%s: both file and generate", a.Name)
		case a.Expect == "reject" && (a.Code == "" || a.Subject != "" || a.Groups != nil):
			t.Errorf("%s: a refusal needs a code and nothing else", a.Name)
		case a.Expect == "accept-signed-only" && (a.Code != "" || a.Subject == "" || !slices.IsSorted(a.Groups)):
			t.Errorf("%s: a login needs a subject and sorted groups, and no code", a.Name)
		case a.Expect != "reject" && a.Expect != "accept-signed-only":
			t.Errorf("%s: expect %q", a.Name, a.Expect)
		}
	}
	files, err := filepath.Glob(filepath.Join(attacksPath, "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".xml"); !listed[name] {
			t.Errorf("%s is not in attacks.json", file)
		}
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testKey returns a key pair of testdata/saml/testkeys.
func testKey(t testing.TB, name string) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	path := filepath.Join(samlData, "testkeys", name)
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		t.Fatal(err)
	}
	return pair.PrivateKey.(*rsa.PrivateKey), pair.Leaf
}
