package schema

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the kind of a [Value].
type Kind uint8

// The kinds of values. The zero Value is unassigned: RFC 7643 section 2.5 makes
// null, an absent attribute and an empty array the same.
const (
	Unassigned  Kind = iota
	Text             // a string, also for dateTime, binary and reference
	Literal          // a number or boolean: Text is its JSON literal
	ObjectValue      // a complex value
	ArrayValue       // a multi-valued attribute
)

// Value is the value of one attribute in a decoded document.
type Value struct {
	Kind   Kind
	Text   string
	Object Object
	Array  []Value
}

// Field is an attribute with its value.
type Field struct {
	Attribute *Attribute
	Value     Value
}

// Object is a complex value or a whole document: its assigned attributes in
// ascending order of [Attribute.Order], each once.
type Object []Field

// Get returns the value of an attribute, unassigned when it has none. The
// attribute is one of those directly in the object, not of a nested one.
func (o Object) Get(a *Attribute) Value {
	for i := range o {
		if o[i].Attribute == a {
			return o[i].Value
		}
	}
	return Value{}
}

// Set gives an attribute a value, keeping the order. An unassigned value
// deletes it. The attribute is one of those directly in the object.
func (o *Object) Set(a *Attribute, v Value) {
	i := 0
	for i < len(*o) && (*o)[i].Attribute.Order < a.Order {
		i++
	}
	found := i < len(*o) && (*o)[i].Attribute == a
	switch {
	case v.Kind == Unassigned && found:
		*o = slices.Delete(*o, i, i+1)
	case v.Kind == Unassigned:
	case found:
		(*o)[i].Value = v
	default:
		*o = slices.Insert(*o, i, Field{a, v})
	}
}

// AppendJSON appends the canonical JSON form: schema order, no white space, the
// schema's spelling of names, no unassigned values.
func (o Object) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	comma := false
	for i := range o {
		if o[i].Value.Kind == Unassigned {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(dst, o[i].Attribute.member...)
		dst = o[i].Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendJSON appends the canonical JSON form of a value; an unassigned one is
// null. Strings are escaped as little as JSON allows, so that text comes back
// byte for byte; bytes that are not UTF-8 become U+FFFD.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case Text:
		return appendString(dst, v.Text)
	case Literal:
		return append(dst, v.Text...)
	case ObjectValue:
		return v.Object.AppendJSON(dst)
	case ArrayValue:
		dst = append(dst, '[')
		for i := range v.Array {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.Array[i].AppendJSON(dst)
		}
		return append(dst, ']')
	default:
		return append(dst, "null"...)
	}
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			// The error says that s is not UTF-8; the result is usable.
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// Equal reports whether two values are the same: same kinds, texts and
// literals, in the same order.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind {
		return false
	}
	switch v.Kind {
	case Text, Literal:
		return v.Text == w.Text
	case ObjectValue:
		return v.Object.Equal(w.Object)
	case ArrayValue:
		return slices.EqualFunc(v.Array, w.Array, Value.Equal)
	default:
		return true
	}
}

// Equal reports whether two objects have equal values of the same attributes.
func (o Object) Equal(p Object) bool {
	return slices.EqualFunc(o, p, func(f, g Field) bool {
		return f.Attribute == g.Attribute && f.Value.Equal(g.Value)
	})
}

// Clone returns a copy that shares no slices with v.
func (v Value) Clone() Value {
	v.Object = v.Object.Clone()
	v.Array = slices.Clone(v.Array)
	for i := range v.Array {
		v.Array[i] = v.Array[i].Clone()
	}
	return v
}

// Clone returns a copy that shares no slices with o.
func (o Object) Clone() Object {
	o = slices.Clone(o)
	for i := range o {
		o[i].Value = o[i].Value.Clone()
	}
	return o
}

// IsEmpty reports whether v means "unassigned" in any of the disguises that
// identity providers use: unassigned, "", blank text, or an array or object in
// which everything is empty.
func (v Value) IsEmpty() bool {
	switch v.Kind {
	case Text:
		return strings.TrimSpace(v.Text) == ""
	case Literal:
		return false
	case ObjectValue:
		return !slices.ContainsFunc(v.Object, func(f Field) bool { return !f.Value.IsEmpty() })
	case ArrayValue:
		return !slices.ContainsFunc(v.Array, func(w Value) bool { return !w.IsEmpty() })
	default:
		return true
	}
}
