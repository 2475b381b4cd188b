package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	idp "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// demoPerson is somebody whom the demo identity provider knows.
type demoPerson struct {
	UID, Name     string
	Given, Family string
	Email         string
	Groups        []string
	Outcome       string // what the demo policy makes of it, for people
}

func demoPeople() []demoPerson {
	return []demoPerson{
		{UID: "ann", Name: "Ann Lee", Given: "Ann", Family: "Lee", Email: "ann@example.com",
			Groups: []string{"Support", "Admins"}, Outcome: "Gets in and is a site admin."},
		{UID: "bob", Name: "Bob Kim", Given: "Bob", Family: "Kim", Email: "bob@example.com",
			Groups: []string{"Support"}, Outcome: "Gets in."},
		{UID: "eve", Name: "Eve Oh", Given: "Eve", Family: "Oh", Email: "eve@example.com",
			Groups: []string{"Visitors"}, Outcome: "Is refused: that group may not log in."},
	}
}

// demoPreset is the preset of the demo identity provider, and of no other one here.
const demoPreset = "samlidp"

// demoPolicy is the policy of the demo connection where its identity provider
// runs. People of it get in although the connection has SCIM too.
func demoPolicy() policy.Config {
	return policy.Config{
		ProvisionOnFirstLogin: policy.FirstLoginProvision,
		RequiredGroups:        policy.Patterns{"Support"},
		SiteAdminGroups:       policy.Patterns{"Admins"},
		Roles:                 []policy.RoleGrant{{Groups: policy.Patterns{"Support"}, Role: "agent"}},
		Company:               "Example Ltd",
		TimeZone:              "Europe/Berlin",
	}
}

// demoNotice tells what demoPolicy does.
const demoNotice = `Three people; the identity provider asks for no password. The policy of this connection has
    provisionOnFirstLogin: true   a first login creates the account, although SCIM is on
    requiredGroups: Support       nobody else gets in; SCIM users wait as staged
    siteAdminGroups: Admins
    roles: Support -> agent
`

// demoProvider is an identity provider for trying logins: it knows three people and
// asks nobody for a password. It serves one service provider, on a loopback
// address.
type demoProvider struct {
	provider idp.IdentityProvider
	listener net.Listener
	server   *http.Server
	pages    *pages
	people   []demoPerson

	// serviceProvider is whom it answers. It is set before serve.
	serviceProvider *idp.EntityDescriptor
}

// newDemoProvider listens, and answers from serve on. Its key and its port live as
// long as the process.
func newDemoProvider(ctx context.Context, people []demoPerson, pages *pages, logger *slog.Logger) (*demoProvider, error) {
	pair, err := newKeyPair("demo identity provider", time.Now())
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	valid := time.Until(pair.certificate.NotAfter)
	base := url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
	d := &demoProvider{listener: listener, pages: pages, people: people}
	d.provider = idp.IdentityProvider{
		Key:                     pair.key,
		Certificate:             pair.certificate,
		SignatureMethod:         dsig.RSASHA256SignatureMethod,
		Logger:                  slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ValidDuration:           &valid,
		MetadataURL:             *base.JoinPath("/metadata"),
		SSOURL:                  *base.JoinPath("/sso"),
		ServiceProviderProvider: d,
		SessionProvider:         d,
		ResponseFormTemplate:    pages.templates.Lookup("post"),
	}
	d.server = &http.Server{
		Handler:           http.MaxBytesHandler(d.provider.Handler(), 64<<10),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return d, nil
}

// settings returns the SAML settings of a connection to this identity provider.
func (d *demoProvider) settings() (*provision.SAML, error) {
	text, err := xml.MarshalIndent(d.provider.Metadata(), "", "  ")
	return &provision.SAML{Metadata: string(text), Preset: demoPreset}, err
}

// trust makes the service provider with this metadata the one that is served.
func (d *demoProvider) trust(metadata []byte) error {
	sp := new(idp.EntityDescriptor)
	if err := xml.Unmarshal(metadata, sp); err != nil {
		return err
	}
	d.serviceProvider = sp
	return nil
}

// serve answers until close.
func (d *demoProvider) serve() error {
	err := d.server.Serve(d.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// close ends serve, or takes the address back when it never began.
func (d *demoProvider) close() {
	_ = d.server.Close()
	_ = d.listener.Close()
}

// GetServiceProvider implements [idp.ServiceProviderProvider].
func (d *demoProvider) GetServiceProvider(_ *http.Request, id string) (*idp.EntityDescriptor, error) {
	if id != d.serviceProvider.EntityID {
		return nil, os.ErrNotExist
	}
	return d.serviceProvider, nil
}

// GetSession implements [idp.SessionProvider]: it asks who the person is each
// time, and believes the answer.
func (d *demoProvider) GetSession(w http.ResponseWriter, r *http.Request, req *idp.IdpAuthnRequest) *idp.Session {
	if r.Method == http.MethodPost {
		for _, p := range d.people {
			if p.UID == r.PostForm.Get("person") {
				d.pages.protect(w.Header(), req.ACSEndpoint.Location)
				return p.session(req.Now)
			}
		}
	}
	d.pages.write(w, http.StatusOK, "choose", "'self'", map[string]any{
		"Action":     d.provider.SSOURL.Path,
		"Request":    base64.StdEncoding.EncodeToString(req.RequestBuffer),
		"RelayState": req.RelayState,
		"People":     d.people,
	})
	return nil
}

func (p demoPerson) session(now time.Time) *idp.Session {
	return &idp.Session{
		ID:             rand.Text(),
		Index:          rand.Text(),
		NameID:         rand.Text(), // transient: it says nothing about anybody
		CreateTime:     now,
		ExpireTime:     now.Add(time.Hour),
		UserName:       p.UID,
		UserEmail:      p.Email,
		UserGivenName:  p.Given,
		UserSurname:    p.Family,
		UserCommonName: p.Name,
		Groups:         p.Groups,
	}
}
