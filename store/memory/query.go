package memory

import (
	"cmp"
	"iter"
	"slices"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/budget"
	"github.com/scimjit/provision/store/internal/window"
)

// Query implements store.ResourceReader.
func (r reader) Query(q store.Query) (store.Page, error) {
	if q.Filter == nil && q.Sort == nil {
		if list := r.list(q.Types); list != nil {
			return r.slice(list, q), nil
		}
	}
	b := budget.OfQuery(&q)
	c, err := r.candidates(&q, b)
	if err != nil {
		return store.Page{}, err
	}
	return newSelection(&q, b, c, r, r.loadResource).page(c.each)
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
func (c *candidates) each(yield func(*store.Resource) bool) {
	for _, n := range c.found {
		if !yield(c.scope.nodes.at(n).resource) {
			return
		}
	}
	if c.list == nil {
		return
	}
	for _, chunk := range c.list.chunks {
		for _, n := range chunk {
			res := c.scope.nodes.at(n).resource
			if c.types != nil && !slices.Contains(c.types, res.Type) {
				continue
			}
			if !yield(res) {
				return
			}
		}
	}
}

// candidates finds the candidates of a query, as many as there may be.
func (r reader) candidates(q *store.Query, b *budget.Budget) (*candidates, error) {
	c := &candidates{scope: r.scope, decided: q.Filter == nil}
	if q.Filter != nil {
		if terms, ok := store.Narrow(q.Filter); ok {
			var err error
			c.found, err = r.find(terms, q.Types, b)
			c.decided = store.NarrowIsExact(q.Filter)
			return c, err
		}
	}
	if q.Filter != nil || q.Sort != nil {
		if err := b.Admit(r.count(q.Types)); err != nil {
			return nil, err
		}
	}
	if c.list = r.list(q.Types); c.list == nil {
		c.list, c.types = r.everything, q.Types
	}
	return c, nil
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
func (r reader) find(terms []store.Term, types []string, b *budget.Budget) ([]uint32, error) {
	found := budget.NewDistinct[uint32](b)
	for _, term := range terms {
		if err := r.findTerm(term, types, found); err != nil {
			return nil, err
		}
	}
	list, err := found.Sorted()
	if err != nil || len(list) < 2 {
		return list, err
	}
	slices.SortFunc(list, func(a, b uint32) int {
		return cmp.Compare(r.nodes.at(a).resource.Position, r.nodes.at(b).resource.Position)
	})
	return list, nil
}

func (r reader) findTerm(term store.Term, types []string, found *budget.Distinct[uint32]) error {
	add := func(n uint32) error {
		if len(types) > 0 && !slices.Contains(types, r.nodes.at(n).resource.Type) {
			return nil
		}
		return found.Add(n)
	}
	if term.Kind == store.ByKey {
		var buffer few
		for _, n := range r.holders(buffer[:0], term.Attribute, term.Value) {
			if err := add(n); err != nil {
				return err
			}
		}
		return nil
	}
	n, ok := r.lookup("", term.Value)
	if !ok {
		return nil
	}
	switch term.Kind {
	case store.ByID:
		return add(n)
	case store.ByGroup:
		for e := range r.nodes.at(n).members.all() {
			if !r.seen(e) || !r.sources[e.source].Reported() {
				continue
			}
			if err := add(e.node); err != nil {
				return err
			}
		}
	case store.ByMember:
		for _, e := range r.nodes.at(n).groups {
			if !r.seen(e) || !r.sources[e.source].Reported() {
				continue
			}
			if err := add(e.node); err != nil {
				return err
			}
		}
	case store.ByKey:
	}
	return nil
}

// selection makes the page of a query from its candidates. It reads nothing of the
// scope but by its functions, so that it needs no lock.
type selection struct {
	query     *store.Query
	budget    *budget.Budget
	matcher   *store.Matcher // nil: all candidates match
	relations store.Relations
	load      func(*store.Resource, store.Parts, int) (*store.Resource, error)
}

func newSelection(
	q *store.Query, b *budget.Budget, c *candidates,
	relations store.Relations, load func(*store.Resource, store.Parts, int) (*store.Resource, error),
) *selection {
	s := &selection{query: q, budget: b, relations: relations, load: load}
	if !c.decided {
		s.matcher = store.Compile(q.Filter)
	}
	return s
}

// page returns the page of the candidates that match.
func (s *selection) page(candidates iter.Seq[*store.Resource]) (store.Page, error) {
	if s.query.Sort != nil {
		return s.sorted(candidates)
	}
	return s.inOrder(candidates)
}

// matches reports whether a candidate matches.
func (s *selection) matches(res *store.Resource) (bool, error) {
	if err := s.budget.Take(res.Size()); err != nil {
		return false, err
	}
	if s.matcher == nil {
		return true, nil
	}
	return s.matcher.Match(res, s.relations)
}

// add loads a resource into a page.
func (s *selection) add(w *window.Window, res *store.Resource) error {
	loaded, err := s.load(res, s.query.With, s.query.MaxMembers())
	if err == nil {
		w.Add(loaded)
	}
	return err
}

// inOrder returns the page in order of position.
func (s *selection) inOrder(candidates iter.Seq[*store.Resource]) (store.Page, error) {
	q, total := s.query, 0
	w, skip := window.New(q), q.Offset
	if q.From != nil {
		skip = 0
	}
	for res := range candidates {
		if q.NoTotal && w.Full() {
			break
		}
		outside := outsidePage(q, res.Position)
		if outside && q.NoTotal {
			continue
		}
		ok, err := s.matches(res)
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
			if err := s.add(&w, res); err != nil {
				return store.Page{}, err
			}
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

// sorted returns the page in the order of the query's Sort.
func (s *selection) sorted(candidates iter.Seq[*store.Resource]) (store.Page, error) {
	type row struct {
		key      store.SortKey
		resource *store.Resource
	}
	var rows []row
	q := s.query
	for res := range candidates {
		ok, err := s.matches(res)
		if err != nil {
			return store.Page{}, err
		}
		if ok {
			rows = append(rows, row{q.Sort.Key(res), res})
		}
	}
	rows, err := budget.Sort(s.budget, rows, func(a, b row) int { return q.Sort.Compare(a.key, b.key) })
	if err != nil {
		return store.Page{}, err
	}
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
		if err := s.add(&w, row.resource); err != nil {
			return store.Page{}, err
		}
	}
	page.Resources, page.Cut = w.Resources, w.Cut
	return page, nil
}
