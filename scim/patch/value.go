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
		if sub == nil {
			p.decoder.Ignore(a.String() + "." + string(key))
			continue
		}
		if sub.Mutability == schema.ReadOnly || sub.Kept != schema.InDocument {
			continue
		}
		if slices.Contains(seen, sub) {
			return old, refusal("invalidSyntax", schema.CodeDuplicateKey, sub, "is given twice")
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

// appended returns the values of an attribute with others added: merged into
// those that are the same (see [schema.Elements]), or behind them.
func (p *patcher) appended(a *schema.Attribute, old schema.Value, added []schema.Value) (schema.Value, error) {
	if err := p.look(len(old.Array) + len(added)); err != nil {
		return old, err
	}
	elements := a.Elements(slices.Clone(old.Array))
	var touched []int
	for _, v := range added {
		i := elements.Find(v)
		if i < 0 {
			i = len(elements.List)
			elements.Append(v)
		} else if v.Kind == schema.ObjectValue {
			merged, err := p.overlaid(elements.List[i], v)
			if err != nil {
				return old, err
			}
			elements.List[i] = merged
		}
		touched = append(touched, i)
	}
	if err := p.onePrimary(a, old.Array, elements.List, touched); err != nil {
		return old, err
	}
	return arrayValue(elements.List), nil
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
	if err := p.look(len(list) + len(old.Array)); err != nil {
		return old, err
	}
	gone := make(map[string]bool, len(list))
	for _, v := range list {
		gone[a.Named(v)] = true
	}
	var kept []schema.Value
	for _, v := range old.Array {
		if !slices.ContainsFunc(a.Names(v), func(name string) bool { return gone[name] }) {
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

// onePrimary leaves one primary value where the current operation made one
// (RFC 7644 section 3.5.2), of those that it touched: the first that was primary
// before, so that the same request again changes nothing, else the first. Values
// have the indexes that they have in old, and the new ones follow. They are
// changed in place.
func (p *patcher) onePrimary(a *schema.Attribute, old, values []schema.Value, touched []int) error {
	primary := a.Lookup("primary")
	if primary == nil || primary.Type != schema.Boolean {
		return nil
	}
	isPrimary := func(v schema.Value) bool { return v.Object.Get(primary).Text == "true" }
	chosen, kept, several := -1, false, false
	for _, i := range touched {
		was := i < len(old) && isPrimary(old[i])
		switch {
		case !isPrimary(values[i]) || i == chosen:
		case chosen < 0:
			chosen, kept = i, was
		case was && !kept:
			chosen, kept, several = i, true, true
		default:
			several = true
		}
	}
	if several && !kept && !p.decoder.Use(schema.OnePrimary) {
		return refusal("invalidValue", schema.CodeSeveralPrimary, a, "has more than one primary value")
	}
	for i, v := range values {
		if chosen < 0 || i == chosen || !isPrimary(v) {
			continue
		}
		other := schema.Value{Kind: schema.Literal, Text: "false"}
		if kept && i < len(old) && !isPrimary(old[i]) {
			other = old[i].Object.Get(primary) // as it was
		}
		values[i] = with(v, primary, other)
	}
	return nil
}
