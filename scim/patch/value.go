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
		added, err := p.values(a, raw, p.pathless)
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
	o, owned := old.Object, false
	for _, f := range v.Object {
		was := o.Get(f.Attribute)
		if f.Value.Equal(was) {
			continue
		}
		if err := p.allowed(f.Attribute, was, f.Value); err != nil {
			return old, err
		}
		if !owned {
			o, owned = slices.Clone(o), true
		}
		o.Set(f.Attribute, f.Value)
	}
	return complexValue(o), nil
}

// values decodes values of a multi-valued attribute. One value without an array
// around it will do, unless strict is set.
func (p *patcher) values(a *schema.Attribute, raw []byte, strict bool) ([]schema.Value, error) {
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

// appended returns the values of an attribute with others added.
func (p *patcher) appended(a *schema.Attribute, old schema.Value, added []schema.Value) (schema.Value, error) {
	if err := p.look(len(old.Array)); err != nil {
		return old, err
	}
	l := newList(a, old)
	if err := p.addTo(l, added); err != nil || !l.changed {
		return old, err
	}
	return l.value(), nil
}

// add is addTo as an operation of its own.
func (p *patcher) add(l *list, added []schema.Value) error {
	if err := p.addTo(l, added); err != nil {
		return err
	}
	return p.settle(l)
}

// addTo adds values to a list: merged into those that are the same (see
// [schema.Elements]), or behind them.
func (p *patcher) addTo(l *list, added []schema.Value) error {
	if err := p.look(len(added)); err != nil {
		return err
	}
	var edits []edit // of what is merged, and of what may have to stop being primary
	edited := map[int]int{}
	first := len(l.elements.List) // of those that are new
	record := func(e edit) {
		edited[e.place], edits = len(edits), append(edits, e)
	}
	for _, v := range added {
		i := l.elements.Find(v)
		if i < 0 {
			i = len(l.elements.List)
			l.elements.Append(v)
			if l.changed = true; l.isPrimary(v) {
				record(edit{place: i, new: v})
			}
			continue
		}
		n, again := edited[i]
		e := edit{place: i, new: l.elements.List[i]}
		if again {
			e = edits[n]
		} else if i < first {
			e.old = e.new
		}
		if v.Kind == schema.ObjectValue {
			var err error
			if e.new, err = p.overlaid(e.new, v); err != nil {
				return err
			}
		}
		switch {
		case again:
			edits[n] = e
		case l.isPrimary(e.new) || !e.new.Equal(l.elements.List[i]):
			record(e)
		}
	}
	edits, err := p.onePrimary(l, edits)
	if err != nil {
		return err
	}
	l.apply(edits)
	return nil
}

// removed returns what is left of an attribute. The RFC gives a value no
// meaning here (section 3.5.2.2); identity providers list what to remove.
func (p *patcher) removed(a *schema.Attribute, old schema.Value, raw []byte) (schema.Value, error) {
	if !a.MultiValued || !p.listed(raw) {
		return schema.Value{}, nil
	}
	list, err := p.values(a, raw, false)
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
// before, so that the same request again changes nothing, else the first. It
// returns the edits of the operation with what that changes.
func (p *patcher) onePrimary(l *list, edits []edit) ([]edit, error) {
	primary := l.primary()
	if primary == nil {
		return edits, nil
	}
	chosen, kept, several := -1, false, false
	for n := range edits {
		was := l.isPrimary(edits[n].old)
		switch {
		case !l.isPrimary(edits[n].new):
		case chosen < 0:
			chosen, kept = n, was
		case was && !kept:
			chosen, kept, several = n, true, true
		default:
			several = true
		}
	}
	if several && !kept && !p.decoder.Use(schema.OnePrimary) {
		return nil, refusal("invalidValue", schema.CodeSeveralPrimary, l.attribute, "has more than one primary value")
	}
	if chosen < 0 {
		return edits, nil
	}
	for n := range edits {
		e := &edits[n]
		if n == chosen || !l.isPrimary(e.new) {
			continue
		}
		other := notPrimary
		if kept && e.old.Kind != schema.Unassigned && !l.isPrimary(e.old) {
			other = e.old.Object.Get(primary) // as it was
		}
		e.new = with(e.new, primary, other)
	}
	return append(edits, l.deposed(edits, edits[chosen].place)...), nil
}

// notPrimary is what an element that was primary says when another one is.
var notPrimary = schema.Value{Kind: schema.Literal, Text: "false"}

// deposed returns the edits of primary elements that are none any more, as another
// one is: of those that are not edited already.
func (l *list) deposed(edits []edit, chosen int) (others []edit) {
	for _, i := range l.primaries {
		v := l.elements.List[i]
		if i == chosen || !l.isPrimary(v) || slices.ContainsFunc(edits, func(e edit) bool { return e.place == i }) {
			continue
		}
		others = append(others, edit{place: i, old: v, new: with(v, l.primary(), notPrimary)})
	}
	l.primaries = append(l.primaries[:0], chosen)
	return others
}
