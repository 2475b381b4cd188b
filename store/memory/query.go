package memory

import (
	"cmp"
	"slices"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/window"
)

// Query implements store.ResourceReader.
func (r reader) Query(q store.Query) (store.Page, error) {
	if q.Filter == nil && q.Sort == nil {
		if list := r.list(q.Types); list != nil {
			return r.slice(list, q), nil
		}
	}
	c, err := r.candidates(q)
	if err != nil {
		return store.Page{}, err
	}
	if q.Sort != nil {
		return r.sorted(&q, c)
	}
	return r.scan(&q, c)
}

// list returns the resources of some types in order of position, or nil when
// there is no list of just those.
func (s *scope) list(types []string) *ordered[uint32] {
	switch len(types) {
	case 0:
		return s.everything
	case 1:
		if list := s.byType[types[0]]; list != nil {
			return list
		}
		return &ordered[uint32]{}
	}
	return nil
}

// slice returns a page of everything in a list.
func (r reader) slice(list *ordered[uint32], q store.Query) store.Page {
	page := store.Page{}
	if !q.NoTotal {
		page.Total = list.size()
	}
	skip, end := max(q.Offset, 0), list.size()
	switch {
	case q.From == nil && q.After > 0:
		skip += r.rank(list, q.After+1)
	case q.From != nil && q.Backward:
		end = r.rank(list, q.From.Position())
		skip = max(0, end-q.Limit)
	case q.From != nil:
		skip = r.rank(list, q.From.Position()+1)
	}
	size := min(q.Limit, end-skip)
	if size <= 0 {
		return page
	}
	w := window.New(&q)
	w.Resources = make([]*store.Resource, 0, size)
	for n := range list.from(list.nth(skip)) {
		w.Add(r.load(n, q.With, q.MaxMembers()))
		if size--; size == 0 || w.Full() {
			break
		}
	}
	page.Resources, page.Cut = w.Resources, w.Cut
	return page
}

// rank returns how many resources of a list have a position less than one.
func (r reader) rank(list *ordered[uint32], position int64) int {
	at, _ := list.search(r.byPosition(position))
	return list.rank(at)
}

// candidates are the nodes that may match a query, in order of position: those
// found by index, or else a list of which only some types count.
type candidates struct {
	scope   *scope
	found   []uint32
	list    *ordered[uint32]
	types   []string // nil: all
	decided bool     // they all match
}

// each calls yield with the candidates until it returns false.
func (c *candidates) each(yield func(uint32) bool) {
	for _, n := range c.found {
		if !yield(n) {
			return
		}
	}
	if c.list == nil {
		return
	}
	for _, chunk := range c.list.chunks {
		for _, n := range chunk {
			if c.types != nil && !slices.Contains(c.types, c.scope.nodes.at(n).resource.Type) {
				continue
			}
			if !yield(n) {
				return
			}
		}
	}
}

// matches reports whether a candidate matches.
func (c *candidates) matches(q *store.Query, n uint32) (bool, error) {
	if c.decided {
		return true, nil
	}
	return store.Match(q.Filter, c.scope.nodes.at(n).resource, reader{c.scope})
}

// candidates finds the candidates of a query.
func (r reader) candidates(q store.Query) (*candidates, error) {
	c := &candidates{scope: r.scope, decided: q.Filter == nil}
	if q.Filter != nil {
		if terms, ok := store.Narrow(q.Filter); ok {
			c.found, c.decided = r.find(terms, q.Types), store.NarrowIsExact(q.Filter)
			return c, nil
		}
		if limit := limitOr(q.ScanRows); r.count(q.Types) > limit {
			return nil, &store.ScanError{Limit: limit}
		}
	}
	if c.list = r.list(q.Types); c.list == nil {
		c.list, c.types = r.everything, q.Types
	}
	return c, nil
}

func limitOr(limit int) int {
	if limit == 0 {
		return store.DefaultScanRows
	}
	return limit
}

