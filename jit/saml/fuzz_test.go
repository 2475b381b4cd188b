package saml_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
)

// FuzzVerify cuts, inserts and copies within signed responses. Whatever is still
// accepted says what was signed: no edit makes another person, or gives one more
// groups.
//
// The input describes the edit and not the response, so that it means the same
// for the keys of every run.
func FuzzVerify(f *testing.F) {
	var messages []string
	var want []jit.Assertion
	sp := provider(f)
	for _, s := range []shape{
		{},
		{unsigned: true, signResponse: true},
		{signResponse: true},
		{encrypt: aesGCM},
		{encrypt: aesCBC, signResponse: true},
	} {
		message := s.make(f)
		v, err := sp.Verify([]byte(message), requestID, noon)
		if err != nil {
			f.Fatal(err)
		}
		messages = append(messages, message)
		want = append(want, v.Assertion)
	}
	f.Add(uint8(0), uint16(10), uint16(0), "", uint16(0), uint16(0))
	f.Add(uint8(0), uint16(900), uint16(4), "admin", uint16(0), uint16(0))
	f.Add(uint8(1), uint16(600), uint16(0), "<!-- c -->", uint16(0), uint16(0))
	f.Add(uint8(2), uint16(500), uint16(0), goodAssertion, uint16(0), uint16(0))
	f.Add(uint8(2), uint16(300), uint16(0), "", uint16(550), uint16(1600))
	f.Add(uint8(3), uint16(300), uint16(0), "<samlp:Extensions>", uint16(550), uint16(3000))
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, insert string, from, length uint16) {
		i := int(which) % len(messages)
		m := messages[i]
		begin := int(at) % len(m)
		end := min(begin+int(cut), len(m))
		copied := m[int(from)%len(m):]
		copied = copied[:min(int(length), len(copied))]
		edited := m[:begin] + insert + copied + m[end:]
		v, err := sp.Verify([]byte(edited), requestID, noon)
		if err != nil {
			return
		}
		if diff := cmp.Diff(want[i], v.Assertion); diff != "" {
			t.Errorf("accepted (-signed +read):\n%s\n%s", diff, edited)
		}
	})
}

// FuzzParseMetadata: browsers are sent only to https, or to this machine, and
// an identity provider without a name or a key is none.
func FuzzParseMetadata(f *testing.F) {
	f.Add(idpMetadata(idpPair().cert))
	o := saml.Options{}
	trustKey(idpPair())(&o)
	f.Add(o.Settings.Metadata)
	f.Add(`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="a"></md:EntityDescriptor>`)
	f.Fuzz(func(t *testing.T, text string) {
		idp, err := saml.ParseMetadata([]byte(text))
		if err != nil {
			return
		}
		if idp.EntityID == "" || len(idp.Certificates)+len(idp.Keys) == 0 || idp.Redirect+idp.POST == "" {
			t.Errorf("accepted %+v", idp)
		}
		for _, location := range []string{idp.Redirect, idp.POST, idp.LogoutRedirect, idp.LogoutPOST, idp.LogoutRedirectResponse, idp.LogoutPOSTResponse} {
			u, err := url.Parse(location)
			if err != nil || (location != "" && (u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"))) {
				t.Errorf("location %q", location)
			}
		}
	})
}
