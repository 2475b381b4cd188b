package schema

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// Attribute is one compiled attribute of a resource type. The attributes of a
// type form a tree: its root is a complex attribute without a name, whose
// sub-attributes are the common attributes, those of the core schema and one
// complex attribute per extension, named by the extension's URN. Attributes are
// immutable after compilation and compared by pointer.
type Attribute struct {
	Name        string // as the schema spells it; the URN for an extension
	Schema      string // URN of the schema that defines it; empty for common attributes
	Type        Type
	MultiValued bool
	Required    bool
	CaseExact   bool
	Mutability  Mutability
	Returned    Returned
	Uniqueness  Uniqueness

	CanonicalValues []string
	ReferenceTypes  []string
	Description     string

	Parent *Attribute   // nil for the root
	Sub    []*Attribute // of a complex attribute, in schema order
	Order  int          // position among its siblings, from 0

	// Indexed says that the values are kept as index keys under the name that
	// [Attribute.String] returns: the attribute is unique, or the definition of
	// the resource type asked for it. Such a value has at most [MaxIndexed]
	// bytes.
	Indexed bool

	// Characters says which characters a text may have.
	Characters Characters

	// Lasting says that a PATCH which removes the value leaves it as it is.
	Lasting bool

	// Kept says where the value lives.
	Kept Kept

	notation  string     // what String returns
	path      store.Path // what Path returns
	member    string     // the name as the key of a JSON object, with its colon
	extension bool
	value     *Attribute // the sub-attribute "value", or nil
	primary   *Attribute // the boolean sub-attribute "primary" of a multi-valued attribute, or nil
}

// Kept says where the value of an attribute lives.
type Kept uint8

// Where values live.
const (
	InDocument Kept = iota // in the document of the resource
	InServer               // made by the server: id, meta, schemas, groups; ignored in input
	InMembers              // membership rows: the members of a group
	Nowhere                // accepted and dropped: password and whatever is never returned
)

// Lookup returns the sub-attribute with a name, in any case, or nil.
func (a *Attribute) Lookup(name string) *Attribute { return a.lookup(name, 0) }

// lookup looks for a name beginning at a sub-attribute: objects mostly come in
// the order of their schema, so the first comparison is mostly the last.
func (a *Attribute) lookup(name string, from int) *Attribute {
	for i := from; i < len(a.Sub); i++ {
		if sameName(a.Sub[i].Name, name) {
			return a.Sub[i]
		}
	}
	for i := 0; i < from && i < len(a.Sub); i++ {
		if sameName(a.Sub[i].Name, name) {
			return a.Sub[i]
		}
	}
	return nil
}

// sameName reports whether two attribute names or URNs are the same. They are
// ASCII (RFC 7643 section 2.1), so letters that only fold to ASCII under
// Unicode rules are different.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if a == b {
		return true
	}
	for i := range len(a) {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Path returns the place of the attribute in a resource. The type of the path
// follows the type and case rule of the attribute; for a complex attribute it
// is 0. The keys are shared: callers must not change them.
func (a *Attribute) Path() store.Path { return a.path }

// String returns the attribute in the notation of RFC 7644 section 3.10, such
// as "name.givenName", or with its URN where it belongs to an extension.
func (a *Attribute) String() string { return a.notation }

// Key returns the form of a value in which index keys hold it, and are asked for
// it: see [ResourceType.Keys].
func (a *Attribute) Key(text string) string {
	if a.Type == String && !a.CaseExact {
		return store.NameKey(text)
	}
	return text
}

// IsExtension reports whether the attribute is the container of an extension.
func (a *Attribute) IsExtension() bool { return a.extension }

// link completes a tree of attributes whose Sub lists are final.
func (a *Attribute) link() {
	for i, sub := range a.Sub {
		sub.Parent, sub.Order = a, i
		sub.member = `"` + sub.Name + `":`
		sub.path = store.Path{Keys: append(slices.Clip(a.path.Keys), sub.Name), Type: sub.valueType()}
		switch {
		case a.Parent == nil:
			sub.notation = sub.Name
		case a.extension:
			sub.notation = a.notation + ":" + sub.Name
		default:
			sub.notation = a.notation + "." + sub.Name
		}
		if a.Kept != InDocument {
			sub.Kept = a.Kept
		}
		if a.Mutability == ReadOnly {
			sub.Mutability = ReadOnly
		}
		if sub.Name == "value" {
			a.value = sub
		}
		if sub.Name == "primary" && sub.Type == Boolean && a.MultiValued {
			a.primary = sub
		}
		sub.link()
	}
}

func (a *Attribute) valueType() store.ValueType {
	switch a.Type {
	case String:
		if a.CaseExact {
			return store.Exact
		}
		return store.String
	case Binary, Reference:
		return store.Exact
	case Decimal, Integer:
		return store.Number
	case Boolean:
		return store.Boolean
	case DateTime:
		return store.DateTime
	default:
		return 0
	}
}
