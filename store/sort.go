package store

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/naming"
)

// SortKey is what one resource is ordered by, and so a place in an order. It
// holds no memory of the resource, so that a store can order many without
// keeping their documents. Its JSON form reads back as the same key.
type SortKey struct {
	present  bool
	text     string
	instant  time.Time
	position int64
}

// keyJSON is the JSON form of a SortKey.
type keyJSON struct {
	Position int64      `json:"p"`
	Present  bool       `json:"v,omitempty"`
	Text     string     `json:"t,omitempty"`
	Instant  *time.Time `json:"i,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (k SortKey) MarshalJSON() ([]byte, error) {
	out := keyJSON{Position: k.position, Present: k.present, Text: k.text}
	if !k.instant.IsZero() {
		out.Instant = &k.instant
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (k *SortKey) UnmarshalJSON(data []byte) error {
	var in keyJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*k = SortKey{position: in.Position, present: in.Present, text: in.Text}
	if in.Instant != nil {
		k.instant = *in.Instant
	}
	return nil
}

// Position returns the Position of the resource that k is the key of.
func (k SortKey) Position() int64 { return k.position }

// Key returns the sort key of r. A nil Sort orders by Position alone. A multi-valued attribute is ordered by the
// value of its primary element, or else by its first value (RFC 7644 section
// 3.4.2.3). A value that is not of the type of the path counts as absent.
func (s *Sort) Key(r *Resource) SortKey {
	key := SortKey{position: r.Position}
	if s == nil {
		return key
	}
	own := ownOf(s.Path.Keys)
	text, instant := r.own(own)
	switch {
	case own != ownNone && s.Path.Type == DateTime:
		key.instant, key.present = instant, !instant.IsZero()
	case own != ownNone:
		key.setText(s.Path.Type, text)
	default:
		if v, ok := leading(Raw(r.Document), s.Path.Keys); ok {
			key.set(s.Path.Type, v)
		}
	}
	return key
}

// Compare orders two keys of the same Sort: negative when a comes before b.
// Resources without a value come last when ascending and first when descending
// (RFC 7644 section 3.4.2.3), and equal ones in the order of their Position. It returns 0 only for the same resource.
func (s *Sort) Compare(a, b SortKey) int {
	order := 0
	switch {
	case s == nil:
	case a.present != b.present:
		order = 1
		if a.present {
			order = -1
		}
	case !a.present:
	case s.Path.Type == DateTime:
		order = a.instant.Compare(b.instant)
	case s.Path.Type == Number:
		x, _ := parseNumber(a.text)
		y, _ := parseNumber(b.text)
		order = x.compare(y)
	default:
		order = strings.Compare(a.text, b.text)
	}
	if order == 0 {
		return cmp.Compare(a.position, b.position)
	}
	if s.Descending {
		return -order
	}
	return order
}

// set reads a value of a document.
func (k *SortKey) set(t ValueType, v Raw) {
	switch t {
	case String, Exact:
		if v.isText() {
			k.setText(t, v.Text())
		}
	case Number:
		k.text = string(v)
		_, k.present = parseNumber(k.text)
	case Boolean:
		k.text = string(v) // "false" comes before "true"
		k.present = k.text == "false" || k.text == "true"
	case DateTime:
		k.instant, k.present = parseInstant(v.Text())
	}
}

func (k *SortKey) setText(t ValueType, text string) {
	switch t {
	case String:
		k.text, k.present = naming.Form(text), text != ""
	case Exact:
		k.text, k.present = text, text != ""
	}
}

// leading returns the value at a path that stands for all of them: of an array,
// that of the primary element, or else the first there is.
func leading(r Raw, keys []string) (Raw, bool) {
	c := open(r, '[')
	if c.data == nil {
		return leadingOne(r, keys)
	}
	var first Raw
	for {
		element, ok := c.element()
		if !ok {
			return first, first != nil
		}
		v, ok := leadingOne(element, keys)
		if !ok {
			continue
		}
		if primary, _ := lookup(element, "primary"); primary.Bool() {
			return v, true
		}
		if first == nil {
			first = v
		}
	}
}

func leadingOne(r Raw, keys []string) (Raw, bool) {
	if len(keys) == 0 {
		return r, len(r) > 0
	}
	v, ok := lookup(r, keys[0])
	if !ok {
		return nil, false
	}
	return leading(v, keys[1:])
}
