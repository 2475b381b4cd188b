package filter

import (
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// relation compiles what is asked of an attribute whose values are membership
// rows: the members of a group, or the groups of a user. An empty id asks
// whether there is any.
type relation func(id string) store.Filter

func hasMember(id string) store.Filter { return store.HasMember{Member: id} }
func memberOf(id string) store.Filter  { return store.MemberOf{Group: id} }

// relationOf returns the relation that an attribute, or the complex attribute
// that it is part of, stands for; nil for others.
func relationOf(a *schema.Attribute) relation {
	if a.Parent != nil && a.Parent.Parent != nil {
		a = a.Parent
	}
	switch {
	case a.Kept == schema.InMembers:
		return hasMember
	case a.Kept == schema.InServer && a.Name == "groups":
		return memberOf
	}
	return nil
}

// byValue reports whether an attribute names the ids of a relation: the complex
// attribute or its "value".
func byValue(a *schema.Attribute) bool {
	return a.Type == schema.Complex || a.Name == "value"
}

func (r relation) present(a *schema.Attribute) (store.Filter, *Error) {
	if !byValue(a) {
		return nil, failed("%q cannot be filtered", a)
	}
	return r(""), nil
}

func (r relation) compare(a *schema.Attribute, o *operator, value any) (store.Filter, *Error) {
	id, ok := value.(string)
	if !ok || !byValue(a) || o.compare != store.EQ && o.compare != store.NE {
		return nil, failed("%q cannot be filtered but by value, with eq, ne or pr and an id", a)
	}
	var f store.Filter = store.Or{} // nobody has an empty id
	if id != "" {
		f = r(id)
	}
	if o.compare == store.NE {
		f = store.Not{Filter: f}
	}
	return f, nil
}

// valuePath compiles a value filter that asks for one of some ids. A
// conjunction or negation is about one element, and has no form in rows.
func (r relation) valuePath(a *schema.Attribute, e ast.Expression) (store.Filter, *Error) {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		if e.Operator != ast.OR {
			break
		}
		left, err := r.valuePath(a, e.Left)
		if err != nil {
			return nil, err
		}
		right, err := r.valuePath(a, e.Right)
		if err != nil {
			return nil, err
		}
		return store.Or{left, right}, nil
	case *ast.AttributeExpression:
		scope := compiler{element: a}
		sub, err := scope.resolve(e.AttributePath)
		if err != nil {
			return nil, err
		}
		o := operatorOf(e.Operator)
		switch {
		case o == nil:
		case o.compare == 0:
			return r.present(sub)
		case o.compare == store.EQ && e.CompareValue != nil:
			return r.compare(sub, o, e.CompareValue)
		}
	}
	return nil, failed(`within %q only "value" can be filtered, with eq, pr and or`, a)
}
