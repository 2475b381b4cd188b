package saml_test

import (
	"crypto"
	"encoding/xml"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store/memory"
)

// crewjamSession is the person who is logged in at the identity provider.
type crewjamSession struct{}

func (crewjamSession) GetSession(http.ResponseWriter, *http.Request, *crewjam.IdpAuthnRequest) *crewjam.Session {
	return &crewjam.Session{
		ID: "s1", CreateTime: time.Now(), ExpireTime: time.Now().Add(time.Hour), Index: "1",
		NameID: "jane", NameIDFormat: jit.NameIDPersistent,
		UserEmail: "jane@example.com", UserGivenName: "Jane", UserSurname: "Doe", UserCommonName: "Jane Doe", UserName: "jane",
		Groups: []string{"IT", "Support"},
	}
}

// crewjamPeers is the metadata of the one service provider.
type crewjamPeers struct{ entity *crewjam.EntityDescriptor }

func (p crewjamPeers) GetServiceProvider(_ *http.Request, id string) (*crewjam.EntityDescriptor, error) {
	if id != p.entity.EntityID {
		return nil, os.ErrNotExist
	}
	return p.entity, nil
}

// Another implementation reads our metadata and our request, and we read its
// metadata and its response. It signs response and assertion and, where the
// service provider has a key, encrypts.
func TestCrewjam(t *testing.T) {
	pair := newPair(idpPair().signer, 7, time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour))
	for name, encrypted := range map[string]bool{"plain": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			idp := &crewjam.IdentityProvider{
				Key:             pair.signer.(crypto.PrivateKey),
				Certificate:     pair.cert,
				MetadataURL:     url.URL{Scheme: "https", Host: "idp.example.com", Path: "/metadata"},
				SSOURL:          url.URL{Scheme: "https", Host: "idp.example.com", Path: "/sso"},
				SignatureMethod: dsig.RSASHA256SignatureMethod, // SHA-1 otherwise
				SessionProvider: crewjamSession{},
			}
			metadata, err := xml.Marshal(idp.Metadata())
			if err != nil {
				t.Fatal(err)
			}
			s := newSite(t, memory.New(), func(s *provision.SAML) {
				s.Metadata, s.Mapping, s.Preset = string(metadata), nil, "samlidp"
			})
			s.now = time.Now()
			if !encrypted {
				s.handler.Key, s.handler.Certificate = nil, nil
			}
			var peer crewjam.EntityDescriptor
			if err := xml.Unmarshal([]byte(s.get("metadata").body), &peer); err != nil {
				t.Fatal(err)
			}
			idp.ServiceProviderProvider = crewjamPeers{&peer}

			a := s.begin("?return=/home")
			w := httptest.NewRecorder()
			idp.ServeSSO(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, a.answer.Header.Get("Location"), nil))
			form := url.Values{
				"SAMLResponse": {html.UnescapeString(between(t, w.Body.String(), `name="SAMLResponse" value="`, `"`))},
				"RelayState":   {html.UnescapeString(between(t, w.Body.String(), `name="RelayState" value="`, `"`))},
			}
			answer := s.postForm(form.Encode(), a.cookie)
			if answer.StatusCode != http.StatusNoContent || len(s.accounts) != 1 || s.accounts[0] != "jane /home" {
				t.Errorf("status %d, logins %q\n%s", answer.StatusCode, s.accounts, s.log.String())
			}
		})
	}
}
