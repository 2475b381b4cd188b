package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
)

// samlConfig is how people of a connection log in.
type samlConfig struct {
	// MetadataFile is relative to the configuration file.
	MetadataFile     string            `json:"idpMetadataFile"`
	MetadataURL      string            `json:"metadataURL"`
	IDPEntityID      string            `json:"idpEntityID"`
	EntityID         string            `json:"entityID"`
	Preset           string            `json:"preset"`
	Mapping          map[string]string `json:"mapping"`
	AllowUnsolicited bool              `json:"allowIdPInitiated"`
	AllowSHA1        bool              `json:"allowSHA1"`
	Groups           []string          `json:"groups"`
	GroupSeparator   string            `json:"groupSeparator"`
	AuthnContext     []string          `json:"authnContext"`
	ForceAuthn       bool              `json:"forceAuthn"`
	NameIDFormat     string            `json:"nameIDFormat"`
	SignRequests     bool              `json:"signRequests"`
	ClockSkewSeconds int               `json:"clockSkewSeconds"`
	Encryption       string            `json:"encryption"`
	InsecureAllowCBC bool              `json:"insecureAllowCBC"`

	metadata string // the content of MetadataFile
}

// load reads the metadata file and checks the settings. Errors begin with the
// key.
func (c *samlConfig) load(dir string) error {
	switch {
	case c.MetadataFile != "" && c.MetadataURL != "":
		return errors.New("idpMetadataFile: metadataURL is there too, and one of them is enough [config_conflict]")
	case c.MetadataURL != "":
		return c.check()
	case c.MetadataFile == "":
		return errors.New("idpMetadataFile: is missing, and so is metadataURL [config_missing]")
	}
	file := c.MetadataFile
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("idpMetadataFile: %w [config_file]", err)
	}
	c.MetadataFile, c.metadata = file, string(data)
	return c.check()
}

// check finds what is wrong whatever the address and the key of the server are.
func (c *samlConfig) check() error {
	settings := *c.settings()
	settings.SignRequests = false // there will be a key
	connection := provision.Connection{ID: "any", SAML: &settings}
	err := connection.Validate()
	if err == nil {
		h := saml.Handler{BaseURL: func(string) string { return "https://localhost" }}
		_, err = h.Check(connection)
	}
	var wrong *provision.ConnectionError
	switch {
	case !errors.As(err, &wrong):
		return err
	case wrong.Field == "saml.metadata":
		return fmt.Errorf("idpMetadataFile: %s: saml: metadata: %s [%s]", c.MetadataFile, wrong.Reason, wrong.Code())
	}
	return fmt.Errorf("%s: %s [%s]", strings.TrimPrefix(wrong.Field, "saml."), wrong.Fault(), wrong.Code())
}

// settings returns the settings for the engine, nil for none.
func (c *samlConfig) settings() *provision.SAML {
	if c == nil {
		return nil
	}
	return &provision.SAML{
		Metadata: c.metadata, MetadataURL: c.MetadataURL, IDPEntityID: c.IDPEntityID, EntityID: c.EntityID, Preset: c.Preset, Mapping: c.Mapping,
		Groups: c.Groups, GroupSeparator: c.GroupSeparator, AllowIDPInitiated: c.AllowUnsolicited, AllowSHA1: c.AllowSHA1,
		AuthnContext: c.AuthnContext, ForceAuthn: c.ForceAuthn, NameIDFormat: c.NameIDFormat,
		SignRequests: c.SignRequests, ClockSkewSeconds: c.ClockSkewSeconds,
		Encryption: c.Encryption, InsecureAllowCBC: c.InsecureAllowCBC,
	}
}

// checkBaseURL checks flag -base-url and returns it without a slash at the end.
func checkBaseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("flag -base-url: %q is not an absolute URL without user, query and fragment", raw)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", fmt.Errorf("flag -base-url: %q must begin with https://, or be of this machine", raw)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// prepareSAML returns the service providers, and starts the demo identity
// provider where it is wanted.
func (s *site) prepareSAML(ctx context.Context, o options, config *config, engine *provision.Engine) (*saml.Handler, error) {
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	if o.demoLogin {
		if s.idp, err = newDemoProvider(ctx, demoPeople(), pages, engine.Logger); err != nil {
			return nil, err
		}
		config.demo.Policy = demoPolicy()
		if config.demo.SAML, err = s.idp.settings(); err != nil {
			return nil, err
		}
	}
	var pair, spare *keyPair
	needed, err := needsSAMLKey(ctx, config, engine)
	if err != nil {
		return nil, err
	}
	if needed {
		if pair, err = loadSAMLKey(o, engine.Logger); err != nil {
			return nil, err
		}
		if spare, err = loadSpareKey(o, engine.Logger); err != nil {
			return nil, err
		}
	}
	logins := newSAML(engine, s.base, pair, pages)
	if spare != nil {
		logins.SpareKey, logins.SpareCertificate = spare.key, spare.certificate
	}
	if err := checkSAML(logins, config.connections()); err != nil {
		return nil, err
	}
	if s.idp == nil {
		return logins, nil
	}
	metadata, err := serviceMetadata(logins, *config.demo)
	if err != nil {
		return nil, err
	}
	return logins, s.idp.trust(metadata)
}

