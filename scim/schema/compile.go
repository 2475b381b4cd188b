package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision/store"
)

// MaxIndexed is how many bytes a value of an indexed attribute may have. The
// databases bound the size of index entries; a longer value is refused when it
// is decoded, since it could not be found again.
const MaxIndexed = store.MaxKey

// reserved are the endpoints of RFC 7644 section 3.2 that are not resource
// types.
var reserved = []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Bulk", "/Me", "/.search"}

// Compile checks definitions and compiles them. It reports definitions that the
// elimity constructors accept but RFC 7643 does not: duplicate names, nested
// complex attributes, unknown index attributes; and corrects case rules where
// RFC 7643 says otherwise (id-valued sub-attributes are case-exact). The error
// joins everything that is wrong.
//
// The attributes "members" of the Group schema and "groups" of the User schema
// of RFC 7643 are membership; those of other schemas are ordinary ones.
func Compile(defs ...Definition) (*Set, error) {
	c := compiler{set: &Set{}}
	for i := range defs {
		c.resourceType(&defs[i])
	}
	if len(defs) == 0 {
		c.errorf("no resource types")
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return c.set, nil
}

type compiler struct {
	set   *Set
	errs  []error
	where string // what the errors are about
}

func (c *compiler) errorf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("schema: %s%w", c.where, fmt.Errorf(format, args...)))
}

func (c *compiler) resourceType(def *Definition) {
	c.where = fmt.Sprintf("resource type %q: ", def.Name)
	c.names(def)
	t := &ResourceType{
		Name:               def.Name,
		Endpoint:           def.Endpoint,
		Description:        def.Description,
		Schema:             def.Schema.ID,
		Root:               &Attribute{Type: Complex, Sub: common()},
		RequiredExtensions: make(map[string]bool),
	}
	t.schemas = t.Root.Sub[0]
	for _, a := range t.Root.Sub {
		a.fix(t.Schema, a.Name)
	}
	c.urn(t.Schema)
	core := c.attributes(def.Schema.ID, def.Schema.Attributes)
	t.Root.Sub = append(t.Root.Sub, core...)
	for _, ext := range def.Extensions {
		t.Extensions = append(t.Extensions, c.extension(t, ext))
	}
	t.Root.Sub = append(t.Root.Sub, t.Extensions...)
	c.duplicates(t.Root)
	t.Root.link()
	t.inspect(t.Root)
	c.index(t, def)
	c.publish(def.Schema, core)
	for i, ext := range def.Extensions {
		c.publish(ext.Schema, t.Extensions[i].Sub)
	}
	for _, name := range []string{"displayName", "userName"} {
		if a := t.Root.Lookup(name); a != nil && a.Type == String && !a.MultiValued {
			t.display = append(t.display, a)
		}
	}
	c.set.types = append(c.set.types, t)
}

// inspect finds what is asked of every request among the attributes below a.
func (t *ResourceType) inspect(a *Attribute) {
	for _, sub := range a.Sub {
		switch {
		case a == t.Root && sub.Kept == InMembers:
			t.Members = sub
		case a == t.Root && sub.Kept == InServer && sub.Name == "groups":
			t.Groups = sub
		}
		t.RequestOnly = t.RequestOnly || sub.Returned == Request
		t.inspect(sub)
	}
}

// names checks the name and endpoint of a resource type.
func (c *compiler) names(def *Definition) {
	if !validName(def.Name) {
		c.errorf("not a name")
	}
	if len(def.Endpoint) < 2 || def.Endpoint[0] != '/' || strings.ContainsAny(def.Endpoint[1:], "/?# %") {
		c.errorf("endpoint %q is not one path segment after a slash", def.Endpoint)
	}
	if slices.ContainsFunc(reserved, func(s string) bool { return sameName(s, def.Endpoint) }) {
		c.errorf("endpoint %q is reserved", def.Endpoint)
	}
	for _, t := range c.set.types {
		if sameName(t.Name, def.Name) {
			c.errorf("the name is used twice")
		}
		if sameName(t.Endpoint, def.Endpoint) {
			c.errorf("endpoint %q is that of %q", def.Endpoint, t.Name)
		}
		if sameName(t.Schema, def.Schema.ID) {
			c.errorf("schema %q is that of %q", t.Schema, t.Name)
		}
	}
}

