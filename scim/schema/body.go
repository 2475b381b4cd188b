package schema

import (
	"errors"
	"strings"
)

// unknown reads the value of a key that names no attribute.
func (r *reader) unknown(parent *Attribute, name string) error {
	a := r.flatKey(parent, name)
	if a == nil {
		if r.decoder != nil {
			r.decoder.Ignore(strings.TrimPrefix(parent.notation+"."+name, "."))
		}
		return r.skip()
	}
	before := len(r.fields.stack)
	if err := r.field(a); err != nil {
		return at(a, err)
	}
	if len(r.fields.stack) > before {
		r.decoder.Use(PathKeys)
		r.flat = append(r.flat, r.fields.stack[before])
		r.fields.stack = r.fields.stack[:before]
	}
	return nil
}

// flatKey returns the attribute that a key of a resource names by a schema URN, or
// nil.
func (r *reader) flatKey(parent *Attribute, name string) *Attribute {
	if r.resource == nil || parent != r.resource.Root || r.decoder.Allow&PathKeys == 0 {
		return nil
	}
	urn := r.resource.prefix(name)
	if urn == "" {
		return nil
	}
	return r.resource.Resolve(urn, name[len(urn)+1:], "", false)
}

// merge puts the values of flat keys where they belong.
func (r *reader) merge(o Object) (Object, error) {
	for _, f := range r.flat {
		a, container := f.Attribute, f.Attribute.Parent
		if container.Parent == nil {
			if o.Get(a).Kind != Unassigned {
				return nil, twice(a)
			}
			o.Set(a, f.Value)
			continue
		}
		v := o.Get(container)
		if v.Object.Get(a).Kind != Unassigned {
			return nil, twice(a)
		}
		v.Kind = ObjectValue
		v.Object.Set(a, f.Value)
		o.Set(container, v)
	}
	return o, nil
}

func twice(a *Attribute) *Error {
	return &Error{Type: "invalidSyntax", Code: CodeDuplicateKey, Attribute: a.notation, Detail: a.notation + ": given by two keys"}
}

// schemas reads the list of schema URIs of a resource.
func (r *reader) schemas() error {
	switch r.peek() {
	case '"':
		if !r.decoder.Use(SingleAsArray) {
			return expected(r.resource.schemas, "an array", '"')
		}
		return r.schemaURI()
	case '[':
		more, err := r.enter(']')
		for more && err == nil {
			if err = r.schemaURI(); err == nil {
				more, err = r.more(']')
			}
		}
		return err
	case 'n':
		return r.skip()
	default:
		r.strange = true
		return r.skip()
	}
}

func (r *reader) schemaURI() error {
	if r.peek() != '"' {
		r.strange = true
		return r.skip()
	}
	urn, err := r.text()
	if err != nil {
		return err
	}
	if sameName(urn, r.resource.Schema) {
		r.core = true
		return nil
	}
	for _, ext := range r.resource.Extensions {
		if sameName(urn, ext.Name) {
			r.listed = append(r.listed, ext)
			return nil
		}
	}
	r.strange = true
	return nil
}

// checkSchemas compares the list of schema URIs with the resource.
func (r *reader) checkSchemas(o Object) error {
	problem := ""
	switch {
	case !r.core:
		problem = "must list " + r.resource.Schema
	case r.strange:
		problem = "lists what is not a schema of the resource type " + r.resource.Name
	default:
		for _, ext := range r.resource.Extensions {
			if o.Get(ext).Kind != Unassigned && !r.lists(ext) {
				problem = "must list " + ext.Name
			}
		}
	}
	if problem == "" || r.decoder.Use(LooseSchemas) {
		return nil
	}
	return &Error{Type: "invalidSyntax", Code: CodeMissingSchema, Attribute: "schemas", Detail: "schemas: " + problem}
}

func (r *reader) lists(ext *Attribute) bool {
	for _, listed := range r.listed {
		if listed == ext {
			return true
		}
	}
	return false
}

// at names the attribute in an error that does not say where it was found.
func at(a *Attribute, err error) error {
	var e *Error
	if a == nil || !errors.As(err, &e) || e.Attribute != "" {
		return err
	}
	return &Error{Type: e.Type, Code: e.Code, Attribute: a.notation, Detail: a.notation + ": " + e.Detail}
}

// quote quotes a key for an error message, shortened.
func quote(key string) string {
	if len(key) > 100 {
		key = strings.ToValidUTF8(key[:100], "")
	}
	return string(appendString(nil, key))
}