// needsSAMLKey reports whether people of any connection log in by SAML: of the configuration,
// or of those that were made since.
func needsSAMLKey(ctx context.Context, config *config, engine *provision.Engine) (bool, error) {
	stored, err := engine.Connections(ctx)
	return config.hasSAML() || slices.ContainsFunc(stored, func(c provision.Connection) bool { return c.SAML != nil }), err
}

// newSAML returns the service providers below base. pair is nil where no
// connection has SAML.
func newSAML(engine *provision.Engine, base string, pair *keyPair, pages *pages) *saml.Handler {
	h := &saml.Handler{
		Engine: engine,
		Login: &jit.LoginHandler{
			Engine: engine, Logger: engine.Logger,
			OnLogin: pages.account, OnDenied: pages.denied,
		},
		BaseURL: func(connection string) string { return base + "/saml/" + connection },
		Logger:  engine.Logger,
	}
	if pair != nil {
		h.Key, h.Certificate = pair.key, pair.certificate
	}
	return h
}

// checkSAML refuses what cannot work with the address of this server, and logs
// what an administrator should know: the addresses, and the warnings.
func checkSAML(h *saml.Handler, connections []provision.Connection) error {
	for _, c := range connections {
		warnings, err := h.Check(c)
		var wrong *provision.ConnectionError
		if errors.As(err, &wrong) && wrong.Field == "saml.baseURL" {
			return fmt.Errorf("connection %q has SAML, for which this server needs another address: %s; see flag -base-url", c.ID, wrong.Reason)
		}
		if err != nil {
			return err
		}
		if c.SAML != nil {
			base := h.BaseURL(c.ID)
			h.Logger.Info("saml: people can log in", "connection", c.ID, "login", base+"/login", "metadata", base+"/metadata")
		}
		for _, text := range warnings {
			h.Logger.Warn("saml: "+text, "connection", c.ID)
		}
	}
	return nil
}

// serviceMetadata is what an identity provider reads at the address metadata.
func serviceMetadata(h *saml.Handler, c provision.Connection) ([]byte, error) {
	sp, err := saml.NewServiceProvider(saml.Options{
		Connection: c.ID, Settings: *c.SAML, BaseURL: h.BaseURL(c.ID), Key: h.Key, Certificate: h.Certificate,
		SpareKey: h.SpareKey, SpareCertificate: h.SpareCertificate,
	})
	if err != nil {
		return nil, err
	}
	return sp.Metadata()
}

// withSAML puts the service providers beside what next answers. host is that of
// the base URL, empty behind a proxy.
func withSAML(next http.Handler, service *saml.Handler, base, host string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.Handle("/saml/{connection}/", service)
	if host == "" {
		return mux
	}
	// The cookie of a login that begins at localhost would not come back to
	// 127.0.0.1.
	begin := func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Redirect(w, r, base+r.URL.RequestURI(), http.StatusFound)
			return
		}
		service.ServeHTTP(w, r)
	}
	mux.HandleFunc("GET /saml/{connection}/login", begin)
	mux.HandleFunc("GET /saml/{connection}/test", begin)
	return mux
}

// testLogin makes the link that lets whoever has it try one login, within ten minutes.
func testLogin(engine *provision.Engine) func(context.Context, string) (string, error) {
	h := &saml.Handler{Engine: engine, BaseURL: func(connection string) string { return "/saml/" + connection }}
	return func(ctx context.Context, connection string) (string, error) {
		link, err := h.TestLink(ctx, connection)
		var refused *saml.Error
		if errors.As(err, &refused) {
			return "", &console.Problem{Status: http.StatusConflict, Code: string(refused.Code), Detail: refused.Reason}
		}
		return link, err
	}
}
