package store

// MaxKey is how many bytes the value of an index key may have. PostgreSQL allows about
// 2,700 bytes in an entry of an index. A longer value has no key.
const MaxKey = 1024

// Index is an attribute whose values are kept as index keys.
type Index struct {
	Type      string // of the resources, such as "User"
	Attribute string // Key.Attribute, such as "emails.value"
	Path      Path   // where its values are; of type String, Exact or Number
}

// Name returns what an index is called beside those of other types.
func (x Index) Name() string { return x.Type + ":" + x.Attribute }

// Keys appends to list the keys that a document has by x, each once. None is unique.
func (x Index) Keys(list []Key, d Document) []Key {
	start := len(list)
	for v := range d.Values(x.Path.Keys...) {
		key := Key{Attribute: x.Attribute}
		switch {
		case x.Path.Type == Number && !v.isText():
			if _, ok := parseNumber(string(v)); ok {
				key.Value = string(v)
			}
		case x.Path.Type == Exact && v.isText():
			key.Value = v.Text()
		case x.Path.Type == String && v.isText():
			key.Value = NameKey(v.Text())
		}
		if key.Value == "" || len(key.Value) > MaxKey || hasKey(list[start:], key) {
			continue
		}
		list = append(list, key)
	}
	return list
}

func hasKey(list []Key, key Key) bool {
	for _, k := range list {
		if k.Value == key.Value {
			return true
		}
	}
	return false
}

// IndexesOf returns the names of the index attributes by which [Narrow] may narrow a
// filter, each as often as it is there.
func IndexesOf(f Filter) []string {
	var list []string
	mapKeys(f, func(attribute string) bool {
		list = append(list, attribute)
		return true
	})
	return list
}

// WithoutIndexes returns a filter that means the same and is narrowed only by those index
// attributes that are kept.
func WithoutIndexes(f Filter, keep func(attribute string) bool) Filter { return mapKeys(f, keep) }

func mapKeys(f Filter, keep func(string) bool) Filter {
	switch f := f.(type) {
	case Compare:
		if f.Key != "" && !keep(f.Key) {
			f.Key, f.Folded = "", ""
		}
		return f
	case In:
		if f.Key != "" && !keep(f.Key) {
			f.Key = ""
		}
		return f
	case And:
		out := make(And, len(f))
		for i, child := range f {
			out[i] = mapKeys(child, keep)
		}
		return out
	case Or:
		out := make(Or, len(f))
		for i, child := range f {
			out[i] = mapKeys(child, keep)
		}
		return out
	case Not:
		return Not{mapKeys(f.Filter, keep)}
	case Any:
		return Any{f.Path, mapKeys(f.Filter, keep)}
	}
	return f
}
