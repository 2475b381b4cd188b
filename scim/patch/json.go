package patch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/scim/schema"
)

// valid checks a whole body: that it is one JSON value without duplicate keys
// and invalid UTF-8, and within the limits of the decoder. What reads it later
// relies on that.
func valid(d *schema.Decoder, body []byte) error {
	if err := bounded(d, body); err != nil {
		return err
	}
	if jsontext.Value(body).IsValid() {
		return nil
	}
	// The reason is looked for only now, so that a valid body costs less.
	_, err := jsontext.NewDecoder(bytes.NewReader(body)).ReadValue()
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return invalidSyntax(schema.CodeBadJSON, "data after the JSON value")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalidSyntax(schema.CodeDuplicateKey, "the same key twice in one object")
	case errors.As(err, &syntax):
		return invalidSyntax(schema.CodeBadJSON, "not valid JSON at byte %d", syntax.ByteOffset)
	}
	return invalidSyntax(schema.CodeBadJSON, "not valid JSON: it ends too early")
}

// bounded checks nesting and string lengths. It comes first, and need not care
// whether the text is valid JSON. Values are decoded one by one later, where
// each would start at depth 0 again.
func bounded(d *schema.Decoder, body []byte) error {
	maxDepth, maxString := cmp.Or(d.MaxDepth, schema.DefaultMaxDepth), cmp.Or(d.MaxString, schema.DefaultMaxString)
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return invalidSyntax(schema.CodeTooDeep, "nested deeper than %d", maxDepth)
			}
		case '}', ']':
			depth--
		case '"':
			start := i + 1
			for i = start; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
			if i-start > maxString && unquoted(body[start-1:min(i+1, len(body))]) > maxString {
				return invalidSyntax(schema.CodeLongString, "a string is longer than %d bytes", maxString)
			}
		}
	}
	return nil
}

// unquoted returns the length of the text that a JSON string stands for.
func unquoted(quoted []byte) int {
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return len(quoted)
	}
	return len(text)
}

// kind returns the first byte of a JSON value without white space around it:
// '{', '[', '"', 'n' for null, or another; 0 for none.
func kind(raw []byte) byte {
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

func invalidSyntax(code schema.Code, format string, arguments ...any) error {
	return &schema.Error{Type: "invalidSyntax", Code: code, Detail: fmt.Sprintf(format, arguments...)}
}

// refusal is an error about an attribute.
func refusal(scimType string, code schema.Code, a *schema.Attribute, detail string) error {
	return &schema.Error{Type: scimType, Code: code, Attribute: a.String(), Detail: a.String() + ": " + detail}
}
