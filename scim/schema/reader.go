package schema

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// reader builds values from JSON text, by the rules of a decoder or, without
// one, as they were stored.
type reader struct {
	scanner
	decoder *Decoder
	fields  arena[Field]
	values  arena[Value]

	// emptied is the complex attribute whose object, read last, had an empty
	// "value".
	emptied *Attribute

	// Of a resource:
	resource *ResourceType
	flat     []Field // from keys that are a schema URN and an attribute
	listed   []*Attribute
	core     bool // the core schema is listed
	strange  bool // something else is listed
}

// readers keeps the stacks of readers between requests.
var readers = sync.Pool{New: func() any { return new(reader) }}

// newReader returns a reader, to be released after use.
func newReader(src string) *reader {
	r := readers.Get().(*reader)
	r.scanner = scanner{src: src, maxDepth: DefaultMaxDepth, maxString: DefaultMaxString}
	// A user has a field for each 25 to 30 bytes and an element for each 150:
	// with the first chunks of these sizes most users need no other.
	r.fields.chunk = min(4+len(src)/25, 72)
	r.values.chunk = min(2+len(src)/150, 16)
	return r
}

func (r *reader) release() {
	*r = reader{fields: r.fields.cleared(), values: r.values.cleared(), listed: r.listed[:0]}
	readers.Put(r)
}

// object reads the object of a complex attribute.
func (r *reader) object(a *Attribute) (Object, error) {
	var seen seen
	base, next, emptied := len(r.fields.stack), 0, false
	more, err := r.enter('}')
	for more && err == nil {
		var name string
		if name, err = r.key(); err != nil {
			return nil, err
		}
		sub := a.lookup(name, next)
		if !seen.add(sub, name) {
			return nil, &Error{Type: "invalidSyntax", Code: CodeDuplicateKey, Attribute: a.notation, Detail: "two keys differ only in case: " + quote(name)}
		}
		before := len(r.fields.stack)
		if sub == nil {
			err = r.unknown(a, name)
		} else {
			next = sub.Order + 1
			err = r.field(sub)
		}
		if err != nil {
			return nil, at(sub, err)
		}
		emptied = emptied || sub != nil && sub == a.value && len(r.fields.stack) == before
		more, err = r.more('}')
	}
	if err != nil {
		return nil, err
	}
	r.emptied = nil
	if emptied {
		r.emptied = a
	}
	return r.inOrder(base), nil
}

// inOrder completes the object whose fields are on the stack from base up.
func (r *reader) inOrder(base int) Object {
	fields := r.fields.stack[base:]
	byOrder := func(f, g Field) int { return cmp.Compare(f.Attribute.Order, g.Attribute.Order) }
	if slices.IsSortedFunc(fields, byOrder) {
		return r.fields.take(base)
	}
	var orders uint64
	for i := range fields {
		order := fields[i].Attribute.Order
		if order >= 64 {
			slices.SortFunc(fields, byOrder)
			return r.fields.take(base)
		}
		orders |= 1 << order
	}
	// Fields are large: each moves once, to the place that the number of
	// attributes before it says.
	items := r.fields.alloc(len(fields))
	for i := range fields {
		before := orders & (1<<fields[i].Attribute.Order - 1)
		items[bits.OnesCount64(before)] = fields[i]
	}
	r.fields.stack = r.fields.stack[:base]
	return items
}

// field reads the value of a known attribute.
func (r *reader) field(a *Attribute) error {
	if r.decoder != nil {
		if r.resource != nil && a == r.resource.schemas {
			return r.schemas()
		}
		// InServer is ReadOnly. A member that has no more than what the server makes
		// is still one, to be refused.
		if a.Kept == Nowhere || a.Mutability == ReadOnly && a.Kept != InMembers {
			return r.skip()
		}
	}
	c := r.peek()
	if a.Type == Complex || a.MultiValued || c == '[' || r.decoder == nil {
		v, err := r.value(a)
		if err == nil && v.Kind != Unassigned {
			r.fields.stack = append(r.fields.stack, Field{a, v})
		}
		return err
	}
	// The same as value, without moving a large Value through several calls.
	kind, text, err := r.scalar(a)
	if err == nil && kind != Unassigned {
		r.fields.stack = append(r.fields.stack, Field{a, Value{Kind: kind, Text: text}})
	}
	return err
}

// value reads the whole value of an attribute.
func (r *reader) value(a *Attribute) (Value, error) {
	c, start := r.peek(), r.pos
	if c == '"' && a.MultiValued {
		if inner, err := r.embedded(a); inner != nil || err != nil {
			return read(inner, err, func() (Value, error) { return inner.value(a) })
		}
	}
	switch {
	case a.MultiValued && c == '[':
		return r.array(a)
	case r.decoder == nil && a.MultiValued:
		return Value{}, r.skip()
	case a.MultiValued:
		v, err := r.single(a)
		if v.Kind == Unassigned && err == nil {
			return v, nil
		}
		if !r.decoder.Use(SingleAsArray) {
			return Value{}, about(a, r.src[start:r.pos], expected(a, "an array", c))
		}
		if a.Kept != InMembers && a.Hollow(v) {
			return Value{}, err
		}
		return Value{Kind: ArrayValue, Array: []Value{v}}, err
	default:
		return r.one(a)
	}
}

