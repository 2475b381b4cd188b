package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/policy"
)

// demoConnection is the connection of a server without -config.
const demoConnection = "demo"

// config is the content of the -config file.
type config struct {
	Connections []connectionConfig `json:"connections"`

	file string                // empty without -config
	demo *provision.Connection // instead of them; nil with -config
}

type connectionConfig struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Dialect    string        `json:"dialect"`
	SCIM       *scimConfig   `json:"scim"`
	SAML       *samlConfig   `json:"saml"`
	LDAP       *ldapConfig   `json:"ldap"`
	Attributes []string      `json:"attributes"`
	Policy     policy.Config `json:"policy"`
}

type scimConfig struct {
	Token   string       `json:"token"`
	Basic   *basicConfig `json:"basic"`
	Expires expiry       `json:"expires"`
}

type basicConfig struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// loadConfig reads a configuration file. Errors name the file, the key and the
// reason, and never quote a secret.
func loadConfig(file string) (*config, error) {
	if file == "" {
		demo := &provision.Connection{ID: demoConnection, Name: "Demo", SCIM: true}
		return &config{demo: demo}, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &config{file: file}
	if err := json.Unmarshal(data, c, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, describe(err))
	}
	if len(c.Connections) == 0 {
		return nil, fmt.Errorf("%s: connections: there must be at least one [config_missing]", file)
	}
	seen := map[string]bool{}
	for i, conn := range c.Connections {
		if conn.LDAP != nil {
			if err := conn.LDAP.load(filepath.Dir(file)); err != nil {
				return nil, fmt.Errorf("%s: connections[%d].ldap.%w", file, i, err)
			}
		}
		if err := conn.check(seen); err != nil {
			return nil, fmt.Errorf("%s: connections[%d].%w", file, i, err)
		}
		if conn.SAML == nil {
			continue
		}
		if err := conn.SAML.load(filepath.Dir(file)); err != nil {
			return nil, fmt.Errorf("%s: connections[%d].saml.%w", file, i, err)
		}
	}
	return c, nil
}

// describe turns a decoding error into the key, the reason and a code.
func describe(err error) error {
	var (
		semantic  *json.SemanticError
		syntactic *jsontext.SyntacticError
		option    *policy.ConfigError
		date      *expiryError
	)
	switch {
	case errors.As(err, &option) && errors.As(err, &semantic):
		key := strings.TrimSuffix(keyPath(semantic.JSONPointer)+"."+option.Option, ".")
		return fmt.Errorf("%s: %s [%s]", key, option.Fault(), option.Code)
	case errors.As(err, &date) && errors.As(err, &semantic):
		return fmt.Errorf("%s: %w [config_expires]", keyPath(semantic.JSONPointer), date)
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("%s: unknown key; %s [config_unknown_key]", keyPath(semantic.JSONPointer), keyHint(semantic.GoType, semantic.JSONPointer.LastToken()))
	case errors.As(err, &semantic):
		return fmt.Errorf("%s: wrong type: %s in the place of %s [config_wrong_type]", keyPath(semantic.JSONPointer), kindName(semantic.JSONKind), typeName(semantic.GoType))
	case errors.As(err, &syntactic) && errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Errorf("%s: is there twice [config_twice]", keyPath(syntactic.JSONPointer))
	case errors.As(err, &syntactic):
		return fmt.Errorf("not valid JSON at byte %d: %w [config_not_json]", syntactic.ByteOffset, syntactic.Err)
	}
	return err
}

// keyPath writes a JSON pointer the way people write it: connections[0].policy.
func keyPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}

func (c connectionConfig) check(seen map[string]bool) error {
	switch {
	case c.ID == "":
		return errors.New("id: is missing [config_missing]")
	case seen[c.ID]:
		return fmt.Errorf("id: %q is there twice [config_twice]", c.ID)
	}
	seen[c.ID] = true
	if s := c.SCIM; s != nil && (s.Token == "") == (s.Basic == nil) {
		return errors.New("scim: needs either token or basic [config_scim_method]")
	}
	if c.ID == "v2" || strings.Trim(c.ID, ".") == "" {
		return fmt.Errorf("id: %q would be taken for a part of the address [setting_id]", c.ID)
	}
	conn := c.connection()
	if err := conn.Validate(); err != nil {
		return settingError(err)
	}
	if conn.LDAP != nil {
		if err := ldap.Validate(c.ID, *conn.LDAP); err != nil {
			return settingError(err)
		}
	}
	if c.SCIM != nil {
		if err := c.SCIM.secret().Validate(); err != nil {
			return settingError(err)
		}
	}
	return nil
}

