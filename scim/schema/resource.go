package schema

import (
	"strconv"
	"strings"
)

// Resolve finds an attribute by the parts of an attribute path: an optional
// schema URN, a name, and an optional sub-attribute name, each in any case. The
// name may itself be the URN of an extension. It returns nil when there is
// none. A name that is not in the core schema is looked up in the extensions
// when no other attribute has it and loose is set.
//
// A URN split at its last colon, so that name is its last part, still names
// the extension.
func (t *ResourceType) Resolve(urn, name, sub string, loose bool) *Attribute {
	a := t.resolve(urn, name, loose)
	if a == nil || sub == "" {
		return a
	}
	return a.Lookup(sub)
}

func (t *ResourceType) resolve(urn, name string, loose bool) *Attribute {
	switch {
	case urn == "":
		if a := t.Root.Lookup(name); a != nil || !loose {
			return a
		}
		return t.loose(name)
	case sameName(urn, t.Schema):
		if a := t.Root.Lookup(name); a != nil && !a.extension {
			return a
		}
		return nil
	}
	for _, ext := range t.Extensions {
		if sameName(urn, ext.Name) {
			return ext.Lookup(name)
		}
		n := len(urn)
		if len(ext.Name) == n+1+len(name) && ext.Name[n] == ':' && sameName(ext.Name[:n], urn) && sameName(ext.Name[n+1:], name) {
			return ext
		}
	}
	return nil
}

// loose finds the attribute that exactly one extension has.
func (t *ResourceType) loose(name string) *Attribute {
	var found *Attribute
	for _, ext := range t.Extensions {
		if a := ext.Lookup(name); a != nil {
			if found != nil {
				return nil
			}
			found = a
		}
	}
	return found
}

// Display returns what a reference to the resource shows: displayName, else
// userName. The text shares no memory with the document.
func (t *ResourceType) Display(o Object) string {
	for _, a := range t.display {
		if v := o.Get(a); !v.IsEmpty() {
			return strings.Clone(v.Text)
		}
	}
	return ""
}

// Schemas returns the URNs that a document uses: the core schema, and each
// extension that has a value or is required.
func (t *ResourceType) Schemas(o Object) []string {
	urns := append(make([]string, 0, 1+len(t.Extensions)), t.Schema)
	for _, ext := range t.Extensions {
		if t.RequiredExtensions[ext.Name] || o.Get(ext).Kind != Unassigned {
			urns = append(urns, ext.Name)
		}
	}
	return urns
}

// Validate checks what must hold for a whole document: required attributes are
// present (RFC 7643 section 2.2) and at most one value of a multi-valued
// attribute is primary (section 2.4). Blank text does not count as present.
// Attributes that live outside the document are not checked. The error is an
// [*Error].
func (t *ResourceType) Validate(o Object) error {
	// The comparison keeps a nil *Error from becoming an error that is not nil.
	if err := validate(t.Root, o); err != nil {
		return err
	}
	return nil
}

func validate(a *Attribute, o Object) *Error {
	for _, sub := range a.Sub {
		if sub.Required && sub.Kept == InDocument && o.Get(sub).IsEmpty() {
			return invalidValue(sub, CodeRequired, "required")
		}
	}
	for i := range o {
		sub, v := o[i].Attribute, o[i].Value
		if len(sub.Sub) == 0 {
			continue
		}
		elements := v.Array
		if v.Kind == ObjectValue {
			elements = []Value{v}
		}
		primaries := 0
		for j := range elements {
			if err := validate(sub, elements[j].Object); err != nil {
				return err
			}
			if sub.primary != nil && elements[j].Object.Get(sub.primary).Text == "true" {
				primaries++
			}
		}
		if primaries > 1 {
			return invalidValue(sub, CodeSeveralPrimary, "at most one value may be primary, got "+strconv.Itoa(primaries))
		}
	}
	return nil
}