// urn checks the URN of a schema.
func (c *compiler) urn(urn string) {
	valid := func(r rune) bool { return r > ' ' && r < 0x7f && r != '"' && r != '\\' }
	if !strings.Contains(urn, ":") || strings.ContainsFunc(urn, func(r rune) bool { return !valid(r) }) {
		c.errorf("%q is not the URN of a schema", urn)
	}
}

func (c *compiler) extension(t *ResourceType, ext Extension) *Attribute {
	urn := ext.Schema.ID
	c.urn(urn)
	if sameName(urn, t.Schema) {
		c.errorf("extension %q is the core schema", urn)
	}
	if ext.Required {
		t.RequiredExtensions[urn] = true
	}
	a := &Attribute{
		Name: urn, Schema: urn, Type: Complex, Description: ext.Schema.Description.Value(),
		Required: ext.Required, extension: true, Sub: c.attributes(urn, ext.Schema.Attributes),
	}
	c.duplicates(a)
	return a
}

// attributes converts the attributes of one schema and corrects them.
func (c *compiler) attributes(urn string, defs elimity.Attributes) []*Attribute {
	attributes := make([]*Attribute, 0, len(defs))
	for i := range defs {
		a := c.attribute(urn, &defs[i])
		if a.Type == Complex {
			c.complex(a)
		}
		a.correct(a.Name)
		attributes = append(attributes, a)
	}
	return attributes
}

func (c *compiler) attribute(urn string, def *elimity.CoreAttribute) *Attribute {
	a := &Attribute{
		Name:            def.Name(),
		Schema:          urn,
		Type:            parseKeyword[Type](typeKeywords, def.AttributeType()),
		MultiValued:     def.MultiValued(),
		Required:        def.Required(),
		CaseExact:       def.CaseExact(),
		Mutability:      parseKeyword[Mutability](mutabilityKeywords, def.Mutability()),
		Returned:        parseKeyword[Returned](returnedKeywords, def.Returned()),
		Uniqueness:      parseKeyword[Uniqueness](uniquenessKeywords, def.Uniqueness()),
		CanonicalValues: append([]string(nil), def.CanonicalValues()...), // nil where there are none: see publish
		Description:     def.Description(),
	}
	for _, r := range def.ReferenceTypes() {
		a.ReferenceTypes = append(a.ReferenceTypes, string(r))
	}
	if !validName(a.Name) {
		c.errorf("schema %q: %q is not an attribute name", urn, a.Name)
	}
	for _, sub := range def.SubAttributes() {
		a.Sub = append(a.Sub, c.attribute(urn, &sub))
	}
	return a
}

// complex checks the sub-attributes of a complex attribute.
func (c *compiler) complex(a *Attribute) {
	if len(a.Sub) == 0 {
		c.errorf("schema %q: complex attribute %q has no sub-attributes", a.Schema, a.Name)
	}
	for _, sub := range a.Sub {
		// RFC 7643 section 2.3.8.
		if sub.Type == Complex {
			c.errorf("schema %q: %s.%s is complex inside a complex attribute", a.Schema, a.Name, sub.Name)
		}
	}
	c.duplicates(a)
}

func (c *compiler) duplicates(a *Attribute) {
	for i, sub := range a.Sub {
		for _, other := range a.Sub[:i] {
			if sameName(sub.Name, other.Name) {
				c.errorf("schema %q: attribute %q is defined twice, or is a common attribute", sub.Schema, sub.Name)
			}
		}
	}
}

// validName checks an attribute name against RFC 7643 section 2.1, and accepts
// "$ref", which the grammar there forgets.
func validName(name string) bool {
	for i := range len(name) {
		c := lowerASCII(name[i])
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789_-$", rune(c))) {
			return name == "$ref"
		}
	}
	return name != ""
}

// publish adds a schema to what Published returns. Several resource types may
// share an extension, but not two definitions under one URN.
func (c *compiler) publish(def elimity.Schema, attributes []*Attribute) {
	p := published(def, attributes)
	for _, s := range c.set.published {
		if !sameName(s.ID, def.ID) {
			continue
		}
		if !reflect.DeepEqual(s, p) {
			c.errorf("schema %q is defined twice, differently", def.ID)
		}
		return
	}
	c.set.published = append(c.set.published, p)
}
