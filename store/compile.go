package store

import (
	"slices"

	"github.com/scimjit/provision/internal/naming"
)

// Compile makes a filter ready for many resources. It costs about what matching
// one resource costs.
func Compile(f Filter) *Matcher {
	m := &Matcher{}
	m.compile(f, ofResource)
	return m
}

// CompileElement makes a filter ready for many complex values.
func CompileElement(f Filter) *ElementMatcher {
	m := &ElementMatcher{}
	m.matcher.compile(f, ofElement)
	return m
}

func (m *Matcher) compile(f Filter, paths subject) {
	m.level.root = branch{place: noPlace, children: m.room.children[:0]}
	m.level.places, m.level.columns = m.room.places[:0], m.room.columns[:0]
	m.buffer = m.room.buffer[:0]
	compiler{matcher: m, level: &m.level, paths: paths}.compile(f, &m.root)
	m.kept = len(m.buffer)
	m.top.open(&m.level, &m.room)
}

// subject is what the paths of a filter are relative to.
type subject uint8

const (
	ofResource subject = iota
	ofMeta             // the attribute meta of a resource, which is in no document
	ofElement
)

// level is what a filter asks of one kind of document: of a resource, or of the
// elements at a path.
type level struct {
	root     branch
	branches int // how many there are but the root
	places   []place
	columns  []column
}

// branch is a key of a document that terms ask for, or that leads to one.
type branch struct {
	key      string
	number   int
	place    int // index in level.places, or noPlace
	children []*branch
	byKey    map[string]*branch // where there are many children
}

const (
	noPlace = -1

	// fewChildren are found by comparing.
	fewChildren = 8
)

// place is a path of which terms ask the values.
type place struct {
	under    *branch  // the attribute of the document that it is in; nil for the document itself
	own      ownField // or the field of the resource
	elements *level   // what terms ask of the values, where they are objects
}

// column is the values at a place in the form in which they are compared.
type column struct {
	place int
	form  form
}

// form is how a value is compared.
type form uint8

const (
	asText form = iota // decoded
	asName             // decoded, in the form by which names match
	asKey              // decoded, in the form by which names clash
	asNumber
	asInstant
)

// child returns the branch of a key, or nil.
func (b *branch) child(key []byte) *branch {
	if b.byKey != nil {
		return b.byKey[string(key)]
	}
	for _, child := range b.children {
		if child.key == string(key) {
			return child
		}
	}
	return nil
}

// grow returns the branch of a key below another one, a new one where there is none.
func (c compiler) grow(b *branch, key string) *branch {
	if child := b.child([]byte(key)); child != nil {
		return child
	}
	child := &c.matcher.room.branch
	if b != &c.matcher.level.root || len(b.children) > 0 {
		child = &branch{} // the first one of all has the room
	}
	*child = branch{key: key, number: c.level.branches, place: noPlace}
	c.level.branches++
	b.children = append(b.children, child)
	switch {
	case b.byKey != nil:
		b.byKey[key] = child
	case len(b.children) > fewChildren:
		b.byKey = make(map[string]*branch, 2*len(b.children))
		for _, other := range b.children {
			b.byKey[other.key] = other
		}
	}
	return child
}

// placeOf returns the index of the place of a path.
func (c compiler) placeOf(keys []string) int {
	b, under := &c.level.root, (*branch)(nil)
	for i, key := range keys {
		if b = c.grow(b, key); i == 0 {
			under = b
		}
	}
	if b.place == noPlace {
		b.place = len(c.level.places)
		c.level.places = append(c.level.places, place{under: under})
	}
	return b.place
}

// ownPlaceOf returns the index of the place of a field of the resource.
func (l *level) ownPlaceOf(own ownField) int {
	i := slices.IndexFunc(l.places, func(p place) bool { return p.own == own })
	if i < 0 {
		i = len(l.places)
		l.places = append(l.places, place{own: own})
	}
	return i
}

// columnOf returns the index of a column.
func (l *level) columnOf(c column) int {
	i := slices.Index(l.columns, c)
	if i < 0 {
		i = len(l.columns)
		l.columns = append(l.columns, c)
	}
	return i
}

// compiler compiles the filters whose paths are relative to one subject.
type compiler struct {
	matcher *Matcher
	level   *level
	paths   subject
}

// constant returns a text that is kept, in the form by which names match or as it
// is.
func (c compiler) constant(text string, as form) []byte {
	m := c.matcher
	start := len(m.buffer)
	if as == asName && !isForm(text) {
		m.buffer = append(m.buffer, naming.Form(text)...)
	} else {
		m.buffer = append(m.buffer, text...)
	}
	return m.buffer[start:len(m.buffer):len(m.buffer)]
}

