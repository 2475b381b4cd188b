package store

import (
	"bytes"
	"time"
)

// Relations answers the membership terms of a filter. A [Reader] is one.
type Relations interface {
	IsMember(group, member string) (bool, error)
}

// Match reports whether r matches f. It defines what a filter means, for every
// store. A nil filter matches everything, and nil relations hold no
// memberships. The error is one that rel returned. Whoever matches several
// resources calls [Compile] once.
//
// A value in the document that is not of the type that the path asks for never
// compares as true, and so does an operator that its type does not have: CO, SW
// and EW belong to text, the order operators to text, numbers and instants.
// The path {"meta", "version"} reads as the text that an entity tag has, such
// as W/"3".
func Match(f Filter, r *Resource, rel Relations) (bool, error) { return Compile(f).Match(r, rel) }

// MatchElement reports whether a complex value, given as canonical JSON,
// matches f. Membership terms and paths of the resource's own fields match
// nothing. Whoever matches several calls [CompileElement] once.
func MatchElement(f Filter, element Document) bool { return CompileElement(f).Match(element) }

// Matcher is a filter that is ready for many resources. Terms share what they
// read of a resource: its document is passed over at most once, up to the last
// attribute that the terms need, and each value is decoded and normalized at most
// once however many terms compare it. Make one with [Compile]. It is used by one
// goroutine at a time, and keeps the memory of the resource it saw last.
type Matcher struct {
	root      term
	level     level
	top       reading
	room      room
	resource  *Resource
	relations Relations
	buffer    []byte // room for texts, first those of the filter
	kept      int    // how much of buffer the filter has
	serial    uint64 // of the reading that began last
	work      work
}

// work counts what matching did, for tests.
type work struct {
	documents int // objects passed over: documents, and elements that Any looks into
	values    int // decoded or normalized
}

// Match reports whether r matches the filter, as [Match] does.
func (m *Matcher) Match(r *Resource, rel Relations) (bool, error) {
	m.resource, m.relations = r, rel
	m.begin(&m.top, r.Document)
	return m.match(&m.root, &m.top)
}

// ElementMatcher is a filter that is ready for many complex values: see [Matcher].
// Make one with [CompileElement].
type ElementMatcher struct{ matcher Matcher }

// Match reports whether a complex value matches the filter, as [MatchElement] does.
func (m *ElementMatcher) Match(element Document) bool {
	m.matcher.begin(&m.matcher.top, element)
	ok, _ := m.matcher.match(&m.matcher.root, &m.matcher.top) // only relations can fail
	return ok
}

// termKind says how a term is decided.
type termKind uint8

const (
	never termKind = iota
	always
	allOf
	anyOf
	not
	textCompares
	numberCompares
	booleanEquals
	instantCompares
	ownInstantCompares
	keyIn
	isPresent
	ownIsPresent
	elementMatches
	isMemberOf
	hasMember
)

// term is one node of a compiled filter.
type term struct {
	kind     termKind
	op       Operator
	own      ownField
	place    int // index in level.places
	column   int // index in level.columns
	text     []byte
	name     string // a group or member, or the literal of a boolean
	keys     []string
	number   *number
	instant  time.Time
	children []term
}

// match evaluates a term on what is read of a resource or element. And and Or are
// decided by the first filter that can.
func (m *Matcher) match(t *term, r *reading) (bool, error) {
	switch t.kind {
	case always:
		return true, nil
	case allOf, anyOf:
		for i := range t.children {
			ok, err := m.match(&t.children[i], r)
			if err != nil || ok != (t.kind == allOf) {
				return ok, err
			}
		}
		return t.kind == allOf, nil
	case not:
		ok, err := m.match(&t.children[0], r)
		return !ok && err == nil, err
	case isMemberOf:
		if m.relations == nil {
			return false, nil
		}
		return m.relations.IsMember(t.name, m.resource.ID)
	case hasMember:
		if m.relations == nil {
			return false, nil
		}
		return m.relations.IsMember(m.resource.ID, t.name)
	}
	return m.holds(t, r), nil
}

// holds evaluates a term that looks at values alone.
func (m *Matcher) holds(t *term, r *reading) bool {
	switch t.kind {
	case textCompares:
		return m.anyText(r, t.column, func(have []byte) bool { return t.op.holdsText(have, t.text) })
	case keyIn:
		return m.anyText(r, t.column, t.hasKey)
	case numberCompares:
		return m.anyNumber(r, t.column, func(have number) bool { return t.op.holdsOrder(have.compare(*t.number)) })
	case instantCompares:
		return m.anyInstant(r, t.column, func(have time.Time) bool { return t.op.holdsOrder(have.Compare(t.instant)) })
	case booleanEquals:
		for _, v := range m.valuesAt(r, t.place) {
			if (v[0] == 't' || v[0] == 'f') && string(v) == t.name {
				return true
			}
		}
	case ownInstantCompares:
		text, have := m.resource.own(t.own)
		return text == "" && t.op.holdsOrder(have.Compare(t.instant))
	case ownIsPresent:
		text, instant := m.resource.own(t.own)
		return text != "" || !instant.IsZero()
	case isPresent:
		return m.presentAt(r, t.place)
	case elementMatches:
		for i, v := range m.valuesAt(r, t.place) {
			if v[0] != '{' {
				continue
			}
			if ok, _ := m.match(&t.children[0], m.element(r, t.place, i, v)); ok { // only relations can fail
				return true
			}
		}
	}
	return false
}

// hasKey reports whether a text is one of the keys.
func (t *term) hasKey(have []byte) bool {
	low, high := 0, len(t.keys)
	for low < high {
		middle := (low + high) / 2
		if t.keys[middle] < string(have) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(t.keys) && t.keys[low] == string(have)
}

// holdsText reports whether two texts compare, both in the form of their type.
func (o Operator) holdsText(have, want []byte) bool {
	switch o {
	case CO:
		return bytes.Contains(have, want)
	case SW:
		return bytes.HasPrefix(have, want)
	case EW:
		return bytes.HasSuffix(have, want)
	}
	return o.holdsOrder(bytes.Compare(have, want))
}

// holdsOrder reports whether the operator holds for two values of which the
// first is less (-1), equal (0) or greater (+1).
func (o Operator) holdsOrder(order int) bool {
	switch o {
	case EQ:
		return order == 0
	case GT:
		return order > 0
	case GE:
		return order >= 0
	case LT:
		return order < 0
	case LE:
		return order <= 0
	}
	return false
}

// parseInstant reads a dateTime (RFC 7643 section 2.3.5). The time zone of an
// xsd:dateTime is optional; one without it is in UTC.
func parseInstant(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	return t, err == nil
}
