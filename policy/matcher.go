package policy

// matcher matches a group against all patterns of all lists at once. Patterns
// without wildcards cost one look-up however many there are.
type matcher struct {
	lists []Patterns
	names map[string][]place // by folded name
	ids   map[string][]place // by exact id
	wild  []wildcard
}

// place is where a pattern stands: which list, and which pattern of it.
type place struct{ list, index int32 }

// grants reports whether the list grants a right.
func (p place) grants() bool {
	return p.list == groupAdminList || p.list >= siteAdminList && p.list != passwordList
}

// wildcard is a pattern with wildcards. What stands before the first and after
// the last wildcard is compared first, which settles nearly all names.
type wildcard struct {
	place
	head, tail  string
	middle      string // from the first wildcard to the last
	least       int    // the shortest name that can match has so many bytes
	run         bool   // middle is one *, which matches whatever remains
	first, last byte   // of head and tail, or 0
}

func newMatcher(lists []Patterns) matcher {
	m := matcher{lists: lists, names: map[string][]place{}, ids: map[string][]place{}}
	for list, patterns := range lists {
		for index, text := range patterns {
			p, _ := compilePattern(text) // checked before
			at := place{int32(list), int32(index)}
			switch {
			case p.id != "":
				m.ids[p.id] = append(m.ids[p.id], at)
			case p.wild:
				m.wild = append(m.wild, newWildcard(p.name, at))
			default:
				m.names[p.name] = append(m.names[p.name], at)
			}
		}
	}
	return m
}

func newWildcard(name string, at place) wildcard {
	first, last, single := -1, 0, 0
	for i := range len(name) {
		if name[i] < anyRun {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		if name[i] == anyOne {
			single++
		}
	}
	w := wildcard{place: at, head: name[:first], middle: name[first : last+1], tail: name[last+1:]}
	w.least = len(w.head) + len(w.tail) + single
	w.run = len(w.middle) == 1 && single == 0
	if w.head != "" {
		w.first = w.head[0]
	}
	if w.tail != "" {
		w.last = w.tail[len(w.tail)-1]
	}
	return w
}

// match reports whether w matches a folded name.
func (w *wildcard) match(name []byte) bool {
	if len(name) < w.least || string(name[:len(w.head)]) != w.head {
		return false
	}
	end := len(name) - len(w.tail)
	if string(name[end:]) != w.tail {
		return false
	}
	return w.run || matchName(w.middle, name[len(w.head):end])
}

// hits collects what matched the groups of one person. Arrays hold it for all
// but the largest inputs, so that it stays off the heap.
type hits struct {
	anySpace [24]hit
	ownSpace [64]groupHit
	anyMore  []hit
	ownMore  []groupHit
	count    int // how many hits there are

	lapsed   bool // the group that is being matched grants no right
	withheld bool // a lapsed group would have granted one
}

// grow makes room for the given numbers of lists and groups.
func (h *hits) grow(lists, groups int) {
	if n := lists - len(h.anySpace); n > 0 {
		h.anyMore = make([]hit, n)
	}
	if n := groups - len(h.ownSpace); n > 0 {
		h.ownMore = make([]groupHit, n)
	}
}

// any returns the first group that matched a list.
func (h *hits) any(list int) *hit {
	if list < len(h.anySpace) {
		return &h.anySpace[list]
	}
	return &h.anyMore[list-len(h.anySpace)]
}

// own returns which of the lists that are asked group by group matched group i.
func (h *hits) own(i int) *groupHit {
	if i < len(h.ownSpace) {
		return &h.ownSpace[i]
	}
	return &h.ownMore[i-len(h.ownSpace)]
}

// hit is a group and the first pattern that it matched, both counted from 1.
type hit struct{ group, pattern int32 }

// groupHit holds the first pattern that a group matched, counted from 1, of each
// list that is asked group by group.
type groupHit [groupLists]int32

// match adds to h what group number i matches.
func (m *matcher) match(g *Group, i int, h *hits) {
	var space [128]byte
	name := appendLower(space[:0], g.Name)
	h.lapsed = g.Lapsed
	h.add(m.names[string(name)], i)
	if len(m.ids) > 0 {
		if !g.ByName {
			h.add(m.ids[g.ID], i)
		}
		if g.ExternalID != "" {
			h.add(m.ids[g.ExternalID], i)
		}
	}
	var first, last byte
	if len(name) > 0 {
		first, last = name[0], name[len(name)-1]
	}
	for n := range m.wild {
		w := &m.wild[n]
		if w.first != 0 && w.first != first || w.last != 0 && w.last != last {
			continue // spares most calls
		}
		if w.match(name) {
			h.addPlace(w.place, i)
		}
	}
}

func (h *hits) add(places []place, i int) {
	for _, at := range places {
		h.addPlace(at, i)
	}
}

func (h *hits) addPlace(at place, i int) {
	if h.lapsed && at.grants() {
		h.withheld = true
		return
	}
	group, pattern := int32(i+1), at.index+1
	if at.list < groupLists {
		own := &h.own(i)[at.list]
		if *own == 0 {
			h.count++
		}
		if *own == 0 || pattern < *own {
			*own = pattern
		}
		return
	}
	switch first := h.any(int(at.list)); {
	case first.group == 0:
		h.count++
		*first = hit{group, pattern}
	case first.group == group && pattern < first.pattern:
		first.pattern = pattern
	}
}
