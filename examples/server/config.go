package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/policy"
)

// demoConnection is the connection of a server without -config.
const demoConnection = "demo"

// config is the content of the -config file.
type config struct {
	Connections []connectionConfig `json:"connections"`

	file  string                // empty without -config
	once  bool                  // -config-import
	wrong error                 // why the file cannot be read, with once
	demo  *provision.Connection // instead of them; nil with -config
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
//
// With once what is wrong with the file is told by [config.apply], and only where the file
// is needed: after it was imported nobody looks at it.
func loadConfig(file string, once bool) (*config, error) {
	c, err := readConfig(file)
	if once && err != nil {
		return &config{file: file, once: true, wrong: err}, nil
	}
	if err == nil {
		c.once = once
	}
	return c, err
}

func readConfig(file string) (*config, error) {
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
	if err := checkID(c.ID); err != nil {
		return settingError(err)
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

// checkID refuses an id that cannot be told from what is beside it in an address.
func checkID(id string) error {
	if id == "v2" || strings.Trim(id, ".") == "" {
		return &provision.ConnectionError{Connection: id, Field: "id", Value: id, Reason: "it would be taken for a part of the address"}
	}
	return nil
}

// checkSettings refuses settings that this server cannot serve, whoever saves them.
func checkSettings(logins *saml.Handler) func(context.Context, provision.Connection) error {
	return func(_ context.Context, c provision.Connection) error {
		if err := checkID(c.ID); err != nil {
			return err
		}
		if c.LDAP != nil {
			if err := ldap.Validate(c.ID, *c.LDAP); err != nil {
				return err
			}
		}
		_, err := logins.Check(c)
		return err
	}
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
