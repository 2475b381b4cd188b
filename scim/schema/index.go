package schema

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/store"
)

// index marks the attributes that are kept as index keys.
func (c *compiler) index(t *ResourceType, def *Definition) {
	named := func(name string) *Attribute {
		a := t.named(name)
		if a == nil {
			c.errorf("index attribute %q is unknown", name)
		}
		return a
	}
	for _, name := range def.Unique {
		if a := named(name); a != nil {
			unique(a)
		}
	}
	for _, name := range def.Index {
		if a := named(name); a != nil {
			a.Indexed = true
		}
	}
	t.Root.walk(func(a *Attribute) {
		a.Indexed = a.Indexed || a.Uniqueness != None && a.Kept == InDocument
		if !a.Indexed {
			return
		}
		t.indexed = append(t.indexed, a)
		// Equal numbers, times and booleans have several spellings, equal keys
		// have one.
		if a.Kept != InDocument || a.Type != String && a.Type != Reference && a.Type != Integer {
			c.errorf("%s is a %s attribute that cannot be indexed or unique", a, a.Type)
		}
	})
}

// walk calls fn for each attribute below a, in schema order.
func (a *Attribute) walk(fn func(*Attribute)) {
	for _, sub := range a.Sub {
		fn(sub)
		sub.walk(fn)
	}
}

// named finds an attribute by its notation, such as "emails.value", with or
// without the URN of its schema.
func (t *ResourceType) named(notation string) *Attribute {
	urn := t.prefix(notation)
	if urn != "" {
		notation = notation[len(urn)+1:]
	}
	name, sub, _ := strings.Cut(notation, ".")
	return t.Resolve(urn, name, sub, true)
}

// prefix returns the schema URN that a notation begins with, or "".
func (t *ResourceType) prefix(notation string) string {
	longest := ""
	try := func(urn string) {
		n := len(urn)
		if n > len(longest) && len(notation) > n && notation[n] == ':' && sameName(notation[:n], urn) {
			longest = urn
		}
	}
	try(t.Schema)
	for _, ext := range t.Extensions {
		try(ext.Name)
	}
	return longest
}

// Indexed returns the attributes that are kept as index keys, in the order of the
// schemas. A filter that compares one of them by eq costs no scan.
func (t *ResourceType) Indexed() []*Attribute { return slices.Clone(t.indexed) }

// Indexes returns what Indexed does of all types, in the order of their definition: what
// an engine is told of them. See provision.Engine.Indexes.
func (s *Set) Indexes() []store.Index {
	var list []store.Index
	for _, t := range s.types {
		for _, a := range t.indexed {
			list = append(list, store.Index{Type: t.Name, Attribute: a.notation, Path: a.path})
		}
	}
	return list
}

// Keys returns the index entries of a document: the value of every indexed
// attribute, folded where the attribute ignores case, each once. The name of an
// entry is what [Attribute.String] returns; it is unique where the attribute is.
// The entries share no memory with the document. None is left out for its
// length: see [MaxIndexed].
func (t *ResourceType) Keys(o Object) []store.Key {
	keys := keySet{list: make([]store.Key, 0, len(t.indexed)+2)}
	for _, a := range t.indexed {
		keys.add(a, Value{Kind: ObjectValue, Object: o}, 0)
	}
	keys.own()
	return keys.list
}

// keySet is keys, each once. Many are found by a map.
type keySet struct {
	list []store.Key
	seen map[store.Key]bool
}

func (s *keySet) has(key store.Key) bool {
	if len(s.list) <= fewElements {
		return slices.Contains(s.list, key)
	}
	if s.seen == nil {
		s.seen = make(map[store.Key]bool)
		for _, k := range s.list {
			s.seen[k] = true
		}
	}
	return s.seen[key]
}

// add adds the keys of attribute a, of which v is the value at the given depth of
// its path.
func (s *keySet) add(a *Attribute, v Value, depth int) {
	switch v.Kind {
	case ArrayValue:
		for i := range v.Array {
			s.add(a, v.Array[i], depth)
		}
	case ObjectValue:
		if depth == len(a.path.Keys) {
			return
		}
		name := a.path.Keys[depth]
		for i := range v.Object {
			if v.Object[i].Attribute.Name == name {
				s.add(a, v.Object[i].Value, depth+1)
				return
			}
		}
	case Text, Literal:
		key := store.Key{Attribute: a.notation, Value: a.Key(v.Text), Unique: a.Uniqueness != None}
		if key.Value == "" || s.has(key) {
			return
		}
		s.list = append(s.list, key)
		if s.seen != nil {
			s.seen[key] = true
		}
	}
}

// own gives the keys values of their own, in one piece of memory.
func (s *keySet) own() {
	size := 0
	for i := range s.list {
		size += len(s.list[i].Value)
	}
	var values strings.Builder
	values.Grow(size)
	for i := range s.list {
		values.WriteString(s.list[i].Value)
	}
	texts := values.String()
	for i := range s.list {
		n := len(s.list[i].Value)
		s.list[i].Value, texts = texts[:n], texts[n:]
	}
}
