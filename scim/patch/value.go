package patch

import (
	"slices"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// merged returns the value of an attribute after adding or replacing a value,
// by the current operation.
func (p *patcher) merged(a *schema.Attribute, old schema.Value, raw []byte) (schema.Value, error) {
	switch {
	case a.MultiValued && p.op == add:
		added, err := p.list(a, raw, p.pathless)
		if err != nil {
			return old, err
		}
		return p.appended(a, old, added)
	case a.Type == schema.Complex && !a.MultiValued && kind(raw) == '{':
		return p.mergedObject(a, old, raw)
	}
	v, err := p.decoder.Value(a, raw, false)
	switch {
	case err != nil:
		return old, err
	case v.Kind == schema.Unassigned && p.op == add:
		return old, nil
	case v.Kind == schema.ObjectValue:
		return p.overlaid(old, v)
	}
	return v, nil
}

// mergedObject merges a JSON object into a single complex value, or into the
// container of an extension. It reads the text instead of a decoded value, in
// which a sub-attribute with the value null would be missing. As in every value
// (see [schema.Decoder.Value]), unknown and read-only sub-attributes are
// ignored.
func (p *patcher) mergedObject(a *schema.Attribute, old schema.Value, raw []byte) (schema.Value, error) {
	o := slices.Clone(old.Object)
	var seen []*schema.Attribute
	blank, assigned := true, false // whether the object has no keys, and whether it has values
	for key, v := range store.Document(raw).Fields() {
		blank = false
		sub := a.Lookup(string(key))
		if sub == nil || sub.Mutability == schema.ReadOnly || sub.Kept != schema.InDocument {
			continue
		}
		if slices.Contains(seen, sub) {
			return old, refusal("invalidSyntax", sub, "is given twice")
		}
		seen = append(seen, sub)
		was := o.Get(sub)
		now, err := p.merged(sub, was, v)
		if err != nil {
			return old, err
		}
		assigned = assigned || now.Kind != schema.Unassigned
		if now.Equal(was) {
			continue
		}
		if err := p.allowed(sub, was, now); err != nil {
			return old, err
		}
		o.Set(sub, now)
	}
	// {} and {"value":""} unassign the whole; {"middleName":""} does not.
	whole := blank || slices.Contains(seen, a.Lookup("value"))
	if whole && !assigned && p.op == replace && !a.IsExtension() && p.decoder.Use(schema.EmptyAsAbsent) {
		return schema.Value{}, nil
	}
	return complexValue(o), nil
}

// overlaid returns a complex value with the sub-attributes of another.
func (p *patcher) overlaid(old, v schema.Value) (schema.Value, error) {
	o := slices.Clone(old.Object)
	for _, f := range v.Object {
		was := o.Get(f.Attribute)
		if f.Value.Equal(was) {
			continue
		}
		if err := p.allowed(f.Attribute, was, f.Value); err != nil {
			return old, err
		}
		o.Set(f.Attribute, f.Value)
	}
	return complexValue(o), nil
}

// list decodes values of a multi-valued attribute. One value without an array
// around it will do, unless strict is set.
func (p *patcher) list(a *schema.Attribute, raw []byte, strict bool) ([]schema.Value, error) {
	element := !strict && kind(raw) != '[' && kind(raw) != 'n'
	v, err := p.decoder.Value(a, raw, element)
	switch {
	case err != nil || v.Kind == schema.Unassigned:
		return nil, err
	case element:
		return []schema.Value{v}, nil
	}
	return v.Array, nil
}

// appended returns the values of an attribute with those added that are not
// there yet.
func (p *patcher) appended(a *schema.Attribute, old schema.Value, added []schema.Value) (schema.Value, error) {
	values := slices.Clip(old.Array)
	for _, v := range added {
		if err := p.look(len(values)); err != nil {
			return old, err
		}
		if !slices.ContainsFunc(values, v.Equal) {
			values = append(values, v)
		}
	}
	if len(values) == len(old.Array) {
		return old, nil
	}
	if err := p.onePrimary(a, old.Array, values); err != nil {
		return old, err
	}
	return arrayValue(values), nil
}

// removed returns what is left of an attribute. The RFC gives a value no
// meaning here (section 3.5.2.2); identity providers list what to remove.
func (p *patcher) removed(a *schema.Attribute, old schema.Value, raw []byte) (schema.Value, error) {
	if !a.MultiValued || !p.listed(raw) {
		return schema.Value{}, nil
	}
	list, err := p.list(a, raw, false)
	if err != nil {
		return old, err
	}
	if err := p.look(len(list) * len(old.Array)); err != nil {
		return old, err
	}
	var kept []schema.Value
	for _, v := range old.Array {
		if !slices.ContainsFunc(list, func(w schema.Value) bool { return names(a, w, v) }) {
			kept = append(kept, v)
		}
	}
	return arrayValue(kept), nil
}

// listed reports whether a remove is only of the values that it lists. Null is
// no list.
func (p *patcher) listed(raw []byte) bool {
	return raw != nil && kind(raw) != 'n' && p.decoder.Use(schema.RemoveListed)
}

// names reports whether a listed value means an element: it has the same
// "value", or is equal where it has none.
func names(a *schema.Attribute, listed, element schema.Value) bool {
	if sub := a.Lookup("value"); sub != nil {
		if v := listed.Object.Get(sub); v.Kind != schema.Unassigned {
			return sameText(sub, v, element.Object.Get(sub))
		}
	}
	return listed.Equal(element)
}

// onePrimary clears "primary" of the other values where the step from old to
// values made one primary (RFC 7644 section 3.5.2). Values have the indexes
// that they have in old, and the new ones follow. They are changed in place.
func (p *patcher) onePrimary(a *schema.Attribute, old, values []schema.Value) error {
	primary := a.Lookup("primary")
	if primary == nil || primary.Type != schema.Boolean {
		return nil
	}
	isPrimary := func(v schema.Value) bool { return v.Object.Get(primary).Text == "true" }
	chosen := -1
	for i, v := range values {
		switch {
		case !isPrimary(v) || i < len(old) && isPrimary(old[i]):
		case chosen < 0:
			chosen = i
		case !p.decoder.Use(schema.OnePrimary):
			return refusal("invalidValue", a, "has more than one primary value")
		}
	}
	for i, v := range values {
		if chosen >= 0 && i != chosen && isPrimary(v) {
			values[i] = with(v, primary, schema.Value{Kind: schema.Literal, Text: "false"})
		}
	}
	return nil
}
