package store

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Document is the attributes of a resource as one canonical JSON object: UTF-8,
// no white space outside strings, no duplicate keys, no null, no empty arrays
// or objects. Whoever writes a resource guarantees that form; reading an
// invalid document gives no values rather than an error.
//
// Its methods scan the bytes and decode nothing that is not asked for. They
// allow white space; on bytes that are not JSON they end early, and they never
// panic. What they return shares the memory of the document.
type Document []byte

// Raw is one value inside a document, as its JSON text without white space
// around it.
type Raw []byte

// Fields returns the attributes of d in the order of the document. A switch on
// string(key) does not allocate:
//
//	for key, value := range doc.Fields() {
//		switch string(key) {
//		case "userName":
//			userName = value.Text()
//		case "emails":
//			for email := range value.Elements() {
//				...
//			}
//		}
//	}
func (d Document) Fields() iter.Seq2[[]byte, Raw] {
	return func(yield func([]byte, Raw) bool) {
		c := open(d, '{')
		for {
			key, value, ok := c.field()
			if !ok || !yield(key, value) {
				return
			}
		}
	}
}

// Get returns the first value at a path, which is the keys from the outside in.
// Arrays on the way are descended into; the value at the last key is returned
// whole, also when it is an array.
func (d Document) Get(keys ...string) (Raw, bool) { return get(Raw(d), keys) }

// Values returns all values at a path. Arrays on the way and at its end are
// descended into, one level each: SCIM has no arrays of arrays.
func (d Document) Values(keys ...string) iter.Seq[Raw] {
	return func(yield func(Raw) bool) { walk(Raw(d), keys, yield) }
}

// Text returns the decoded text of a JSON string, and "" for any other value.
func (r Raw) Text() string { return string(r.text()) }

// Bool reports whether r is the literal true.
func (r Raw) Bool() bool { return string(r) == "true" }

// Elements returns the elements of an array, and of any other value that value
// alone, so that single and multi-valued attributes read the same.
func (r Raw) Elements() iter.Seq[Raw] {
	return func(yield func(Raw) bool) { walk(r, nil, yield) }
}

// Document returns r as a document, so that the sub-attributes of a complex
// value can be read. One that is not a JSON object has no fields.
func (r Raw) Document() Document { return Document(r) }

// Present reports whether r holds anything: null, "", an empty array and
// whatever consists of those only do not.
func (r Raw) Present() bool {
	for i := 0; i < len(r); {
		switch r[i] {
		case '"':
			end := skipString(r, i)
			if end < 0 {
				return false
			}
			next := skipSpace(r, end)
			isKey := next < len(r) && r[next] == ':'
			if !isKey && end-i > len(`""`) {
				return true
			}
			i = end
		case '{', '}', '[', ']', ',', ':', ' ', '\t', '\r', '\n':
			i++
		default:
			end := skipLiteral(r, i)
			if string(r[i:end]) != "null" {
				return true
			}
			i = end
		}
	}
	return false
}

// isText reports whether r is a JSON string.
func (r Raw) isText() bool { return len(r) >= 2 && r[0] == '"' }

// text returns the decoded bytes of a JSON string. It copies only where there
// is an escape.
func (r Raw) text() []byte {
	if !r.isText() {
		return nil
	}
	if bytes.IndexByte(r, '\\') < 0 {
		return r[1 : len(r)-1]
	}
	var s string
	if json.Unmarshal(r, &s) != nil {
		return nil
	}
	return []byte(s)
}

// get is Get below a value.
func get(r Raw, keys []string) (Raw, bool) {
	if len(keys) == 0 {
		return r, len(r) > 0
	}
	if c := open(r, '['); c.data != nil {
		for {
			element, ok := c.element()
			if !ok {
				return nil, false
			}
			if value, ok := lookup(element, keys[0]); ok {
				if found, ok := get(value, keys[1:]); ok {
					return found, true
				}
			}
		}
	}
	value, ok := lookup(r, keys[0])
	if !ok {
		return nil, false
	}
	return get(value, keys[1:])
}

// walk calls fn with each value at a path below r until it returns false, and
// reports whether it never did.
func walk(r Raw, keys []string, fn func(Raw) bool) bool {
	c := open(r, '[')
	if c.data == nil {
		return walkOne(r, keys, fn)
	}
	for {
		element, ok := c.element()
		if !ok {
			return true
		}
		if !walkOne(element, keys, fn) {
			return false
		}
	}
}

func walkOne(r Raw, keys []string, fn func(Raw) bool) bool {
	if len(keys) == 0 {
		return len(r) == 0 || fn(r)
	}
	value, ok := lookup(r, keys[0])
	if !ok {
		return true
	}
	return walk(value, keys[1:], fn)
}

// lookup returns the value of a key of an object.
func lookup(object Raw, key string) (Raw, bool) {
	c := open(object, '{')
	for {
		k, value, ok := c.field()
		if !ok {
			return nil, false
		}
		if string(k) == key {
			return value, true
		}
	}
}
