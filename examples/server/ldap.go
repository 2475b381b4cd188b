package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/ldap"
)

// ldapConfig is the directory of a connection.
type ldapConfig struct {
	URL  string   `json:"url"`
	URLs []string `json:"urls"` // instead of url, where there are several

	StartTLS      bool   `json:"startTLS"`
	InsecureNoTLS bool   `json:"insecureNoTLS"`
	CAFile        string `json:"caFile"` // relative to the configuration file
	ServerName    string `json:"serverName"`

	ClientCertificateFile string `json:"clientCertificateFile"` // likewise
	ClientKeyFile         string `json:"clientKeyFile"`         // likewise

	BindDN       string `json:"bindDN"`
	BindPassword string `json:"bindPassword"`

	BaseDN      string            `json:"baseDN"`
	BaseDNs     []string          `json:"baseDNs"` //nolint:revive // several DNs, and not the DNS
	GroupBaseDN string            `json:"groupBaseDN"`
	Filter      string            `json:"filter"`
	GroupFilter string            `json:"groupFilter"`
	Preset      string            `json:"preset"`
	Mapping     map[string]string `json:"mapping"`
	Login       bool              `json:"login"`
	Interval    string            `json:"interval"`

	ca, clientCertificate, clientKey string // the content of the files

	seconds int // of Interval
}

// load reads the files of certificates and the interval. Errors begin with the key.
func (c *ldapConfig) load(dir string) error {
	switch {
	case c.URL != "" && len(c.URLs) > 0:
		return errors.New("url: urls is there too, and one of them is enough [config_conflict]")
	case c.BaseDN != "" && len(c.BaseDNs) > 0:
		return errors.New("baseDN: baseDNs is there too, and one of them is enough [config_conflict]")
	}
	switch every, err := time.ParseDuration(c.Interval); {
	case c.Interval == "":
	case c.Interval == "off":
		c.seconds = -1
	case err != nil || every < time.Second || every%time.Second != 0:
		return fmt.Errorf("interval: %q must be a time such as \"1h\" or \"30m\", or \"off\" [config_wrong_type]", c.Interval)
	default:
		c.seconds = int(every / time.Second)
	}
	for _, f := range []struct {
		key, file string
		to        *string
	}{
		{"caFile", c.CAFile, &c.ca}, {"clientCertificateFile", c.ClientCertificateFile, &c.clientCertificate},
		{"clientKeyFile", c.ClientKeyFile, &c.clientKey},
	} {
		if f.file == "" {
			continue
		}
		file := f.file
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w [config_file]", f.key, err)
		}
		*f.to = string(data)
	}
	return nil
}

// settings returns the settings for the engine, or nil.
func (c *ldapConfig) settings() *provision.LDAP {
	if c == nil {
		return nil
	}
	l := &provision.LDAP{
		URLs: oneOr(c.URL, c.URLs), StartTLS: c.StartTLS, InsecureNoTLS: c.InsecureNoTLS, CA: c.ca, ServerName: c.ServerName,
		ClientCertificate: c.clientCertificate, ClientKey: provision.NewSecret(c.clientKey),
		BindDN: c.BindDN, BindPassword: provision.NewSecret(c.BindPassword), // the file has it, or there is none
		BaseDNs: oneOr(c.BaseDN, c.BaseDNs), GroupBaseDNs: oneOr(c.GroupBaseDN, nil),
		Filter: c.Filter, GroupFilter: c.GroupFilter, Preset: c.Preset, Mapping: c.Mapping,
		Login: c.Login, IntervalSeconds: c.seconds,
	}
	return l
}

// newLDAP returns the logins at directories, below base, and has the engine sync from
// these, and operators look into them. It is called before the engine runs.
func newLDAP(api *console.API, base string, login *jit.LoginHandler) *ldap.Handler {
	servers := &ldap.Servers{Engine: api.Engine}
	api.Engine.SyncSource = servers.Source
	api.CheckDirectory = checkDirectory(api.Engine, servers)
	return &ldap.Handler{
		Servers: servers, Login: login,
		BaseURL: func(connection string) string { return base + "/ldap/" + connection },
	}
}

// checkDirectory says what the directory of a connection would bring, and what is wrong
// with it.
func checkDirectory(engine *provision.Engine, servers *ldap.Servers) func(context.Context, string) (any, error) {
	return func(ctx context.Context, connection string) (any, error) {
		c, err := engine.Directory(connection).Connection(ctx)
		if err != nil {
			return nil, err
		}
		report, err := servers.Check(ctx, c)
		var wrong *ldap.Error
		if errors.As(err, &wrong) && wrong.Code == ldap.CodeConnection {
			return nil, &console.Problem{Status: http.StatusConflict, Code: string(wrong.Code), Detail: wrong.Reason}
		}
		return report, err
	}
}

// withLDAP puts the logins beside what next answers.
func withLDAP(next http.Handler, logins *ldap.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.Handle("/ldap/{connection}/login", logins)
	return mux
}

// oneOr returns a list of one text, or another list.
func oneOr(one string, list []string) []string {
	if one != "" {
		return []string{one}
	}
	return list
}
