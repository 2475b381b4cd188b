package provision

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/policy"
)

// Bounds of the settings of a connection.
const (
	maxConnectionName = 200 // bytes
	maxAttributes     = 100
	maxClockSkew      = 300     // seconds
	maxMetadata       = 2 << 20 // bytes
	maxMapping        = 50
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
	if c.SAML == nil {
		return nil
	}
	saml := *c.SAML // the caller's stays as it is
	c.SAML = &saml
	return saml.check(wrong, func(preset string) { saml.Preset = preset })
}

// isConnectionID reports whether a text can be the id of a connection.
func isConnectionID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
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

// check checks the settings of SAML. A preset becomes canonical.
func (s *SAML) check(wrong func(field, value, reason string) error, canonical func(preset string)) error {
	name, known := preset.Canonical(s.Preset)
	if !known {
		return wrong("saml.preset", shorten(s.Preset), preset.Hint(s.Preset))
	}
	if s.Preset != "" {
		canonical(name)
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
	if reason := wrongMetadata(s.Metadata); reason != "" {
		return wrong("saml.metadata", shorten(strings.TrimSpace(s.Metadata)), reason)
	}
	return nil
}

// wrongMetadata says what is wrong with the form of a metadata document, or "".
// Package jit/saml reads what is in it.
func wrongMetadata(text string) string {
	if text == "" {
		return ""
	}
	if len(text) > maxMetadata {
		return fmt.Sprintf("it has %d bytes, and at most %d are allowed", len(text), maxMetadata)
	}
	decoder := xml.NewDecoder(strings.NewReader(strings.TrimSpace(text)))
	root := ""
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if start, ok := token.(xml.StartElement); ok && root == "" {
			root = start.Name.Local
		}
		if strings.EqualFold(root, "html") {
			return "this is an HTML page, not metadata: open the address of the metadata itself"
		}
		if err != nil {
			return "it is not XML: " + err.Error()
		}
	}
	switch root {
	case "EntityDescriptor", "EntitiesDescriptor":
		return ""
	case "":
		return "it is not an XML document"
	}
	return fmt.Sprintf("its root element is %q; metadata has an EntityDescriptor", root)
}