// compile writes a filter to a term.
func (c compiler) compile(f Filter, t *term) {
	switch f := f.(type) {
	case nil:
		t.kind = always
	case And:
		c.group(allOf, f, t)
	case Or:
		c.group(anyOf, f, t)
	case Not:
		t.kind, t.children = not, make([]term, 1)
		c.compile(f.Filter, &t.children[0])
	case Compare:
		c.compare(&f, t)
	case In:
		c.in(&f, t)
	case Present:
		c.present(f.Path.Keys, t)
	case Any:
		c.any(&f, t)
	case MemberOf:
		if c.paths == ofResource {
			t.kind, t.name = isMemberOf, f.Group
		}
	case HasMember:
		if c.paths == ofResource {
			t.kind, t.name = hasMember, f.Member
		}
	}
}

func (c compiler) group(kind termKind, filters []Filter, t *term) {
	t.kind, t.children = kind, make([]term, len(filters))
	for i, f := range filters {
		c.compile(f, &t.children[i])
	}
}

// own returns the field of the resource that a path reads.
func (c compiler) own(keys []string) ownField {
	switch c.paths {
	case ofResource:
		return ownOf(keys)
	case ofMeta:
		return ownOfMeta(keys)
	case ofElement:
	}
	return ownNone
}

func (c compiler) compare(f *Compare, t *term) {
	if f.Op == NE {
		equal := *f
		equal.Op = EQ
		t.kind, t.children = not, make([]term, 1)
		c.compare(&equal, &t.children[0])
		return
	}
	own := c.own(f.Path.Keys)
	if own == ownNone && c.paths == ofMeta {
		return
	}
	t.op, t.own = f.Op, own
	switch f.Path.Type {
	case String:
		t.kind, t.text = textCompares, c.constant(f.Value, asName)
		t.column = c.column(f.Path.Keys, own, asName)
	case Exact:
		t.kind, t.text = textCompares, c.constant(f.Value, asText)
		t.column = c.column(f.Path.Keys, own, asText)
	case Number:
		if want, ok := parseNumber(f.Value); ok && own == ownNone {
			t.kind, t.number = numberCompares, &want
			t.column = c.column(f.Path.Keys, own, asNumber)
		}
	case Boolean:
		if f.Op == EQ && own == ownNone {
			t.kind, t.name, t.place = booleanEquals, f.Value, c.placeOf(f.Path.Keys)
		}
	case DateTime:
		want, ok := parseInstant(f.Value)
		switch {
		case !ok:
		case own != ownNone:
			t.kind, t.instant = ownInstantCompares, want
		default:
			t.kind, t.instant = instantCompares, want
			t.column = c.column(f.Path.Keys, own, asInstant)
		}
	}
}

// column returns the index of the column of a path, or of a field of the resource.
func (c compiler) column(keys []string, own ownField, as form) int {
	if own != ownNone {
		return c.level.columnOf(column{c.level.ownPlaceOf(own), as})
	}
	return c.level.columnOf(column{c.placeOf(keys), as})
}

// in compiles an In, which reads documents alone.
func (c compiler) in(f *In, t *term) {
	if c.paths == ofMeta {
		return
	}
	t.keys = f.Keys
	switch f.Path.Type {
	case String:
		t.kind, t.column = keyIn, c.column(f.Path.Keys, ownNone, asKey)
	case Exact:
		t.kind, t.column = keyIn, c.column(f.Path.Keys, ownNone, asText)
	case Number, Boolean, DateTime:
	}
}

func (c compiler) present(keys []string, t *term) {
	own := c.own(keys)
	switch {
	case c.paths == ofResource && isMeta(keys):
		t.kind = always
	case own != ownNone:
		t.kind, t.own = ownIsPresent, own
	case c.paths != ofMeta:
		t.kind, t.place = isPresent, c.placeOf(keys)
	}
}

func isMeta(keys []string) bool { return len(keys) == 1 && keys[0] == "meta" }

func (c compiler) any(f *Any, t *term) {
	switch {
	case c.paths == ofMeta:
		return
	case c.paths == ofResource && isMeta(f.Path.Keys):
		compiler{matcher: c.matcher, level: c.level, paths: ofMeta}.compile(f.Filter, t)
		return
	}
	t.kind, t.place, t.children = elementMatches, c.placeOf(f.Path.Keys), make([]term, 1)
	elements := c.level.places[t.place].elements
	if elements == nil {
		elements = &level{root: branch{place: noPlace}}
		c.level.places[t.place].elements = elements
	}
	compiler{matcher: c.matcher, level: elements, paths: ofElement}.compile(f.Filter, &t.children[0])
}
