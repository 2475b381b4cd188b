package filter

import (
	"fmt"
	"strings"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// Options says what Compile accepts beyond the RFC.
type Options struct {
	// Loose accepts what identity providers send: "email" for "emails",
	// extension attributes without their URN, text for booleans ("True"), and
	// numbers and booleans for text.
	Loose bool

	// Unknown, when not nil, is told of every attribute that the resource type
	// does not have. The attribute counts as one without a value then (RFC 7644
	// section 3.4.2.1, for queries across types) instead of as an error.
	Unknown func(attribute string)
}

// Compile resolves a filter for the resource type t.
//
// A complex attribute that is compared means its sub-attribute "value". A
// comparison with null asks for absence: eq null is the negation of pr. The
// members of a group and the groups of a user are not in documents: they can
// only be compared by value, with eq and ne, or asked for with pr.
//
// The error is an [*Error]: an unknown attribute, an operator that the
// attribute does not have, or a value of another type. Attributes that are
// never returned, such as a password, are unknown here.
func Compile(t *schema.ResourceType, e ast.Expression, o Options) (store.Filter, error) {
	c := compiler{resource: t, loose: o.Loose, unknown: o.Unknown}
	f, err := c.expression(e)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// CompileElement resolves the filter of a value path for the elements of the
// attribute a: paths in the result are relative to one element. The elements of
// an attribute that is not complex are themselves their "value", with an empty
// path. The error is an [*Error].
func CompileElement(a *schema.Attribute, e ast.Expression, o Options) (store.Filter, error) {
	c := compiler{element: a, strip: len(a.Path().Keys), loose: o.Loose}
	f, err := c.expression(e)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Resolve finds the attribute that a path names for the resource type t, or
// returns nil. The path may be the URN of an extension alone, which a parser
// cannot tell from an attribute with a URN before it. Loose is that of
// [Options].
func Resolve(t *schema.ResourceType, p ast.AttributePath, loose bool) *schema.Attribute {
	urn, sub := p.URI(), p.SubAttributeName()
	if a := t.Resolve(urn, p.AttributeName, sub, loose); a != nil {
		return a
	}
	if urn != "" {
		return t.Resolve("", string(appendAttribute(nil, p)), "", false)
	}
	if loose && strings.EqualFold(p.AttributeName, "email") {
		return t.Resolve("", "emails", sub, false)
	}
	return nil
}

// compiler compiles the expressions of one scope: a resource, or the elements
// of an attribute.
type compiler struct {
	resource *schema.ResourceType
	element  *schema.Attribute // nil for the scope of the resource
	strip    int               // keys that paths leave out
	loose    bool
	unknown  func(attribute string)
}

func failed(format string, arguments ...any) *Error {
	return &Error{Offset: -1, Detail: fmt.Sprintf(format, arguments...)}
}

func (c *compiler) expression(e ast.Expression) (store.Filter, *Error) {
	switch e := e.(type) {
	case *ast.AttributeExpression:
		return c.comparison(e)
	case *ast.LogicalExpression:
		operands, err := c.operands(make([]store.Filter, 0, chainLength(e)), e, e.Operator)
		switch {
		case err != nil:
			return nil, err
		case e.Operator == ast.AND:
			return store.And(operands), nil
		case e.Operator == ast.OR:
			return store.Or(operands), nil
		}
		return nil, failed("unknown operator %q", e.Operator)
	case *ast.NotExpression:
		f, err := c.expression(e.Expression)
		if err != nil {
			return nil, err
		}
		return store.Not{Filter: f}, nil
	case *ast.ValuePath:
		return c.valuePath(e)
	}
	return nil, failed("empty filter")
}

// chainLength returns how many operands a chain of one operator has, as the
// parser builds it from left to right.
func chainLength(e *ast.LogicalExpression) int {
	n := 2
	for left, ok := e.Left.(*ast.LogicalExpression); ok && left.Operator == e.Operator; n++ {
		left, ok = left.Left.(*ast.LogicalExpression)
	}
	return n
}

// operands compiles the operands of a chain of one operator, in order.
func (c *compiler) operands(list []store.Filter, e ast.Expression, o ast.LogicalOperator) ([]store.Filter, *Error) {
	if chain, ok := e.(*ast.LogicalExpression); ok && chain.Operator == o {
		list, err := c.operands(list, chain.Left, o)
		if err != nil {
			return nil, err
		}
		return c.operands(list, chain.Right, o)
	}
	f, err := c.expression(e)
	if err != nil {
		return nil, err
	}
	return append(list, f), nil
}

func (c *compiler) valuePath(e *ast.ValuePath) (store.Filter, *Error) {
	a, err := c.resolve(e.AttributePath)
	if err != nil && c.absent(err, e.AttributePath) {
		return store.Or{}, nil
	}
	if err != nil {
		return nil, err
	}
	if a.Type != schema.Complex {
		return nil, failed("%q has no sub-attributes", a)
	}
	if c.element == nil {
		if r := relationOf(a); r != nil {
			return r.valuePath(a, e.ValueFilter)
		}
	}
	inner := compiler{resource: c.resource, element: a, strip: len(a.Path().Keys), loose: c.loose}
	f, err := inner.expression(e.ValueFilter)
	if err != nil {
		return nil, err
	}
	return store.Any{Path: c.path(a), Filter: f}, nil
}

func (c *compiler) comparison(e *ast.AttributeExpression) (store.Filter, *Error) {
	o := operatorOf(e.Operator)
	if o == nil {
		return nil, failed("unknown operator %q", e.Operator)
	}
	a, err := c.resolve(e.AttributePath)
	if err != nil && c.absent(err, e.AttributePath) {
		if (o.compare == store.NE) != (e.CompareValue == nil && o.compare != 0) {
			return store.And{}, nil // not equal to a value, or equal to null
		}
		return store.Or{}, nil
	}
	if err != nil {
		return nil, err
	}
	if e.CompareValue == nil && o.compare != 0 {
		return c.null(a, o)
	}
	if o.compare == 0 {
		return c.present(a)
	}
	if c.element == nil {
		if r := relationOf(a); r != nil {
			return r.compare(a, o, e.CompareValue)
		}
	}
	if a.Kept == schema.InServer && a.Name == "schemas" {
		return c.schemas(o, e.CompareValue)
	}
	if a.Type == schema.Complex {
		value := a.Lookup("value")
		if value == nil || value.Kept == schema.Nowhere {
			return nil, failed("%q is complex: name one of its sub-attributes", a)
		}
		a = value
	}
	if o.types&(1<<a.Type) == 0 {
		return nil, failed("operator %q does not apply to %q", o.name, a)
	}
	return c.compare(a, o, e.CompareValue)
}

// absent reports whether an error is that of an attribute which counts as one
// without a value.
func (c *compiler) absent(err *Error, p ast.AttributePath) bool {
	if c.unknown == nil || !err.unknown {
		return false
	}
	c.unknown(string(appendAttribute(nil, p)))
	return true
}

// resolve finds the attribute of a path in the scope.
func (c *compiler) resolve(p ast.AttributePath) (*schema.Attribute, *Error) {
	var a *schema.Attribute
	switch {
	case c.element == nil:
		a = Resolve(c.resource, p, c.loose)
	case p.URIPrefix != nil:
	case c.element.Type != schema.Complex:
		if p.SubAttribute == nil && strings.EqualFold(p.AttributeName, "value") {
			a = c.element
		}
	default:
		a = c.element.Lookup(p.AttributeName)
		if a != nil && p.SubAttribute != nil {
			a = a.Lookup(*p.SubAttribute)
		}
	}
	switch {
	case a == nil || a.Kept == schema.Nowhere:
		err := failed("unknown attribute %q", appendAttribute(nil, p))
		err.unknown = a == nil
		return nil, err
	case a.Kept == schema.InServer && a.Name == "location":
		// It is made from the address of the request.
		return nil, failed("%q cannot be filtered", a)
	}
	return a, nil
}

// path returns the path of an attribute in the scope.
func (c *compiler) path(a *schema.Attribute) store.Path {
	p := a.Path()
	p.Keys = p.Keys[c.strip:]
	return p
}

// null compiles a comparison with null, which means absence (RFC 7643 section
// 2.5).
func (c *compiler) null(a *schema.Attribute, o *operator) (store.Filter, *Error) {
	if o.compare != store.EQ && o.compare != store.NE {
		return nil, failed("operator %q does not apply to null", o.name)
	}
	f, err := c.present(a)
	if err != nil {
		return nil, err
	}
	if o.compare == store.NE {
		return f, nil
	}
	return store.Not{Filter: f}, nil
}

func (c *compiler) present(a *schema.Attribute) (store.Filter, *Error) {
	switch r := relationOf(a); {
	case r != nil && c.element == nil:
		return r.present(a)
	case r == nil && a.Kept == schema.InServer:
		return store.And{}, nil // id, meta and schemas, which every resource has
	}
	return store.Present{Path: c.path(a)}, nil
}

// compare compiles a comparison of an attribute that is not complex.
func (c *compiler) compare(a *schema.Attribute, o *operator, value any) (store.Filter, *Error) {
	text, err := literal(a, value, c.loose)
	if err != nil {
		return nil, err
	}
	if a.Kept == schema.InServer && a.Name == "version" {
		text = versionOf(text)
	}
	f := store.Compare{Path: c.path(a), Op: o.compare, Value: text}
	if o.compare == store.EQ && keyed(a, text) {
		f.Key, f.Folded = a.String(), a.Key(text)
	}
	return f, nil
}

// versionOf returns the version in an entity tag, which may have a digest behind a
// dash; stores keep the version alone.
func versionOf(tag string) string {
	if version, digest, found := strings.Cut(tag, "-"); found && strings.HasSuffix(digest, `"`) {
		return version + `"`
	}
	return tag
}

// keyed reports whether the index holds all values of an attribute that equal a
// literal. It holds no blank text, and integers in their shortest form.
func keyed(a *schema.Attribute, text string) bool {
	if !a.Indexed || a.Kept != schema.InDocument || strings.TrimSpace(text) == "" || len(a.Key(text)) > store.MaxKey {
		return false
	}
	return a.Type != schema.Integer || text != "-0" && !strings.ContainsAny(text, ".eE")
}

// schemas compiles a comparison of the attribute "schemas", which follows from
// what the document has: the schema of the resource type always, and each
// extension that is required or has a value.
func (c *compiler) schemas(o *operator, value any) (store.Filter, *Error) {
	urn, ok := value.(string)
	if !ok || o.compare != store.EQ && o.compare != store.NE {
		return nil, failed(`"schemas" can only be compared with a URN, by eq or ne`)
	}
	var f store.Filter = store.Or{}
	if strings.EqualFold(urn, c.resource.Schema) {
		f = store.And{}
	}
	for _, extension := range c.resource.Extensions {
		switch {
		case !strings.EqualFold(urn, extension.Name):
		case c.resource.RequiredExtensions[extension.Name]:
			f = store.And{}
		default:
			f = store.Present{Path: extension.Path()}
		}
	}
	if o.compare == store.NE {
		f = store.Not{Filter: f}
	}
	return f, nil
}