// count returns how many resources of some types there are.
func (s *scope) count(types []string) int {
	if len(types) == 0 {
		return s.everything.size()
	}
	total := 0
	for i, typ := range types {
		if !slices.Contains(types[:i], typ) {
			total += s.byType[typ].size()
		}
	}
	return total
}

// find returns the nodes of some types that index terms find, in order of
// position.
func (r reader) find(terms []store.Term, types []string) []uint32 {
	var found []uint32
	for _, term := range terms {
		if term.Kind == store.ByKey {
			found = r.holders(found, term.Attribute, term.Value)
			continue
		}
		n, ok := r.lookup("", term.Value)
		if !ok {
			continue
		}
		switch term.Kind {
		case store.ByID:
			found = append(found, n)
		case store.ByGroup:
			for e := range r.nodes.at(n).members.all() {
				found = append(found, e.node)
			}
		case store.ByMember:
			for _, e := range r.nodes.at(n).groups {
				found = append(found, e.node)
			}
		}
	}
	if len(types) > 0 {
		found = slices.DeleteFunc(found, func(n uint32) bool { return !slices.Contains(types, r.nodes.at(n).resource.Type) })
	}
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b uint32) int {
		return cmp.Compare(r.nodes.at(a).resource.Position, r.nodes.at(b).resource.Position)
	})
	return slices.Compact(found)
}

// scan returns a page of the candidates that match.
func (r reader) scan(q *store.Query, c *candidates) (store.Page, error) {
	w, total, skip := window.New(q), 0, q.Offset
	if q.From != nil {
		skip = 0
	}
	for n := range c.each {
		if q.NoTotal && w.Full() {
			break
		}
		outside := outsidePage(q, r.nodes.at(n).resource.Position)
		if outside && q.NoTotal {
			continue
		}
		ok, err := c.matches(q, n)
		if err != nil {
			return store.Page{}, err
		}
		if !ok {
			continue
		}
		total++
		switch {
		case outside:
		case skip > 0:
			skip--
		case !w.Full():
			w.Add(r.load(n, q.With, q.MaxMembers()))
		}
	}
	if q.NoTotal {
		total = 0
	}
	return store.Page{Resources: w.Resources, Total: total, Cut: w.Cut}, nil
}

// outsidePage reports whether a position is on the wrong side of where the page
// of a query without Sort starts or ends.
func outsidePage(q *store.Query, position int64) bool {
	switch {
	case q.From == nil:
		return position <= q.After
	case q.Backward:
		return position >= q.From.Position()
	}
	return position <= q.From.Position()
}

// sorted returns a page of the candidates that match in the order of q.Sort.
func (r reader) sorted(q *store.Query, c *candidates) (store.Page, error) {
	type row struct {
		key  store.SortKey
		node uint32
	}
	var rows []row
	for n := range c.each {
		ok, err := c.matches(q, n)
		if err != nil {
			return store.Page{}, err
		}
		if ok {
			rows = append(rows, row{q.Sort.Key(r.nodes.at(n).resource), n})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return q.Sort.Compare(a.key, b.key) })

	page := store.Page{}
	if !q.NoTotal {
		page.Total = len(rows)
	}
	if q.From == nil {
		rows = rows[min(max(q.Offset, 0), len(rows)):]
	} else {
		at, found := slices.BinarySearchFunc(rows, *q.From, func(a row, from store.SortKey) int { return q.Sort.Compare(a.key, from) })
		switch {
		case q.Backward:
			rows = rows[max(0, at-max(q.Limit, 0)):at]
		case found:
			rows = rows[at+1:]
		default:
			rows = rows[at:]
		}
	}
	w := window.New(q)
	for _, row := range rows[:min(max(q.Limit, 0), len(rows))] {
		if w.Full() {
			break
		}
		w.Add(r.load(row.node, q.With, q.MaxMembers()))
	}
	page.Resources, page.Cut = w.Resources, w.Cut
	return page, nil
}
