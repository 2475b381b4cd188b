package provision

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/internal/metadata"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/internal/samlname"
	"github.com/scimjit/provision/policy"
)

// Bounds of the settings of a connection.
const (
	maxConnectionName = 200 // bytes
	maxAttributes     = 100
	maxClockSkew      = 300 // seconds
	maxMapping        = 50
	maxAuthnContext   = 20
	maxMetadataURL    = 2000 // bytes
)

// Validate checks the settings without saving them, for a host with these
// permissions: see [Engine.Permissions]. The error is as for
// [Directory.SaveConnection].
func (c Connection) Validate(permissions ...string) error {
	_, err := compile(c, permissions...)
	return err
}

// check checks all settings but the policy, and makes names canonical.
func (c *Connection) check() error {
	wrong := func(field, value, reason string) error {
		return &ConnectionError{Connection: c.ID, Field: field, Value: value, Reason: reason}
	}
	if !isConnectionID(c.ID) {
		return wrong("id", c.ID, "it must be 1 to 64 letters, digits, '-', '_' or '.'")
	}
	if c.Name != "" && !isPlainText(c.Name, maxConnectionName) {
		return wrong("name", shorten(c.Name), fmt.Sprintf("it must be text of at most %d bytes without control characters", maxConnectionName))
	}
	name, known := dialect.Canonical(c.Dialect)
	if !known {
		return wrong("dialect", shorten(c.Dialect), dialect.Hint(c.Dialect))
	}
	if c.Dialect != "" {
		c.Dialect = name
	}
	if len(c.Attributes) > maxAttributes {
		return wrong("attributes", "", fmt.Sprintf("there are %d, and at most %d are allowed", len(c.Attributes), maxAttributes))
	}
	for i, name := range c.Attributes {
		if reason := wrongAttribute(name); reason != "" {
			return wrong("attributes", shorten(name), reason)
		}
		if slices.Contains(c.Attributes[:i], name) {
			return wrong("attributes", name, "it is there twice")
		}
	}
	if c.LDAP != nil {
		c.LDAP = c.LDAP.clone() // the caller's stays as it is
		if err := c.LDAP.check(wrong); err != nil {
			return err
		}
	}
	if c.SAML == nil {
		return nil
	}
	saml := *c.SAML // the caller's stays as it is
	c.SAML = &saml
	return saml.check(wrong)
}

// isConnectionID reports whether a text can be the id of a connection.
func isConnectionID(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return false
		}
		return true
	})
}

// wrongAttribute says what is wrong with the path of an attribute for the host,
// or "". Attributes of extensions that are not standard are the host's own to
// know.
func wrongAttribute(name string) string {
	path, ok := account.ParsePath(name)
	if !ok {
		return "it is not the path of an attribute, such as title, name.givenName or " + account.EnterpriseUser + ":department"
	}
	if account.IsUserAttribute(path) {
		return ""
	}
	if word := policy.Nearest(name, account.UserAttributes()); word != "" {
		return fmt.Sprintf("it is no attribute of a user; did you mean %q?", word)
	}
	return "it is no attribute of a user (RFC 7643 sections 4.1 and 4.3), and no schema is named before it"
}

// check checks the settings of SAML. What has one form of its own becomes that.
func (s *SAML) check(wrong func(field, value, reason string) error) error {
	name, known := preset.Canonical(s.Preset)
	if !known {
		return wrong("saml.preset", shorten(s.Preset), preset.Hint(s.Preset))
	}
	if s.Preset != "" {
		s.Preset = name
	}
	if s.ClockSkewSeconds < 0 || s.ClockSkewSeconds > maxClockSkew {
		return wrong("saml.clockSkewSeconds", fmt.Sprint(s.ClockSkewSeconds), fmt.Sprintf("it must be 0 to %d", maxClockSkew))
	}
	if s.Encryption != "" && s.Encryption != "on" && s.Encryption != "off" {
		return wrong("saml.encryption", shorten(s.Encryption), "it must be on or off")
	}
	if len(s.Mapping) > maxMapping {
		return wrong("saml.mapping", "", fmt.Sprintf("there are %d fields, and at most %d are allowed", len(s.Mapping), maxMapping))
	}
	if len(s.Groups) > maxMapping {
		return wrong("saml.groups", "", fmt.Sprintf("there are %d attributes, and at most %d are allowed", len(s.Groups), maxMapping))
	}
	if err := s.checkRequests(wrong); err != nil {
		return err
	}
	return s.checkMetadata(wrong)
}

// checkRequests checks what is asked of the identity provider. Short names become
// whole ones.
func (s *SAML) checkRequests(wrong func(field, value, reason string) error) error {
	if len(s.AuthnContext) > maxAuthnContext {
		return wrong("saml.authnContext", "", fmt.Sprintf("there are %d classes, and at most %d are allowed", len(s.AuthnContext), maxAuthnContext))
	}
	s.AuthnContext = slices.Clone(s.AuthnContext)
	for i, text := range s.AuthnContext {
		full, hint := samlname.AuthnContext(text)
		switch {
		case hint != "":
			return wrong("saml.authnContext", shorten(text), hint)
		case slices.Contains(s.AuthnContext[:i], full):
			return wrong("saml.authnContext", shorten(text), "it is there twice")
		}
		s.AuthnContext[i] = full
	}
	if s.NameIDFormat == "" {
		return nil
	}
	full, hint := samlname.Format(s.NameIDFormat)
	if hint != "" {
		return wrong("saml.nameIDFormat", shorten(s.NameIDFormat), hint)
	}
	s.NameIDFormat = full
	return nil
}

// checkMetadata checks the form of a metadata document; package jit/saml reads what
// is in it. It becomes UTF-8, so that it is stored as it was read.
func (s *SAML) checkMetadata(wrong func(field, value, reason string) error) error {
	if len(s.IDPEntityID) > metadata.MaxEntityID {
		return wrong("saml.idpEntityID", shorten(s.IDPEntityID), fmt.Sprintf("it has more than %d bytes", metadata.MaxEntityID))
	}
	if reason := wrongMetadataURL(s.MetadataURL); reason != "" {
		return wrong(fieldMetadataURL, shorten(s.MetadataURL), reason)
	}
	if s.Metadata == "" {
		return nil
	}
	text := metadata.Text([]byte(s.Metadata))
	if err := metadata.CheckForm([]byte(s.Metadata)); err != nil {
		return wrong(fieldMetadata, shorten(text), err.Error())
	}
	if !utf8.ValidString(s.Metadata) {
		s.Metadata = text
	}
	return nil
}

// wrongMetadataURL says what is wrong with an address, or "".
func wrongMetadataURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := metadata.Address(text)
	switch {
	case strings.HasPrefix(text, "http://"), err == nil && u.Scheme != "https":
		return "it must begin with https://"
	case err != nil:
		return "it must be an absolute https address without user and fragment"
	case len(text) > maxMetadataURL:
		return fmt.Sprintf("it has more than %d bytes", maxMetadataURL)
	}
	return ""
}
