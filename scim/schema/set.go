package schema

import (
	"sync"

	elimity "github.com/elimity-com/scim/schema"
)

// Definition defines a resource type: its schema and extensions, as
// elimity-com/scim definitions.
type Definition struct {
	Name        string // such as "User"
	Endpoint    string // such as "/Users"
	Description string
	Schema      elimity.Schema
	Extensions  []Extension

	// Index names attributes (such as "externalId" or "emails.value") whose
	// values are kept as index keys, beside those that the schema marks unique.
	// An attribute of an extension may be named with its URN before it.
	Index []string

	// Unique names attributes that are unique in a connection although their
	// schema does not say so; they are indexed and published as unique.
	Unique []string
}

// Extension is an extension of a resource type.
type Extension struct {
	Schema   elimity.Schema
	Required bool
}

// Set is a compiled set of resource types. It is immutable.
type Set struct {
	types     []*ResourceType
	published []Published
}

// ResourceType is one compiled resource type. It is immutable.
type ResourceType struct {
	Name        string
	Endpoint    string
	Description string
	Schema      string // URN of the core schema
	Root        *Attribute
	Extensions  []*Attribute // the extension containers, in order

	RequiredExtensions map[string]bool // by URN

	// What a server asks of every request, found once.
	Members     *Attribute // kept as memberships, or nil
	Groups      *Attribute // the groups of a user, made by the server, or nil
	RequestOnly bool       // some attribute is returned only on request

	indexed []*Attribute // in schema order
	display []*Attribute // what a reference shows: the first that has a value
	schemas *Attribute   // the common attribute "schemas"
}

// standard is compiled once, so that its attributes can be compared by pointer
// everywhere.
var standard = sync.OnceValue(func() *Set {
	set, err := Compile(StandardDefinitions()...)
	if err != nil {
		panic(err) // the definitions are constant
	}
	return set
})

// StandardDefinitions returns the definitions that [Standard] compiles, for a
// caller that adds resource types or extensions of its own. Each call returns a
// slice of its own.
func StandardDefinitions() []Definition {
	return []Definition{
		{
			Name:        "User",
			Endpoint:    "/Users",
			Description: "User Account",
			Schema:      elimity.CoreUserSchema(),
			Extensions:  []Extension{{Schema: elimity.ExtensionEnterpriseUser()}},
			Index:       []string{"externalId", "displayName", "emails.value", EnterpriseURN + ":manager.value"},
		},
		{
			Name:        "Group",
			Endpoint:    "/Groups",
			Description: "Group",
			Schema:      elimity.CoreGroupSchema(),
			Index:       []string{"externalId"},
			Unique:      []string{"displayName"},
		},
	}
}

// Standard returns the set of RFC 7643: User with the enterprise extension, and
// Group. Each call returns the same set.
//
// The displayName of groups is unique, folded, since identity providers find
// groups by it. RFC 7643 does not ask for that: a caller that must follow it to
// the letter clears [store.Key.Unique] of that key.
func Standard() *Set { return standard() }

// Types returns the resource types in the order of their definition.
func (s *Set) Types() []*ResourceType { return s.types }

// Endpoint returns the resource type at an endpoint such as "/Users", or nil.
func (s *Set) Endpoint(endpoint string) *ResourceType {
	for _, t := range s.types {
		if t.Endpoint == endpoint {
			return t
		}
	}
	return nil
}

// Type returns the resource type with a name, or nil.
func (s *Set) Type(name string) *ResourceType {
	for _, t := range s.types {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Published returns the schemas in the order of their definition, as they were
// compiled. They are shared: callers must not change them.
func (s *Set) Published() []Published { return s.published }
