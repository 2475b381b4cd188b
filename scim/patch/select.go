package patch

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// elements applies the current operation to the elements that a target selects.
func (p *patcher) elements(t target, raw []byte) error {
	selection, err := p.compiled(t)
	if err != nil {
		return err
	}
	given, err := p.given(t, raw)
	if err != nil {
		return err
	}
	l, err := p.open(t.attribute)
	if err != nil {
		return err
	}
	found, err := p.selected(l, selection)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return p.missing(t, selection, l, given)
	}
	edits := make([]edit, len(found))
	for n, i := range found {
		edits[n] = edit{place: i, old: l.elements.List[i]}
		if edits[n].new, err = p.edited(t, edits[n].old, given); err != nil {
			return err
		}
	}
	if edits, err = p.onePrimary(l, edits); err != nil {
		return err
	}
	l.apply(edits)
	p.touch(t.attribute)
	return p.settle(l)
}

// touch remembers an attribute of which an operation has changed single elements.
func (p *patcher) touch(a *schema.Attribute) {
	if !slices.Contains(p.touched, a) {
		p.touched = append(p.touched, a)
	}
}

// sweep removes the elements that the operations together have left without a
// value. One operation alone may leave such an element to the next.
func (p *patcher) sweep() error {
	for _, a := range p.touched {
		old := p.get(a)
		kept := slices.DeleteFunc(slices.Clone(old.Array), a.Hollow)
		if len(kept) == len(old.Array) {
			continue
		}
		p.op = remove
		if err := p.set(a, old, arrayValue(kept)); err != nil {
			return err
		}
	}
	return nil
}

// given decodes the value of the current operation, once for all elements.
func (p *patcher) given(t target, raw []byte) (schema.Value, error) {
	switch {
	case p.op == remove:
		return schema.Value{}, nil
	case t.sub != nil && t.sub.MultiValued && p.op == add:
		list, err := p.values(t.sub, raw, false)
		return arrayValue(list), err
	case t.sub != nil:
		return p.decoder.Value(t.sub, raw, false)
	}
	return p.element(t.attribute, raw)
}

// element decodes one element, of which an array may have been made.
func (p *patcher) element(a *schema.Attribute, raw []byte) (schema.Value, error) {
	if kind(raw) != '[' {
		return p.decoder.Value(a, raw, true)
	}
	var only []byte
	n := 0
	for element := range store.Raw(raw).Elements() {
		only = element
		n++
	}
	if n == 1 && kind(only) != '[' && p.decoder.Use(schema.SingleAsArray) {
		return p.decoder.Value(a, only, true)
	}
	return schema.Value{}, refusal("invalidValue", schema.CodeSeveralValues, a, "needs one value here, not an array")
}

// edited applies the current operation to one element.
func (p *patcher) edited(t target, v, given schema.Value) (schema.Value, error) {
	switch {
	case p.op == add && given.Kind == schema.Unassigned:
		return v, nil
	case t.sub == nil && p.op == add && given.Kind == schema.ObjectValue:
		return p.overlaid(v, given)
	case t.sub == nil:
		return p.replaced(t, v, given)
	}
	old := v.Object.Get(t.sub)
	if p.op == add && t.sub.MultiValued {
		var err error
		if given, err = p.appended(t.sub, old, given.Array); err != nil {
			return v, err
		}
	}
	if given.Equal(old) {
		return v, nil
	}
	if err := p.allowed(t.sub, old, given); err != nil {
		return v, err
	}
	if display := t.attribute.Lookup("display"); display != nil && t.sub.Name == "value" && given.Kind == schema.Unassigned {
		v = with(v, display, schema.Value{}) // it showed the value
	}
	return with(v, t.sub, given), nil
}

// replaced returns what a replace puts in the place of an element. It keeps what
// selected it and the value does not name, so that the same path finds it again.
func (p *patcher) replaced(t target, v, given schema.Value) (schema.Value, error) {
	if t.filter == nil || given.Kind != schema.ObjectValue {
		return given, nil
	}
	var kept schema.Object
	terms(t.filter, func(term *ast.AttributeExpression) {
		if sub := subAttribute(t.attribute, term); sub != nil {
			kept.Set(sub, v.Object.Get(sub))
		}
	})
	return p.overlaid(complexValue(kept), given)
}

