package saml_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
)

// FuzzSplice puts tags of one message of testdata/saml/attacks into another.
// Whatever is accepted must say word for word what a genuine message says: the
// identity provider has signed nothing else.
func FuzzSplice(f *testing.F) {
	key, cert := testKey(f, "sp")
	sp, err := saml.NewServiceProvider(saml.Options{
		Connection:  "acme",
		Settings:    provision.SAML{Metadata: string(readFile(f, samlData+"/idp-metadata.xml"))},
		BaseURL:     "https://sp.example.com/saml/acme",
		Key:         key,
		Certificate: cert,
	})
	if err != nil {
		f.Fatal(err)
	}
	const requestID = "_0000000000000000000000000000000000000000"
	var messages []spliced
	genuine := map[string]bool{}
	for _, a := range loadAttacks(f) {
		if a.File == "" {
			continue
		}
		message := readFile(f, filepath.Join(attacksPath, a.File))
		// A good message in the wrong hands, or about somebody whom the mapping
		// refuses, is genuine, too.
		if a.Expect == "accept-signed-only" || a.Browser != "" || a.Times > 1 || a.Code == jit.CodeAttribute {
			if v, err := sp.Verify(message, requestID, attackNow); err == nil {
				genuine[said(f, v)] = true
			}
		}
		n := uint8(len(messages))
		f.Add(n, uint8(0), uint8(0), uint8(0), uint8(0), uint8(0)) // as it is
		f.Add(uint8(0), n, uint8(4), uint8(1), uint8(4), uint8(30))
		messages = append(messages, splicedOf(message))
	}
	if len(genuine) == 0 {
		f.Fatal("no message is accepted")
	}
	f.Fuzz(func(t *testing.T, into, of, at, cut, from, length uint8) {
		target, source := messages[int(into)%len(messages)], messages[int(of)%len(messages)]
		message := slices.Concat(target.tags(0, int(at)), source.tags(int(from), int(from)+int(length)), target.tags(int(at)+int(cut), len(target.begins)))
		v, err := sp.Verify(message, requestID, attackNow)
		if err == nil && !genuine[said(t, v)] {
			t.Errorf("accepted: %s\n%s", said(t, v), message)
		}
	})
}

// spliced is a message and where its tags begin.
type spliced struct {
	message []byte
	begins  []int
}

func splicedOf(message []byte) spliced {
	s := spliced{message: message, begins: []int{0}}
	for i, c := range message {
		if c == '<' && i > 0 {
			s.begins = append(s.begins, i)
		}
	}
	s.begins = append(s.begins, len(message))
	return s
}

// tags returns the tags from one to another, each with the text behind it.
func (s spliced) tags(from, to int) []byte {
	last := len(s.begins) - 1
	return s.message[s.begins[min(from, last)]:s.begins[min(to, last)]]
}

func said(t testing.TB, v *saml.Verified) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
