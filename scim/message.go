package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/schema"
)

// messageKind is a kind of request body that is no resource: a search or a bulk
// request (RFC 7644 sections 3.4.3 and 3.7). PATCH is read by package patch.
type messageKind struct {
	name   string // for the texts of errors
	schema string // the URN that it lists
}

// message is what all of them have.
type message struct {
	Schemas []string `json:"schemas"`
}

// lists reports whether the message lists a URN.
func (m *message) lists(urn string) bool {
	for _, s := range m.Schemas {
		if strings.EqualFold(s, urn) {
			return true
		}
	}
	return false
}

// readMessage decodes the request body, of at most limit bytes.
func (x *exchange) readMessage(kind messageKind, limit int64, m interface{ lists(urn string) bool }) error {
	data, err := x.body(limit)
	if err != nil {
		return err
	}
	if err := x.checkMessage(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, m); err != nil {
		return refuse(schema.CodeWrongType, "%s", wrongType(kind, err)).typed("invalidSyntax")
	}
	if !m.lists(kind.schema) && !x.dialect.LooseFilters {
		return refuse(schema.CodeMissingSchema, "schemas: must list %s", kind.schema)
	}
	return nil
}

// wrongType says which value of a message has another type than the message has it.
func wrongType(kind messageKind, err error) string {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
		return wrong.Field + ": a " + wrong.Value + " is of the wrong type"
	}
	return "the " + kind.name + " has a value of the wrong type"
}

// checkMessage checks that a message is one JSON object within the limits, and
// has no keys that are the same but for case: what decodes it would take either.
func (x *exchange) checkMessage(data []byte) error {
	c := messageCheck{
		dec:     jsontext.NewDecoder(bytes.NewReader(data)),
		depth:   orDefault(x.handler.Limits.Depth, schema.DefaultMaxDepth),
		longest: orDefault(x.handler.Limits.String, schema.DefaultMaxString),
	}
	if c.dec.PeekKind() != '{' {
		return refuse(schema.CodeNotAnObject, "the request body is not a JSON object")
	}
	if err := c.value(); err != nil {
		return err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return refuse(schema.CodeBadJSON, "the request body goes on after its object")
	}
	return nil
}

// messageCheck reads through a message.
type messageCheck struct {
	dec     *jsontext.Decoder
	depth   int // how deep it may be nested
	longest int // how many bytes a string may have
}

// value reads one value with all that is in it.
func (c *messageCheck) value() error {
	kind, _, err := c.token()
	if err != nil {
		return err
	}
	switch kind {
	case '{':
		return c.object()
	case '[':
		return c.array()
	}
	return nil
}

// object reads what follows the brace.
func (c *messageCheck) object() error {
	keys := map[string]bool{}
	for c.dec.PeekKind() != '}' {
		_, key, err := c.token()
		if err != nil {
			return err
		}
		if key = policy.Fold(key); keys[key] {
			return refuse(schema.CodeDuplicateKey, "the request body has keys that differ only in case")
		}
		keys[key] = true
		if err := c.value(); err != nil {
			return err
		}
	}
	_, _, err := c.token()
	return err
}

// array reads what follows the bracket.
func (c *messageCheck) array() error {
	for c.dec.PeekKind() != ']' {
		if err := c.value(); err != nil {
			return err
		}
	}
	_, _, err := c.token()
	return err
}

// token reads a token, and its text where it is a string.
func (c *messageCheck) token() (kind jsontext.Kind, text string, err error) {
	token, err := c.dec.ReadToken()
	if err != nil {
		return 0, "", refuse(schema.CodeBadJSON, "the request body is not valid JSON at byte %d", c.dec.InputOffset())
	}
	if kind = token.Kind(); kind == '"' {
		text = token.String()
	}
	if len(text) > c.longest {
		return 0, "", refuse(schema.CodeLongString, "the request body has a string of more than %d bytes", c.longest)
	}
	if c.dec.StackDepth() > c.depth {
		return 0, "", refuse(schema.CodeTooDeep, "the request body is nested deeper than %d", c.depth)
	}
	return kind, text, nil
}