// missing decides what happens where a target selects nothing: creating the
// element, no change, or "noTarget".
func (p *patcher) missing(t target, s selection, l *list, given schema.Value) error {
	switch {
	case t.filter == nil:
		// The attribute has no value, so that a replace is an add (section
		// 3.5.2.3), and a remove has nothing to do.
	case p.op == remove && !p.decoder.Use(schema.UnknownIgnored),
		p.op == replace && !p.decoder.Use(schema.ReplaceCreates):
		return p.noTarget(t)
	}
	if given.Kind == schema.Unassigned {
		return nil
	}
	v, err := p.created(t, given)
	if err != nil {
		return err
	}
	if ok, err := p.matches(s, v); err != nil || !ok {
		return cmp.Or(err, p.noTarget(t))
	}
	p.touch(t.attribute)
	return p.add(l, []schema.Value{v})
}

// created returns the element that a target describes, with a value.
func (p *patcher) created(t target, given schema.Value) (schema.Value, error) {
	var o schema.Object
	if t.filter != nil {
		if err := p.equalities(t.attribute, t.filter, &o); err != nil {
			return given, err
		}
		if len(o) == 0 {
			return given, p.noTarget(t)
		}
	}
	if t.sub == nil {
		return p.overlaid(complexValue(o), given)
	}
	return p.edited(t, complexValue(o), given)
}

func (p *patcher) noTarget(t target) error {
	if p.pathless {
		return refusal("noTarget", schema.CodeNoTarget, t.attribute, "has no value that the key selects")
	}
	return &schema.Error{
		Type: "noTarget", Code: schema.CodeNoTarget, Attribute: t.attribute.String(),
		Detail: "path " + schema.QuotedText(p.path) + ": selects no value",
	}
}

// equalities sets the attributes that a value filter compares by eq, as far as
// it joins them by "and". The values take the types of their attributes.
func (p *patcher) equalities(a *schema.Attribute, e ast.Expression, o *schema.Object) error {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		if e.Operator != ast.AND {
			return nil
		}
		if err := p.equalities(a, e.Left, o); err != nil {
			return err
		}
		return p.equalities(a, e.Right, o)
	case *ast.AttributeExpression:
		sub := subAttribute(a, e)
		if e.Operator != ast.EQ || e.CompareValue == nil || sub == nil || sub == a {
			return nil
		}
		v, err := p.decoder.Value(sub, literal(e.CompareValue), false)
		if err != nil {
			return err
		}
		o.Set(sub, v)
	}
	return nil
}

// literal writes a comparison value of a filter as JSON.
func literal(v any) []byte {
	switch v := v.(type) {
	case string:
		// Filters hold valid UTF-8, so this cannot fail.
		quoted, _ := jsontext.AppendQuote(nil, v)
		return quoted
	case bool:
		if v {
			return []byte("true")
		}
		return []byte("false")
	case json.Number:
		return []byte(v)
	}
	return []byte("null")
}

// selection is the compiled value filter of a target. The zero selection is
// every element.
type selection struct {
	filter  store.Filter
	matcher *store.ElementMatcher // of the filter
	terms   int
}

// compiled compiles the value filter of a target.
func (p *patcher) compiled(t target) (s selection, err error) {
	if t.filter == nil {
		return s, nil
	}
	loose := looseness(t)
	allowed := loose != 0 && p.decoder.Allow&loose == loose
	s.filter, err = filter.CompileElement(t.attribute, t.filter, filter.Options{Loose: allowed})
	if err != nil {
		return s, &schema.Error{Type: "invalidFilter", Code: schema.CodeBadFilter, Attribute: t.attribute.String(), Detail: "path: " + err.Error()}
	}
	if allowed {
		p.decoder.Used |= loose
	}
	terms(t.filter, func(*ast.AttributeExpression) { s.terms++ })
	s.matcher = store.CompileElement(s.filter)
	return s, nil
}

// looseness returns the tolerances that the comparison values of a value filter
// need.
func looseness(t target) (needed schema.Tolerance) {
	terms(t.filter, func(term *ast.AttributeExpression) {
		sub := subAttribute(t.attribute, term)
		if sub == nil || term.CompareValue == nil {
			return
		}
		_, text := term.CompareValue.(string)
		switch {
		case text && sub.Type == schema.Boolean:
			needed |= schema.TextBooleans
		case !text && (sub.Type == schema.String || sub.Type == schema.Reference):
			needed |= schema.NumberText
		}
	})
	return needed
}

// matches reports whether a selection has an element. The error is that of
// look.
func (p *patcher) matches(s selection, v schema.Value) (bool, error) {
	if s.matcher == nil {
		return true, p.look(1)
	}
	p.buffer = v.AppendJSON(p.buffer[:0])
	if err := p.look(s.terms * (1 + len(p.buffer)/64)); err != nil {
		return false, err
	}
	return s.matcher.Match(p.buffer), nil
}
