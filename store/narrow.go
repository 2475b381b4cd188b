package store

// Term is one place in the indexes of a store where candidates of a filter are
// found.
type Term struct {
	Kind TermKind

	// Attribute is the index attribute of a ByKey term (Key.Attribute), and
	// empty otherwise.
	Attribute string

	// Value is what to look up: a resource id (ByID), a folded value
	// (ByKey, Key.Value), the group whose direct members are the candidates
	// (ByGroup), or the member whose direct groups are (ByMember).
	Value string
}

// TermKind says which index a [Term] is for.
type TermKind uint8

// The kinds of terms, from the most selective to the least.
const (
	ByID TermKind = iota + 1
	ByKey
	ByGroup
	ByMember
)

// Narrow finds index terms for a filter. When ok is true, every resource that
// matches f is found by at least one of the terms: the union of what they find
// is a superset of the matches, and no terms at all mean that nothing can
// match. [Match] decides each candidate. When ok is false, nothing narrows f
// and every resource is a candidate.
//
// A term comes from the EQ of an indexed attribute, from each key of an In, from
// the EQ of {"id"}, and from MemberOf and HasMember that name a group or member. An And takes the
// terms of one of its filters: those of the most selective kind, and of these
// the fewest. An Or needs terms for all of its filters. An Any takes the key
// terms of its filter, because an element that has a value means that the
// resource has it. A Not never narrows.
func Narrow(f Filter) (terms []Term, ok bool) { return narrow(f, false) }

// NarrowIsExact reports whether the resources that the terms of [Narrow] find are
// exactly the matches of f, so that a store may count or page them without
// calling [Match]. It is true for a lone id or membership term and for an Or of
// them. Key terms are never exact: an index may hold more than the path that a
// filter names.
func NarrowIsExact(f Filter) bool {
	switch f := f.(type) {
	case Compare, MemberOf, HasMember:
		terms, ok := narrow(f, false)
		return ok && terms[0].Kind != ByKey
	case And:
		return len(f) == 1 && NarrowIsExact(f[0])
	case Or:
		for _, child := range f {
			if !NarrowIsExact(child) {
				return false
			}
		}
		return true
	}
	return false
}

// narrow is Narrow. Inside an Any, paths and terms are those of an element.
func narrow(f Filter, element bool) ([]Term, bool) {
	switch f := f.(type) {
	case Compare:
		return narrowCompare(&f, element)
	case In:
		terms := make([]Term, len(f.Keys))
		for i, key := range f.Keys {
			terms[i] = Term{Kind: ByKey, Attribute: f.Key, Value: key}
		}
		return terms, f.Key != ""
	case MemberOf:
		return []Term{{Kind: ByGroup, Value: f.Group}}, f.Group != "" && !element
	case HasMember:
		return []Term{{Kind: ByMember, Value: f.Member}}, f.Member != "" && !element
	case Any:
		return narrow(f.Filter, true)
	case And:
		return narrowAnd(f, element)
	case Or:
		return narrowOr(f, element)
	}
	return nil, false
}

func narrowCompare(c *Compare, element bool) ([]Term, bool) {
	switch {
	case c.Op != EQ:
	case c.Key != "":
		return []Term{{Kind: ByKey, Attribute: c.Key, Value: c.Folded}}, true
	case !element && len(c.Path.Keys) == 1 && c.Path.Keys[0] == "id" && c.Path.Type == Exact:
		return []Term{{Kind: ByID, Value: c.Value}}, true
	}
	return nil, false
}

func narrowAnd(f And, element bool) (best []Term, found bool) {
	for _, child := range f {
		terms, ok := narrow(child, element)
		if ok && (!found || better(terms, best)) {
			best, found = terms, true
		}
	}
	return best, found
}

func narrowOr(f Or, element bool) ([]Term, bool) {
	var all []Term
	for _, child := range f {
		terms, ok := narrow(child, element)
		if !ok {
			return nil, false
		}
		all = append(all, terms...)
	}
	return all, true
}

// better reports whether a promises fewer candidates than b.
func better(a, b []Term) bool {
	if ka, kb := worstKind(a), worstKind(b); ka != kb {
		return ka < kb
	}
	return len(a) < len(b)
}

func worstKind(terms []Term) TermKind {
	var worst TermKind
	for _, t := range terms {
		worst = max(worst, t.Kind)
	}
	return worst
}
