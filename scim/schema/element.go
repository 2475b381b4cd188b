package schema

import (
	"slices"

	"github.com/scimjit/provision/internal/naming"
)

// Elements is the elements of one multi-valued attribute, found by what they
// are. RFC 7643 section 2.4 knows an element by its "type" and "value": the same
// pair is there once. Where an attribute has no "value", as addresses have none,
// all that an element says is what it is, but for "primary" and "display"; a
// simple element is itself.
//
// POST, PUT, PATCH and the sources of a sync all put elements together here.
//
// Once there are many, they are found by an index, of which each change keeps as
// much right as it touches: many changes of many elements cost no product.
type Elements struct {
	// List is the elements, in order. A place of which the element was removed is
	// unassigned. Only the methods change it.
	List []Value

	attribute *Attribute
	index     map[string]int // by identity, once there are many
	bySub     []subIndex     // see With
}

// fewElements is up to how many elements are compared one by one.
const fewElements = 16

// Elements returns the elements in a list, which it changes in place and goes on
// with.
func (a *Attribute) Elements(list []Value) *Elements {
	return &Elements{List: list, attribute: a}
}

// Find returns the place of the element that is the same as v, or -1.
func (e *Elements) Find(v Value) int {
	if len(e.List) <= fewElements {
		return slices.IndexFunc(e.List, func(w Value) bool { return e.attribute.same(v, w) })
	}
	if e.index == nil {
		e.index = make(map[string]int, len(e.List))
		for i, w := range e.List {
			if w.Kind == Unassigned {
				continue
			}
			if key := e.attribute.identity(w); !e.has(key) {
				e.index[key] = i
			}
		}
	}
	if i, ok := e.index[e.attribute.identity(v)]; ok {
		return i
	}
	return -1
}

func (e *Elements) has(key string) bool {
	_, ok := e.index[key]
	return ok
}

// Append adds an element at the end, which is none of those in the list.
func (e *Elements) Append(v Value) {
	e.List = append(e.List, Value{})
	e.place(len(e.List)-1, v)
}

// Remove removes the element in a place. The others keep their places.
func (e *Elements) Remove(i int) {
	if e.index != nil {
		if key := e.attribute.identity(e.List[i]); e.index[key] == i {
			delete(e.index, key)
		}
	}
	e.List[i] = Value{}
}

// Put puts an element into a place that is empty. If another element is the same,
// the two become one as in [Attribute.Merge], and the other place is empty. Put
// returns the place of the element.
func (e *Elements) Put(i int, v Value) int {
	same := e.Find(v)
	if same >= 0 {
		w := e.List[same]
		e.Remove(same)
		if same < i {
			i, v, w = same, w, v
		}
		v = e.attribute.overlaid(v, w)
	}
	e.place(i, v)
	return i
}

// place puts an element that is none of those in the list into an empty place.
func (e *Elements) place(i int, v Value) {
	e.List[i] = v
	if e.index != nil {
		e.index[e.attribute.identity(v)] = i
	}
	for n := range e.bySub {
		e.bySub[n].add(i, v)
	}
}

// Merge puts elements that are the same together, in the place of the first: what
// a later one says counts, but one that was primary stays it. The elements of the
// list are not changed in place; the list is.
func (a *Attribute) Merge(list []Value) []Value {
	if len(list) < 2 {
		return list
	}
	return a.Merged(list).List
}

// Merged is [Attribute.Merge], to go on with.
func (a *Attribute) Merged(list []Value) *Elements {
	merged := a.Elements(list[:0:len(list)])
	for _, v := range list {
		i := merged.Find(v)
		if i < 0 {
			merged.Append(v)
			continue
		}
		merged.List[i] = a.overlaid(merged.List[i], v)
	}
	return merged
}

// overlaid returns an element with what another says of the same.
func (a *Attribute) overlaid(v, w Value) Value {
	if v.Kind != ObjectValue || v.Equal(w) {
		return v
	}
	o := slices.Clone(v.Object)
	for _, f := range w.Object {
		if f.Attribute == a.primary && o.Get(f.Attribute).Text == "true" {
			continue
		}
		o.Set(f.Attribute, f.Value)
	}
	return Value{Kind: ObjectValue, Object: o}
}

