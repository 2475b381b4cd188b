package schema

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/store"
)

// The limits of a [Decoder] whose fields are 0.
const (
	DefaultMaxDepth  = 32
	DefaultMaxString = 64 << 10
)

// Decoder decodes what a client sent. It holds the state of one request; the
// zero Decoder is as strict as the RFCs and has the default limits. It is not
// safe for concurrent use.
//
// Decoding is single and strict about JSON itself, whatever is tolerated: key
// names that are the same but for their case, invalid UTF-8, data after the
// value, nesting and strings beyond the limits are "invalidSyntax", a string
// with U+0000 is "invalidValue". Unassigned are null, an empty array, an array
// of nulls, and an object without a known, assigned attribute.
//
// The texts of a decoded value share one copy of the input. Copy with
// strings.Clone what outlives the request.
type Decoder struct {
	Allow Tolerance // tolerances that may be used
	Used  Tolerance // tolerances that were used, collected by decoding

	// Ignored is what named an unknown attribute, where that was tolerated: up to
	// ten paths and keys as the client wrote them, quoted and shortened.
	Ignored []string

	MaxDepth  int // nesting; 0 means 32
	MaxString int // bytes of one string; 0 means 64 KiB
}

// Use reports whether a tolerance is allowed, and records that it was needed.
func (d *Decoder) Use(t Tolerance) bool {
	if d.Allow&t == 0 {
		return false
	}
	d.Used |= t
	return true
}

// maxIgnored is how many names a decoder remembers.
const maxIgnored = 10

// Ignore reports whether what names an unknown attribute is ignored, and records
// that it was.
func (d *Decoder) Ignore(name string) bool {
	if !d.Use(UnknownIgnored) {
		return false
	}
	if name = QuotedText(name); len(d.Ignored) < maxIgnored && !slices.Contains(d.Ignored, name) {
		d.Ignored = append(d.Ignored, name)
	}
	return true
}

// Resource decodes the JSON object of a resource of type t. It returns the
// attributes that live in the document, and Members where t has them. Unknown
// and read-only attributes, and those that the server makes, are ignored; unknown
// ones are recorded where [UnknownIgnored] is allowed. Key
// names match in any case; two keys that name the same attribute are an error.
// Required attributes are not checked: see [ResourceType.Validate].
//
// The key "schemas" must list the core schema and each extension that has a
// value, and nothing that is unknown (RFC 7643 section 3), unless [LooseSchemas]
// is allowed.
//
// The error is an [*Error].
func (d *Decoder) Resource(t *ResourceType, data []byte) (Object, error) {
	r, err := d.reader(data)
	if err != nil {
		return nil, err
	}
	defer r.release()
	r.resource = t
	if r.space(); r.peek() != '{' {
		return nil, &Error{Type: "invalidSyntax", Code: CodeNotAnObject, Detail: "the body is not a JSON object but " + article(r.peek())}
	}
	o, err := r.object(t.Root)
	if err != nil {
		return nil, err
	}
	if o, err = r.merge(o); err != nil {
		return nil, err
	}
	if err := r.checkSchemas(o); err != nil {
		return nil, err
	}
	return o, nil
}

// Value decodes the JSON value of one attribute: for a multi-valued attribute
// the whole array, or one element where element is set. Read-only
// sub-attributes are ignored; that the attribute itself is read-only is not.
//
// The error is an [*Error].
func (d *Decoder) Value(a *Attribute, data []byte, element bool) (Value, error) {
	r, err := d.reader(data)
	if err != nil {
		return Value{}, err
	}
	defer r.release()
	r.space()
	if element {
		return r.one(a)
	}
	return r.value(a)
}

// reader returns a reader of valid JSON without duplicate keys.
func (d *Decoder) reader(data []byte) (*reader, error) {
	if !jsontext.Value(data).IsValid() {
		return nil, syntaxError(data)
	}
	r := newReader(string(data))
	r.decoder = d
	if d.MaxDepth > 0 {
		r.maxDepth = d.MaxDepth
	}
	if d.MaxString > 0 {
		r.maxString = d.MaxString
	}
	return r, nil
}

// syntaxError says why data is not valid. It runs only for invalid input, so
// that valid input is checked without collecting the reason.
func syntaxError(data []byte) *Error {
	decoder := jsontext.NewDecoder(bytes.NewReader(data))
	_, err := decoder.ReadValue()
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return &Error{Type: "invalidSyntax", Code: CodeBadJSON, Detail: fmt.Sprintf("data after the JSON value at byte %d", decoder.InputOffset())}
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return &Error{Type: "invalidSyntax", Code: CodeDuplicateKey, Detail: fmt.Sprintf("duplicate key %q", syntax.JSONPointer.LastToken())}
	case errors.As(err, &syntax):
		return &Error{Type: "invalidSyntax", Code: CodeBadJSON, Detail: fmt.Sprintf("not valid JSON at byte %d", syntax.ByteOffset)}
	default:
		return &Error{Type: "invalidSyntax", Code: CodeBadJSON, Detail: "not valid JSON: it ends too early"}
	}
}

// Document decodes a canonical document that [Object.AppendJSON] wrote before.
// Attributes that the schema no longer has, or has with another shape, are
// dropped. It checks no more than it needs to: it is for stored documents, not
// for what clients send.
//
// The texts of the result share one copy of the document. Copy with
// strings.Clone what is kept.
func (t *ResourceType) Document(doc store.Document) (Object, error) {
	r := newReader(string(doc))
	defer r.release()
	if r.peek() != '{' {
		return nil, fmt.Errorf("schema: stored %s: %w", t.Name, errTruncated)
	}
	o, err := r.object(t.Root)
	if err != nil {
		return nil, fmt.Errorf("schema: stored %s: %w", t.Name, err)
	}
	return o, nil
}

// Error says what is wrong with an input. Type is a scimType of RFC 7644
// section 3.12. Detail begins with the place and the value where there is one,
// such as `emails[2].primary "perhaps": `.
type Error struct {
	Type      string // "invalidSyntax", "invalidValue", "mutability", ...
	Code      Code   // one of the codes of this package
	Attribute string // the attribute, or empty
	Detail    string // for the client; never quotes secrets
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

func invalidValue(a *Attribute, code Code, detail string) *Error {
	return &Error{Type: "invalidValue", Code: code, Attribute: a.notation, Detail: a.notation + ": " + detail}
}
