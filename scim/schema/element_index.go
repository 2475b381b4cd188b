package schema

// subIndex finds elements by one sub-attribute.
type subIndex struct {
	sub *Attribute

	// places has the places of the elements by the form of what the sub-attribute
	// says. Elements that say something else meanwhile may still be there.
	places map[string][]int
}

// Indexable reports whether [Elements.With] finds elements by a sub-attribute, or by
// themselves where they are simple. Equal numbers and times have several spellings.
func (a *Attribute) Indexable() bool {
	switch a.Type {
	case String, Reference, Binary, Boolean:
		return true
	}
	return false
}

// Indexed reports whether there is an index by a sub-attribute. The first With makes
// it, which looks at all elements.
func (e *Elements) Indexed(sub *Attribute) bool { return e.by(sub) != nil }

func (e *Elements) by(sub *Attribute) *subIndex {
	for i := range e.bySub {
		if e.bySub[i].sub == sub {
			return &e.bySub[i]
		}
	}
	return nil
}

// With returns the places of all elements of which a sub-attribute is a text, by its
// case rule. For a boolean it is "true" or "false", and for simple elements the
// sub-attribute is the attribute itself. The places are in no order, may be there
// twice, and elements that once were among them may still be: the caller looks at
// each. They are valid until the next change.
func (e *Elements) With(sub *Attribute, text string) []int {
	x := e.by(sub)
	if x == nil {
		e.bySub = append(e.bySub, subIndex{sub: sub, places: make(map[string][]int, len(e.List))})
		x = &e.bySub[len(e.bySub)-1]
		for i, v := range e.List {
			x.add(i, v)
		}
	}
	return x.places[sub.foldedText(text)]
}

// add adds what an element says.
func (x *subIndex) add(i int, v Value) {
	if v.Kind == ObjectValue {
		v = v.Object.Get(x.sub)
	}
	switch v.Kind {
	case Text, Literal:
		x.addText(i, v.Text)
	case ArrayValue:
		for _, w := range v.Array {
			x.addText(i, w.Text)
		}
	}
}

func (x *subIndex) addText(i int, text string) {
	form := x.sub.foldedText(text)
	if places := x.places[form]; len(places) == 0 || places[len(places)-1] != i {
		x.places[form] = append(places, i)
	}
}