// Named returns what a value in a list of elements to remove means, to be compared
// with [Attribute.Names]: all elements with its "value", and of its "type" where it
// says one; the elements that say the same where it has no value.
func (a *Attribute) Named(v Value) string {
	if a.value == nil || v.Object.Get(a.value).Kind == Unassigned {
		return a.identity(v)
	}
	for _, f := range v.Object {
		if f.Attribute != a.value && a.identifies(f.Attribute) {
			return a.identity(v)
		}
	}
	return a.byValue(v)
}

// Names returns the names that an element goes by; see [Attribute.Named].
func (a *Attribute) Names(v Value) []string {
	if a.value == nil || v.Object.Get(a.value).Kind == Unassigned {
		return []string{a.identity(v)}
	}
	return []string{a.identity(v), a.byValue(v)}
}

func (a *Attribute) byValue(v Value) string {
	w := v.Object.Get(a.value)
	w.Text = a.value.foldedText(w.Text)
	return "=" + string(w.AppendJSON(nil))
}

// Hollow reports whether an element says no more than what kind of value it would
// have been: nothing but its type and primary. It is no element.
func (a *Attribute) Hollow(v Value) bool {
	return v.Kind == ObjectValue && a.MultiValued && hollow(v.Object) &&
		slices.ContainsFunc(a.Sub, func(sub *Attribute) bool { return !sub.label() })
}

// hollow reports whether an object has nothing but labels.
func hollow(o Object) bool {
	for i := range o {
		if !o[i].Attribute.label() {
			return false
		}
	}
	return true
}

// label reports whether a sub-attribute says of which kind a value is, and not
// what it is.
func (a *Attribute) label() bool { return a.Name == "type" || a.Name == "primary" }

// identifies reports whether a sub-attribute is a part of what an element of a is.
func (a *Attribute) identifies(sub *Attribute) bool {
	if a.value != nil {
		return sub == a.value || sub.Name == "type"
	}
	return sub.Name != "primary" && sub.Name != "display"
}

// same reports whether two elements are the same. It agrees with identity.
func (a *Attribute) same(v, w Value) bool {
	if v.Kind != ObjectValue || w.Kind != ObjectValue {
		return v.Kind == w.Kind && a.sameText(v.Text, w.Text)
	}
	if a.value != nil && (v.Object.Get(a.value).Kind == Unassigned || w.Object.Get(a.value).Kind == Unassigned) {
		return v.Equal(w)
	}
	for _, sub := range a.Sub {
		if !a.identifies(sub) {
			continue
		}
		x, y := v.Object.Get(sub), w.Object.Get(sub)
		if x.Kind != y.Kind || !sub.sameText(x.Text, y.Text) || !slices.EqualFunc(x.Array, y.Array, Value.Equal) {
			return false
		}
	}
	return true
}

// identity returns a text that is equal for the elements that are the same.
func (a *Attribute) identity(v Value) string {
	if v.Kind != ObjectValue {
		return string(rune('0'+v.Kind)) + a.foldedText(v.Text)
	}
	if a.value != nil && v.Object.Get(a.value).Kind == Unassigned {
		return string(v.AppendJSON(nil))
	}
	var key []byte
	for _, sub := range a.Sub {
		if !a.identifies(sub) {
			continue
		}
		w := v.Object.Get(sub)
		w.Text = sub.foldedText(w.Text)
		key = w.AppendJSON(append(key, byte('0'+w.Kind)))
	}
	return string(key)
}

// sameText reports whether two texts are the same value of a simple attribute, by its
// case rule.
func (a *Attribute) sameText(v, w string) bool {
	return v == w || a.Type == String && !a.CaseExact && naming.Match(v, w)
}

func (a *Attribute) foldedText(text string) string {
	if a.Type == String && !a.CaseExact {
		return naming.Form(text)
	}
	return text
}
