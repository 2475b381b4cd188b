package patch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// messageSchema is the URN of RFC 7644 section 3.5.2.
const messageSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

const defaultOperations = 1000

// Parse decodes a PATCH body. Keys match in any case (RFC 7643 section 2.1);
// keys that the message does not define are ignored. The request shares the
// memory of body, which must not change while the request is used.
// Without operations it is an error, or changes nothing where
// [schema.EmptyAsAbsent] is allowed.
//
// The error is a [*schema.Error]: "invalidSyntax" for whatever is not a PATCH
// message, "invalidPath" for an empty path, and "invalidValue" for an add or
// replace without a value (RFC 7644 section 3.12). Where there are too many
// operations it is "tooMany" and wraps [ErrTooManyOperations].
func Parse(d *schema.Decoder, body []byte, limits Limits) (*Request, error) {
	if err := valid(d, body); err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	if kind(body) != '{' {
		return nil, invalidSyntax(schema.CodeNotAnObject, "the body must be an object")
	}
	p := parser{decoder: d, request: &Request{limits: limits}}
	var hasSchemas, hasOperations bool
	for key, raw := range store.Document(body).Fields() {
		var err error
		switch {
		case named(key, "schemas"):
			err = once(&hasSchemas, "schemas")
			p.schemas(raw)
		case named(key, "Operations"):
			if err = once(&hasOperations, "Operations"); err == nil {
				err = p.operations(raw)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case !p.identified && !d.Use(schema.LooseSchemas):
		return nil, invalidSyntax(schema.CodeMissingSchema, "schemas: must list %s", messageSchema)
	case len(p.request.Operations) == 0 && (!p.listed || !d.Use(schema.EmptyAsAbsent)):
		return nil, invalidSyntax(schema.CodeBadOperation, "Operations: must be an array of at least one operation")
	}
	return p.request, nil
}

// plain returns the JSON that a text holds, where that is tolerated, or raw.
func plain(d *schema.Decoder, raw []byte) []byte {
	if kind(raw) != '"' {
		return raw
	}
	if text, ok := d.Embedded(store.Raw(raw).Text()); ok {
		return []byte(text)
	}
	return raw
}

// named reports whether a key is a name, in any case.
func named(key []byte, name string) bool {
	return len(key) == len(name) && strings.EqualFold(string(key), name)
}

// once refuses a key that differs from an earlier one only by case.
func once(seen *bool, name string) error {
	if *seen {
		return invalidSyntax(schema.CodeDuplicateKey, "the key %q twice, in different case", name)
	}
	*seen = true
	return nil
}

type parser struct {
	decoder    *schema.Decoder
	request    *Request
	identified bool // the schema of the message is listed
	listed     bool // there is a list of operations
}

// schemas looks for the schema of the message. What is not an array lists none.
func (p *parser) schemas(raw store.Raw) {
	if kind(raw) != '[' {
		return
	}
	for urn := range raw.Elements() {
		if strings.EqualFold(urn.Text(), messageSchema) {
			p.identified = true
		}
	}
}

func (p *parser) operations(raw store.Raw) error {
	if raw = plain(p.decoder, raw); kind(raw) != '[' {
		return invalidSyntax(schema.CodeBadOperation, "Operations: must be an array")
	}
	p.listed = true
	limit := cmp.Or(p.request.limits.Operations, defaultOperations)
	for element := range raw.Elements() {
		if len(p.request.Operations) >= limit {
			return fmt.Errorf("%w: %w", ErrTooManyOperations,
				&schema.Error{Type: "tooMany", Code: schema.CodeTooManyOperations, Detail: fmt.Sprintf("Operations: more than %d", limit)})
		}
		o, err := p.operation(element)
		if err != nil {
			return inOperation(len(p.request.Operations), err)
		}
		p.request.Operations = append(p.request.Operations, o)
	}
	return nil
}

func (p *parser) operation(raw store.Raw) (o Operation, err error) {
	if raw = plain(p.decoder, raw); kind(raw) != '{' {
		return o, invalidSyntax(schema.CodeBadOperation, "an operation must be an object")
	}
	var hasOp, hasPath, hasValue bool
	for key, raw := range raw.Document().Fields() {
		switch {
		case named(key, "op"):
			if err = once(&hasOp, "op"); err == nil {
				o.Op, err = p.op(raw)
			}
		case named(key, "path"):
			if err = once(&hasPath, "path"); err == nil {
				o.Path, err = p.path(raw)
			}
		case named(key, "value"):
			err, o.Value = once(&hasValue, "value"), raw
		}
		if err != nil {
			return o, err
		}
	}
	switch {
	case o.Op == "":
		return o, invalidSyntax(schema.CodeBadOperation, "an operation has no op")
	case o.Op != remove && o.Value == nil:
		return o, &schema.Error{Type: "invalidValue", Code: schema.CodeMissingValue, Detail: o.Op + " needs a value"}
	}
	return o, nil
}

// inOperation says in which operation an error is.
func inOperation(i int, err error) error {
	var e *schema.Error
	if !errors.As(err, &e) {
		return err
	}
	placed := *e
	placed.Detail = fmt.Sprintf("Operations[%d]: %s", i, e.Detail)
	return &placed
}

// op returns the operation in lower case.
func (p *parser) op(raw store.Raw) (string, error) {
	text := raw.Text()
	for _, op := range [...]string{add, replace, remove} {
		if text == op || strings.EqualFold(text, op) && p.decoder.Use(schema.AnyCaseOp) {
			return op, nil
		}
	}
	return "", invalidSyntax(schema.CodeBadOperation, `op %s: must be "add", "replace" or "remove"`, schema.Quoted(string(raw)))
}

// path returns the path, empty for none. Null is none, and so is empty text
// where that is tolerated: templates write it where they have none.
func (p *parser) path(raw store.Raw) (string, error) {
	path := raw.Text()
	switch {
	case kind(raw) == 'n':
	case kind(raw) != '"':
		return "", invalidSyntax(schema.CodeBadOperation, "path %s: must be a string", schema.Quoted(string(raw)))
	case path == "" && !p.decoder.Use(schema.EmptyAsAbsent):
		return "", &schema.Error{Type: "invalidPath", Code: schema.CodeBadPath, Detail: "the path is empty"}
	}
	return path, nil
}
