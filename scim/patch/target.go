package patch

import (
	"strings"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
)

// target is what a path names. Its zero value names nothing.
type target struct {
	attribute *schema.Attribute // multi-valued where there is a filter
	filter    ast.Expression    // selects elements of it; nil: all
	sub       *schema.Attribute // of the elements; nil: the elements themselves
}

// selects reports whether the target is in the elements of an attribute.
func (t target) selects() bool { return t.filter != nil || t.sub != nil }

// leaf returns the innermost attribute of the target.
func (t target) leaf() *schema.Attribute {
	if t.sub != nil {
		return t.sub
	}
	return t.attribute
}

// target resolves the path of an operation. Where an unknown attribute is
// ignored, the target is zero.
func (p *patcher) target(path string) (target, error) {
	t, err := p.resolve(path)
	if err == nil && t.attribute == nil {
		err = p.unknown("invalidPath", "path %s: names no attribute of %s", path)
	}
	return t, err
}

// key resolves a key of a value without a path. It returns the zero target for
// an unknown one.
func (p *patcher) key(name string) target {
	if a := p.resource.Root.Lookup(name); a != nil {
		return target{attribute: a}
	}
	isPath := strings.ContainsAny(name, ".:[")
	if isPath && p.decoder.Allow&schema.PathKeys == 0 {
		return target{}
	}
	t, err := p.resolve(name)
	if err != nil {
		return target{}
	}
	if isPath && t.attribute != nil {
		p.decoder.Use(schema.PathKeys)
	}
	return t
}

// resolve finds what a path names: the zero target for an unknown attribute.
// The error says that it is not a path.
func (p *patcher) resolve(path string) (target, error) {
	// Most paths are a name, and the URN of a schema is no attribute path.
	if a := p.resource.Root.Lookup(path); a != nil {
		return target{attribute: a}, nil
	}
	if strings.EqualFold(path, p.resource.Schema) {
		return target{attribute: p.resource.Root}, nil
	}
	parsed, err := filter.ParsePath(path, p.limits.Filter)
	if err != nil && p.decoder.Allow&schema.BareText != 0 {
		if loose, lax := filter.ParsePathLoose(path, p.limits.Filter); lax == nil {
			p.decoder.Use(schema.BareText)
			parsed, err = loose, nil
		}
	}
	if err != nil {
		return target{}, &schema.Error{Type: "invalidPath", Code: schema.CodeBadPath, Detail: "path " + schema.QuotedText(path) + ": " + err.Error()}
	}
	a := filter.Resolve(p.resource, parsed.AttributePath, false)
	if a == nil && p.decoder.Allow&schema.LooseSchemas != 0 {
		if a = p.loose(parsed.AttributePath); a != nil {
			p.decoder.Use(schema.LooseSchemas)
		}
	}
	if a == nil {
		return target{}, nil
	}
	t := target{attribute: a}
	if a.Parent != nil && a.Parent.MultiValued {
		t = target{attribute: a.Parent, sub: a}
	}
	if parsed.ValueExpression == nil {
		return t, nil
	}
	return p.filtered(t, parsed)
}

// loose finds an attribute of an extension without its URN.
func (p *patcher) loose(path ast.AttributePath) *schema.Attribute {
	return p.resource.Resolve(path.URI(), path.AttributeName, path.SubAttributeName(), true)
}

// filtered adds the value filter and the sub-attribute behind it to a target.
func (p *patcher) filtered(t target, path ast.Path) (target, error) {
	if t.sub != nil || !t.attribute.MultiValued {
		return target{}, &schema.Error{
			Type: "invalidPath", Code: schema.CodeBadPath, Attribute: t.leaf().String(),
			Detail: "a value filter needs a multi-valued attribute, " + t.leaf().String() + " is not",
		}
	}
	t.filter = path.ValueExpression
	if path.SubAttribute != nil {
		if t.sub = t.attribute.Lookup(*path.SubAttribute); t.sub == nil {
			return target{}, nil
		}
	}
	if !known(t.attribute, t.filter) {
		return target{}, nil
	}
	return t, nil
}

// known reports whether a value filter names only sub-attributes of a.
func known(a *schema.Attribute, e ast.Expression) bool {
	all := true
	terms(e, func(term *ast.AttributeExpression) { all = all && subAttribute(a, term) != nil })
	return all
}

// terms calls fn with each term of a value filter.
func terms(e ast.Expression, fn func(*ast.AttributeExpression)) {
	switch e := e.(type) {
	case *ast.AttributeExpression:
		fn(e)
	case *ast.LogicalExpression:
		terms(e.Left, fn)
		terms(e.Right, fn)
	case *ast.NotExpression:
		terms(e.Expression, fn)
	}
}

// subAttribute returns what a term of a value filter compares, nil for an
// unknown attribute. Simple elements are their own "value".
func subAttribute(a *schema.Attribute, e *ast.AttributeExpression) *schema.Attribute {
	path := &e.AttributePath
	switch {
	case path.URIPrefix != nil || path.SubAttribute != nil:
		return nil
	case a.Type == schema.Complex:
		return a.Lookup(path.AttributeName)
	case strings.EqualFold(path.AttributeName, "value"):
		return a
	}
	return nil
}
