package store

import (
	"time"

	"github.com/scimjit/provision/internal/naming"
)

const (
	// keptElements is how many elements of a value keep what was read of them for
	// the next term. Further ones are read again, so that a value of very many
	// takes no memory for each.
	keptElements = 64

	// keptValues is how many values of a place have room from one document to the
	// next.
	keptValues = 1024
)

// reading is what terms have read of one document so far.
type reading struct {
	level  *level
	serial uint64 // of this beginning
	parent uint64 // the beginning of the document that it is an element of

	// The document is passed over once, as far as somebody asks.
	cursor cursor
	left   int    // attributes that terms ask for and that were not met yet
	object uint64 // the object that was entered last
	first  uint64 // the object that is the document itself
	taken  []uint64
	begun  bool // something was read

	values   [][]Raw // by place
	presence []presence
	columns  []prepared
	elements []elements // by place
}

// presence says whether a place has a value that is present.
type presence uint8

const (
	unknown presence = iota
	absent
	present
)

// prepared is a column as far as it was compared. A value that is of another type
// has a place in it nevertheless.
type prepared struct {
	texts    []preparedText
	numbers  []preparedNumber
	instants []preparedInstant
}

type preparedText struct {
	text []byte
	ok   bool
}

type preparedNumber struct {
	number number
	ok     bool
}

type preparedInstant struct {
	instant time.Time
	ok      bool
}

// elements are the readings of the first values at a place, and one for each
// further value in turn.
type elements struct {
	kept    []*reading
	further *reading
}

// room is memory of a Matcher for filters of few terms, which look-ups have.
type room struct {
	places   [2]place
	columns  [2]column
	branch   branch
	children [2]*branch
	taken    [4]uint64
	values   [2][]Raw
	presence [2]presence
	prepared [2]prepared
	raws     [2][1]Raw
	texts    [2][1]preparedText
	buffer   [96]byte
}

// open makes a reading of documents of a level.
func (r *reading) open(l *level, room *room) {
	r.level = l
	if room == nil || len(l.places) > len(room.places) || len(l.columns) > len(room.columns) || l.branches > len(room.taken) {
		r.taken = make([]uint64, l.branches)
		r.values = make([][]Raw, len(l.places))
		r.presence = make([]presence, len(l.places))
		r.columns = make([]prepared, len(l.columns))
		return
	}
	r.taken, r.values = room.taken[:l.branches], room.values[:len(l.places)]
	r.presence, r.columns = room.presence[:len(l.places)], room.prepared[:len(l.columns)]
	for i := range r.values {
		r.values[i] = room.raws[i][:0]
	}
	for i := range r.columns {
		r.columns[i].texts = room.texts[i][:0]
	}
}

// begin turns to the next document. Nothing of it is read yet.
func (m *Matcher) begin(r *reading, doc Document) {
	m.serial++
	if r == &m.top {
		m.buffer = m.buffer[:m.kept]
	}
	r.serial, r.begun = m.serial, false
	for i := range r.values {
		r.values[i] = reuse(r.values[i])
		r.presence[i] = unknown
	}
	for i := range r.columns {
		c := &r.columns[i]
		c.texts, c.numbers, c.instants = reuse(c.texts), reuse(c.numbers), reuse(c.instants)
	}
	r.cursor, r.left = open(doc, '{'), len(r.level.root.children)
	if r.cursor.data == nil || r.level.root.place != noPlace {
		r.gather(&r.level.root, Raw(doc)) // no object, or asked for as a whole
		r.left = 0
		return
	}
	r.object++
	r.first = r.object
}

// reuse empties a slice, and gives up one that has grown very large.
func reuse[T any](s []T) []T {
	if cap(s) > keptValues {
		return nil
	}
	return s[:0]
}

// valuesAt returns the values at a place, none of them empty.
func (m *Matcher) valuesAt(r *reading, at int) []Raw {
	under := r.level.places[at].under
	if under == nil || r.left == 0 {
		return r.values[at]
	}
	if !r.begun {
		r.begun = true
		m.work.documents++
	}
	for r.left > 0 && r.taken[under.number] != r.first {
		key, value, ok := r.cursor.field()
		if !ok {
			r.left = 0
			break
		}
		b := r.level.root.child(key)
		if b == nil || r.taken[b.number] == r.first {
			continue // of a key that is there twice the first one counts
		}
		r.taken[b.number] = r.first
		r.left--
		r.gather(b, value)
	}
	return r.values[at]
}

// gather takes the values at the places of a branch and below it. Arrays are
// descended into, one level each.
func (r *reading) gather(b *branch, v Raw) {
	c := open(v, '[')
	if c.data == nil {
		r.gatherOne(b, v)
		return
	}
	for {
		element, ok := c.element()
		if !ok {
			return
		}
		r.gatherOne(b, element)
	}
}

