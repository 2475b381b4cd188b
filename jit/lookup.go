package jit

import (
	"iter"

	"github.com/scimjit/provision/policy"
)

// lookup finds attributes by name. The values of attributes with the same name
// are one list, in the order of the assertion.
type lookup struct {
	byName, byFriendlyName, byFoldedName map[string]found
}

// found is what the attributes of one name hold.
type found struct {
	values    []string
	malformed bool // some value is no text
}

func newLookup(attributes []Attribute) *lookup {
	l := &lookup{byName: map[string]found{}, byFriendlyName: map[string]found{}, byFoldedName: map[string]found{}}
	for _, a := range attributes {
		collect(l.byName, a.Name, a)
		collect(l.byFriendlyName, a.FriendlyName, a)
		collect(l.byFoldedName, policy.Fold(a.Name), a)
	}
	return l
}

// collect makes the attribute present even if it has no values.
func collect(to map[string]found, name string, a Attribute) {
	f := to[name]
	to[name] = found{values: append(f.values, a.Values...), malformed: f.malformed || a.Malformed > 0}
}

// all yields the attributes that are present of a list of names, with the name
// of the list: first those whose Name it is, then the others.
func (l *lookup) all(names []string) iter.Seq2[string, found] {
	return func(yield func(string, found) bool) {
		for _, by := range []map[string]found{l.byName, l.byFriendlyName} {
			for _, name := range names {
				if f, ok := by[name]; ok && !yield(name, f) {
					return
				}
			}
		}
		for _, name := range names {
			if f, ok := l.byFoldedName[policy.Fold(name)]; ok && !yield(name, f) {
				return
			}
		}
	}
}

// has reports whether any of the attributes is present.
func (l *lookup) has(names []string) bool {
	for range l.all(names) {
		return true
	}
	return false
}

// text returns the value of a field, or "" where no attribute has one.
func (l *lookup) text(f field, names []string) (string, error) {
	for name, found := range l.all(names) {
		if found.malformed {
			return "", &AttributeError{Field: f.name, Attribute: name, Problem: NotText}
		}
		text, err := oneText(f, name, found.values)
		if err != nil || text != "" {
			return text, err
		}
	}
	return "", nil
}

// oneText chooses among the values of one attribute.
func oneText(f field, attribute string, values []string) (string, error) {
	chosen := ""
	for _, value := range values {
		text, wrong := f.clean(value)
		if wrong != (fault{}) {
			return "", wrong.in(f.name, attribute)
		}
		switch {
		case text == "", f.fits != nil && !f.fits(text):
		case f.same == nil:
			return text, nil
		case chosen == "":
			chosen = text
		case !f.same(chosen, text):
			return "", &AttributeError{Field: f.name, Attribute: attribute, Problem: Ambiguous}
		}
	}
	return chosen, nil
}