// read reads by a reader of its own.
func read(inner *reader, err error, value func() (Value, error)) (Value, error) {
	if err != nil {
		return Value{}, err
	}
	defer inner.release()
	return value()
}

// array reads the elements of a multi-valued attribute.
func (r *reader) array(a *Attribute) (Value, error) {
	// A member is known by its id, which whoever keeps the members sees to.
	identified := r.decoder != nil && a.Kept != InMembers
	base := len(r.values.stack)
	more, err := r.enter(']')
	for i := 0; more && err == nil; i++ {
		var v Value
		if v, err = r.single(a); err != nil {
			return Value{}, inElement(a, i, err)
		}
		if v.Kind != Unassigned && (!identified || !a.Hollow(v)) {
			r.values.stack = append(r.values.stack, v)
		}
		more, err = r.more(']')
	}
	if err != nil || len(r.values.stack) == base {
		return Value{}, err
	}
	elements := r.values.take(base)
	if identified {
		elements = a.Merge(elements)
	}
	if a.primary != nil && r.decoder != nil {
		r.onePrimary(a, elements)
	}
	return Value{Kind: ArrayValue, Array: elements}, nil
}

func (r *reader) onePrimary(a *Attribute, elements []Value) {
	found := false
	for i := range elements {
		if elements[i].Object.Get(a.primary).Text != "true" {
			continue
		}
		if found && r.decoder.Use(OnePrimary) {
			elements[i].Object.Set(a.primary, Value{Kind: Literal, Text: "false"})
		}
		found = true
	}
}

// one reads one value, of which an array may have been made.
func (r *reader) one(a *Attribute) (Value, error) {
	if r.peek() != '[' || r.decoder == nil {
		return r.single(a)
	}
	more, err := r.enter(']')
	if !more || err != nil {
		return Value{}, err
	}
	v, err := r.single(a)
	if err != nil {
		return Value{}, err
	}
	if more, err = r.more(']'); err != nil {
		return Value{}, err
	}
	if more {
		return Value{}, invalidValue(a, CodeSeveralValues, "expected one value, got several")
	}
	if v.Kind == Unassigned || a.Type == Boolean && r.decoder.Use(TextBooleans) || r.decoder.Use(SingleAsArray) {
		return v, nil
	}
	return Value{}, expected(a, a.expects(), '[')
}

// single reads one value, or one element of a multi-valued attribute.
func (r *reader) single(a *Attribute) (Value, error) {
	c := r.peek()
	switch {
	case r.decoder == nil && (c == '[' || c == '{' != (a.Type == Complex)):
		return Value{}, r.skip() // the schema has changed
	case a.Type != Complex:
		kind, text, err := r.scalar(a)
		return Value{Kind: kind, Text: text}, err
	case c == '{':
		return r.complex(a)
	case c == 'n':
		return Value{}, r.skip()
	default:
		return r.bare(a)
	}
}

func (r *reader) complex(a *Attribute) (Value, error) {
	o, err := r.object(a)
	if err != nil || len(o) == 0 || r.emptied == a && hollow(o) && r.tolerates(EmptyAsAbsent) {
		return Value{}, err
	}
	return Value{Kind: ObjectValue, Object: o}, nil
}

// tolerates is [Decoder.Use], false for a stored document.
func (r *reader) tolerates(t Tolerance) bool {
	return r.decoder != nil && r.decoder.Use(t)
}

// bare reads a simple value in the place of a complex one.
func (r *reader) bare(a *Attribute) (Value, error) {
	c := r.peek()
	if c == '[' {
		return Value{}, expected(a, a.expects(), c)
	}
	if c == '"' {
		if inner, err := r.embedded(a); inner != nil || err != nil {
			return read(inner, err, func() (Value, error) { return inner.one(a) })
		}
	}
	start := r.pos
	if a.value == nil {
		switch {
		case c != '"':
			_ = r.skip() // to know what it is
		case r.blank() && r.decoder.Use(EmptyAsAbsent):
			return Value{}, nil
		}
		return Value{}, about(a, r.src[start:r.pos], expected(a, a.expects(), c))
	}
	kind, text, err := r.scalar(a.value)
	if kind == Unassigned && err == nil {
		return Value{}, nil
	}
	if !r.decoder.Use(BareComplex) {
		return Value{}, about(a, r.src[start:r.pos], expected(a, a.expects(), c))
	}
	return Value{Kind: ObjectValue, Object: Object{{a.value, Value{Kind: kind, Text: text}}}}, err
}

// blank reads a string and reports whether it is blank.
func (r *reader) blank() bool {
	text, err := r.text()
	return err == nil && strings.TrimSpace(text) == ""
}
