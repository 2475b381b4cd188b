package patch

import (
	"cmp"
	"slices"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// list is the elements of a multi-valued attribute while the operations of a request
// change them. It is opened once for all operations: each costs what it touches, and
// not the whole list again.
type list struct {
	attribute *schema.Attribute
	elements  *schema.Elements
	changed   bool
	primaries []int // the places of elements that are, or were, primary
}

// edit is a change of one element of a list.
type edit struct {
	place    int
	old, new schema.Value // old is unassigned for one that is added, new for one that is removed
}

func newList(a *schema.Attribute, old schema.Value) *list {
	l := &list{attribute: a, elements: a.Merged(slices.Clone(old.Array))}
	for i, v := range l.elements.List {
		l.notePrimary(i, v)
	}
	return l
}

// open returns the list of an attribute that is in no multi-valued one.
func (p *patcher) open(a *schema.Attribute) (*list, error) {
	for _, l := range p.lists {
		if l.attribute == a {
			return l, nil
		}
	}
	old := p.get(a)
	if err := p.look(len(old.Array)); err != nil {
		return nil, err
	}
	l := newList(a, old)
	p.lists = append(p.lists, l)
	return l, nil
}

// close writes lists into the document: that of an attribute and those below it, all
// for nil.
func (p *patcher) close(a *schema.Attribute) error {
	kept := p.lists[:0]
	for _, l := range p.lists {
		if a != nil && !within(l.attribute, a) {
			kept = append(kept, l)
			continue
		}
		if !l.changed {
			continue
		}
		if err := p.set(l.attribute, p.get(l.attribute), l.value()); err != nil {
			return err
		}
	}
	p.lists = kept
	return nil
}

// within reports whether an attribute is another one or below it.
func within(a, outer *schema.Attribute) bool {
	for ; a != nil; a = a.Parent {
		if a == outer {
			return true
		}
	}
	return false
}

// settle ends an operation on a list. What may be refused by what is in the document
// is written at once.
func (p *patcher) settle(l *list) error {
	for a := l.attribute; a != p.resource.Root; a = a.Parent {
		if a.Required || a.Mutability == schema.Immutable {
			return p.close(l.attribute)
		}
	}
	return nil
}

// value returns the list as the value of its attribute.
func (l *list) value() schema.Value {
	return arrayValue(slices.DeleteFunc(slices.Clone(l.elements.List), func(v schema.Value) bool { return v.Kind == schema.Unassigned }))
}

// apply makes edits of different elements, as far as they change any. Elements that
// become the same are one.
func (l *list) apply(edits []edit) {
	unchanged := func(e edit) bool {
		l.notePrimary(e.place, e.new)
		return e.new.Equal(l.elements.List[e.place])
	}
	edits = slices.DeleteFunc(edits, unchanged)
	l.changed = l.changed || len(edits) > 0
	for _, e := range edits {
		l.elements.Remove(e.place)
	}
	edits = slices.DeleteFunc(edits, func(e edit) bool { return e.new.Kind == schema.Unassigned })
	// What becomes the same as another element meets it in the order of their places.
	for n := range edits {
		if i := l.elements.Find(edits[n].new); i >= 0 {
			edits = append(edits, edit{place: i, new: l.elements.List[i]})
			l.elements.Remove(i)
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.place, b.place) })
	for _, e := range edits {
		at := l.elements.Put(e.place, e.new)
		l.notePrimary(at, l.elements.List[at])
	}
}

// notePrimary remembers where primary elements are.
func (l *list) notePrimary(i int, v schema.Value) {
	if !l.isPrimary(v) {
		return
	}
	if at, found := slices.BinarySearch(l.primaries, i); !found {
		l.primaries = slices.Insert(l.primaries, at, i)
	}
}

// primary returns the sub-attribute that says which element is the primary one, or
// nil.
func (l *list) primary() *schema.Attribute {
	if a := l.attribute.Lookup("primary"); a != nil && a.Type == schema.Boolean {
		return a
	}
	return nil
}

func (l *list) isPrimary(v schema.Value) bool {
	a := l.primary()
	return a != nil && v.Object.Get(a).Text == "true"
}

// selected returns the places of the elements that a selection has, in order.
func (p *patcher) selected(l *list, s selection) (found []int, err error) {
	check := func(i int) error {
		v := l.elements.List[i]
		if v.Kind == schema.Unassigned {
			return nil
		}
		ok, err := p.matches(s, v)
		if ok {
			found = append(found, i)
		}
		return err
	}
	candidates, narrowed, err := p.narrow(l, s.filter)
	if err != nil {
		return nil, err
	}
	if narrowed {
		for _, i := range candidates {
			if err := check(i); err != nil {
				return nil, err
			}
		}
		slices.Sort(found)
		return slices.Compact(found), nil
	}
	for i := range l.elements.List {
		if err := check(i); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// fewElements is up to how many elements no index is worth its making.
const fewElements = 16

// narrow returns the places of the elements that a value filter may select, by its
// comparisons with eq and as [schema.Elements.With] does, or reports that it says
// nothing of them.
func (p *patcher) narrow(l *list, f store.Filter) (places []int, ok bool, err error) {
	if len(l.elements.List) <= fewElements {
		return nil, false, nil
	}
	switch f := f.(type) {
	case store.Compare:
		sub := l.compared(f)
		if sub == nil {
			return nil, false, nil
		}
		if !l.elements.Indexed(sub) {
			if err := p.look(len(l.elements.List)); err != nil {
				return nil, false, err
			}
		}
		return l.elements.With(sub, f.Value), true, nil
	case store.And:
		for _, operand := range f {
			some, narrowed, err := p.narrow(l, operand)
			if err != nil {
				return nil, false, err
			}
			if narrowed && (!ok || len(some) < len(places)) {
				places, ok = some, true
			}
		}
		return places, ok, nil
	case store.Or:
		for _, operand := range f {
			some, narrowed, err := p.narrow(l, operand)
			if err != nil || !narrowed {
				return nil, false, err
			}
			places = append(slices.Clip(places), some...)
		}
		return places, true, nil
	}
	return nil, false, nil
}

// compared returns what a comparison compares, if elements are found by it, or nil.
func (l *list) compared(c store.Compare) *schema.Attribute {
	if c.Op != store.EQ || len(c.Path.Keys) > 1 {
		return nil
	}
	sub := l.attribute
	if len(c.Path.Keys) == 1 {
		sub = sub.Lookup(c.Path.Keys[0])
	}
	if sub == nil || !sub.Indexable() {
		return nil
	}
	return sub
}