func (r *reading) gatherOne(b *branch, v Raw) {
	if b.place != noPlace && len(v) > 0 {
		r.values[b.place] = append(r.values[b.place], v)
	}
	if len(b.children) == 0 {
		return
	}
	r.object++
	object := r.object
	c := open(v, '{')
	for left := len(b.children); left > 0; {
		key, value, ok := c.field()
		if !ok {
			return
		}
		child := b.child(key)
		if child == nil || r.taken[child.number] == object {
			continue
		}
		r.taken[child.number] = object
		left--
		r.gather(child, value)
	}
}

// presentAt reports whether a place has a value that is present.
func (m *Matcher) presentAt(r *reading, at int) bool {
	if r.presence[at] == unknown {
		r.presence[at] = absent
		for _, v := range m.valuesAt(r, at) {
			if v.Present() {
				r.presence[at] = present
				break
			}
		}
	}
	return r.presence[at] == present
}

// element returns the reading of a value at a place.
func (m *Matcher) element(r *reading, at, i int, v Raw) *reading {
	if r.elements == nil {
		r.elements = make([]elements, len(r.level.places))
	}
	e := &r.elements[at]
	if i >= keptElements {
		if e.further == nil {
			e.further = &reading{}
			e.further.open(r.level.places[at].elements, nil)
		}
		m.begin(e.further, v.Document())
		return e.further
	}
	for len(e.kept) <= i {
		next := &reading{}
		next.open(r.level.places[at].elements, nil)
		e.kept = append(e.kept, next)
	}
	if e.kept[i].parent != r.serial {
		m.begin(e.kept[i], v.Document())
		e.kept[i].parent = r.serial
	}
	return e.kept[i]
}

// anyText reports whether holds is true of any text of a column.
func (m *Matcher) anyText(r *reading, at int, holds func([]byte) bool) bool {
	c := r.level.columns[at]
	if r.level.places[c.place].own != ownNone {
		return m.ownText(r, at, holds)
	}
	values, column := m.valuesAt(r, c.place), &r.columns[at]
	for i, v := range values {
		if i == len(column.texts) {
			next := preparedText{ok: v.isText()}
			if next.ok {
				next.text = m.prepare(c.form, v.text())
			}
			column.texts = append(column.texts, next)
		}
		if t := &column.texts[i]; t.ok && holds(t.text) {
			return true
		}
	}
	return false
}

// ownText is anyText for a field of the resource, of which an empty one is none.
func (m *Matcher) ownText(r *reading, at int, holds func([]byte) bool) bool {
	c, column := r.level.columns[at], &r.columns[at]
	if len(column.texts) == 0 {
		text, _ := m.resource.own(r.level.places[c.place].own)
		next := preparedText{ok: text != ""}
		if next.ok {
			start := len(m.buffer)
			m.buffer = append(m.buffer, text...)
			next.text = m.prepare(c.form, m.buffer[start:len(m.buffer):len(m.buffer)])
		}
		column.texts = append(column.texts, next)
	}
	return column.texts[0].ok && holds(column.texts[0].text)
}

// prepare brings a text to a form.
func (m *Matcher) prepare(as form, text []byte) []byte {
	m.work.values++
	switch {
	case as == asName && !isForm(text):
		start := len(m.buffer)
		m.buffer = naming.AppendForm(m.buffer, text)
		return m.buffer[start:len(m.buffer):len(m.buffer)]
	case as == asKey:
		return []byte(naming.Key(string(text)))
	}
	return text
}

// isForm reports whether a text surely has the form by which names match: whether
// it is ASCII without capital letters.
func isForm[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c >= 0x80 || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// anyNumber is anyText for numbers.
func (m *Matcher) anyNumber(r *reading, at int, holds func(number) bool) bool {
	column := &r.columns[at]
	for i, v := range m.valuesAt(r, r.level.columns[at].place) {
		if i == len(column.numbers) {
			m.work.values++
			have, ok := parseNumber(string(v))
			column.numbers = append(column.numbers, preparedNumber{have, ok})
		}
		if n := &column.numbers[i]; n.ok && holds(n.number) {
			return true
		}
	}
	return false
}

// anyInstant is anyText for instants.
func (m *Matcher) anyInstant(r *reading, at int, holds func(time.Time) bool) bool {
	column := &r.columns[at]
	for i, v := range m.valuesAt(r, r.level.columns[at].place) {
		if i == len(column.instants) {
			next := preparedInstant{}
			if v.isText() {
				m.work.values++
				next.instant, next.ok = parseInstant(string(v.text()))
			}
			column.instants = append(column.instants, next)
		}
		if n := &column.instants[i]; n.ok && holds(n.instant) {
			return true
		}
	}
	return false
}