// settingError names the key of a setting that the engine refuses.
func settingError(err error) error {
	var (
		option     *policy.ConfigError
		connection *provision.ConnectionError
		credential *provision.CredentialError
	)
	switch {
	case errors.As(err, &option):
		return fmt.Errorf("policy.%s: %s [%s]", option.Option, option.Fault(), option.Code)
	case errors.As(err, &connection):
		return fmt.Errorf("%s: %s [%s]", connection.Field, connection.Fault(), connection.Code())
	case errors.As(err, &credential):
		return fmt.Errorf("%s: %s [%s]", secretKeys[credential.Field], credential.Reason, credential.Code)
	}
	return err
}

// secretKeys are the keys of the file for the fields of a [provision.Secret].
var secretKeys = map[string]string{
	"": "scim", "token": "scim.token", "userName": "scim.basic.username", "password": "scim.basic.password", "expires": "scim.expires",
}

// connection returns the settings for the engine.
func (c connectionConfig) connection() provision.Connection {
	return provision.Connection{
		ID: c.ID, Name: c.Name, Dialect: c.Dialect, Attributes: c.Attributes,
		SCIM: c.SCIM != nil, SAML: c.SAML.settings(), LDAP: c.LDAP.settings(), Policy: c.Policy,
	}
}

func (s scimConfig) secret() provision.Secret {
	if s.Basic != nil {
		return provision.Secret{UserName: s.Basic.Username, Password: s.Basic.Password}
	}
	return provision.Secret{Token: s.Token}
}

// connections returns all connections, the demo connection first.
func (c *config) connections() []provision.Connection {
	var out []provision.Connection
	if c.demo != nil {
		out = append(out, *c.demo)
	}
	for _, conn := range c.Connections {
		out = append(out, conn.connection())
	}
	return out
}

// hasSAML reports whether people of any connection log in by SAML.
func (c *config) hasSAML() bool {
	return slices.ContainsFunc(c.connections(), func(conn provision.Connection) bool { return conn.SAML != nil })
}

// apply brings the connections of the store in line with the configuration. It
// returns the fresh token of the demo connection, empty where there is none.
func (c *config) apply(ctx context.Context, engine *provision.Engine) (demoToken string, err error) {
	actor := provision.Actor{Kind: "operator", ID: "config"}
	if c.file == "" {
		return c.applyDemo(ctx, engine, actor)
	}
	listed := map[string]bool{}
	for _, conn := range c.Connections {
		listed[conn.ID] = true
	}
	// First those that go: a secret of theirs may be given to another one.
	if err := disableOthers(ctx, engine, listed, actor); err != nil {
		return "", err
	}
	for i, conn := range c.Connections {
		if err := conn.apply(ctx, engine, actor); err != nil {
			return "", fmt.Errorf("%s: connections[%d].%w", c.file, i, err)
		}
	}
	return "", nil
}

func (c *config) applyDemo(ctx context.Context, engine *provision.Engine, actor provision.Actor) (token string, err error) {
	demo := engine.Directory(c.demo.ID).As(actor)
	if _, err := demo.UpdateConnection(ctx, replaceBy(*c.demo)); err != nil {
		return "", err
	}
	if err := demo.RevokeCredentials(ctx); err != nil { // of earlier starts
		return "", err
	}
	token, _, err = demo.IssueToken(ctx, time.Time{})
	return token, err
}

// replaceBy makes a connection what the file says, whatever it was.
func replaceBy(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}

func (c connectionConfig) apply(ctx context.Context, engine *provision.Engine, actor provision.Actor) error {
	d := engine.Directory(c.ID).As(actor)
	if _, err := d.UpdateConnection(ctx, replaceBy(c.connection())); err != nil {
		return err
	}
	if c.SCIM == nil {
		return d.RevokeCredentials(ctx)
	}
	if _, err := d.SetCredential(ctx, c.SCIM.secret(), c.SCIM.Expires.Time); err != nil {
		return settingError(err)
	}
	return nil
}

// disableOthers closes the connections that the configuration does not list.
func disableOthers(ctx context.Context, engine *provision.Engine, listed map[string]bool, actor provision.Actor) error {
	all, err := engine.Connections(ctx)
	if err != nil {
		return err
	}
	for _, conn := range all {
		if listed[conn.ID] || conn.Disabled {
			continue
		}
		d := engine.Directory(conn.ID).As(actor)
		_, err := d.UpdateConnection(ctx, func(c *provision.Connection) error { c.Disabled = true; return nil })
		if err != nil {
			return err
		}
		if err := d.RevokeCredentials(ctx); err != nil {
			return err
		}
		engine.Logger.Warn("connection disabled: the configuration does not list it", "connection", conn.ID)
	}
	return nil
}
