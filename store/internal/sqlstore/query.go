package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/budget"
	"github.com/scimjit/provision/store/internal/window"
)

const (
	// directRows is how many candidates of a lone key term are read with it.
	directRows = 64

	// allRows is the limit that is none.
	allRows = int64(1) << 62
)

// Query implements [store.ResourceReader].
func (r *Reader) Query(q store.Query) (store.Page, error) {
	return r.page(&q, budget.OfQuery(&q))
}

// Scan is Query for [store.Store.Scan], with the reader of a snapshot.
func (r *Reader) Scan(ctx context.Context, q store.Query) (store.Page, error) {
	return r.page(&q, budget.OfScan(ctx, &q))
}

func (r *Reader) page(q *store.Query, b *budget.Budget) (store.Page, error) {
	s := &selection{query: q, budget: b, page: window.New(q)}
	if q.Filter != nil {
		s.matcher = store.Compile(q.Filter)
	}
	var err error
	if q.Filter == nil {
		err = r.selectAll(s)
	} else if terms, ok := store.Narrow(q.Filter); ok {
		err = r.selectByTerms(s, terms)
	} else {
		err = r.selectByScan(s)
	}
	if err != nil {
		return store.Page{}, err
	}
	if q.Sort != nil {
		if err := r.loadSorted(s); err != nil {
			return store.Page{}, err
		}
	}
	if err := r.loadParts(&s.page, q, s.direct); err != nil {
		return store.Page{}, err
	}
	page := store.Page{Resources: s.page.Resources, Total: s.total, Cut: s.page.Cut}
	if q.NoTotal {
		page.Total = 0
	}
	return page, nil
}

// selection collects the matches of a query, which come in the order of their
// position.
type selection struct {
	query   *store.Query
	budget  *budget.Budget
	matcher *store.Matcher // nil without a filter
	total   int
	skipped int // matches that Offset left out
	page    window.Window

	// direct, when not nil, is the term that found all candidates at once.
	direct *store.Term

	// With a sort, the keys of all matches instead of the page.
	sorted []sortedMatch
}

type sortedMatch struct {
	key      store.SortKey
	position int64
	size     int
}

// add takes one match.
func (s *selection) add(r *store.Resource) {
	s.total++
	switch q := s.query; {
	case q.Sort != nil:
		s.sorted = append(s.sorted, sortedMatch{q.Sort.Key(r), r.Position, r.Size()})
	case outsidePage(q, r.Position):
	case q.From == nil && s.skipped < q.Offset:
		s.skipped++
	default:
		s.page.Add(r)
	}
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

// full reports whether further matches would change nothing.
func (s *selection) full() bool {
	q := s.query
	return q.NoTotal && q.Sort == nil && s.page.Full()
}

// start returns the position after which the matches are wanted.
func (s *selection) start() int64 {
	q := s.query
	switch {
	case !q.NoTotal || q.Sort != nil || q.Backward:
		return 0
	case q.From != nil:
		return q.From.Position()
	}
	return q.After
}

// selectAll reads the page of a query without a filter by index.
func (r *Reader) selectAll(s *selection) error {
	q := s.query
	if q.Sort != nil {
		return r.selectByScan(s)
	}
	var mark int64
	if !q.NoTotal {
		var err error
		if s.total, mark, err = r.count(q.Types); err != nil {
			return err
		}
	}
	if q.Limit <= 0 {
		return nil
	}
	switch {
	case q.From == nil:
		return r.selectAtOffset(s, mark)
	case !q.Backward:
		return r.resources(q.Types, q.From.Position(), int64(q.Limit), 0, s.take)
	}
	query, args := r.ofTypes(q.Types, positionsBeforeAll, positionsBeforeAny)
	positions, err := r.positionList(query, append(args, q.From.Position(), int64(q.Limit))...)
	if err != nil {
		return err
	}
	slices.Reverse(positions)
	return r.at(positions, s.take)
}

// take adds a match that is known to be in the page, unless it is cut short.
func (s *selection) take(res *store.Resource) error {
	s.page.Add(res)
	if s.page.Cut && s.page.Full() {
		return ErrEnough
	}
	return nil
}

// selectByScan evaluates the filter on every resource of the types.
func (r *Reader) selectByScan(s *selection) error {
	q := s.query
	n, _, err := r.count(q.Types)
	if err != nil {
		return err
	}
	if err := s.budget.Admit(n); err != nil {
		return err
	}
	if len(q.Types) != 1 {
		positions, err := r.scanPositions(s)
		if err != nil {
			return err
		}
		return r.selectAt(s, positions)
	}
	var chunk chunk
	for after := s.start(); !s.full(); {
		if err := chunk.read(r.conn, pageOne, r.scope, q.Types[0], after, int64(chunkRows), int64(0)); err != nil {
			return err
		}
		if err := chunk.match(s, r); err != nil {
			return err
		}
		if !chunk.full() {
			return nil
		}
		after = chunk.last()
	}
	return nil
}

// scanPositions returns the positions of all resources of the types.
func (r *Reader) scanPositions(s *selection) (positions []int64, err error) {
	var spent error
	query, args := r.ofTypes(s.query.Types, positionsAfterAll, positionsAfterAny)
	err = r.conn.Query(query, func(row Scanner) error {
		var p int64
		if err := row.Scan(&p); err != nil {
			return err
		}
		positions = append(positions, p)
		if spent = s.budget.Take(budget.CandidateBytes); spent != nil {
			return ErrEnough // it is no error of the statement
		}
		return nil
	}, append(args, s.start(), allRows, int64(0))...)
	return positions, cmp.Or(err, spent)
}

// selectByTerms evaluates the filter on the resources that the terms find.
func (r *Reader) selectByTerms(s *selection, terms []store.Term) error {
	if query, args := r.directly(terms); query != "" {
		done, err := r.selectDirectly(s, terms, query, args)
		if done || err != nil {
			return err
		}
	}
	found := budget.NewDistinct[int64](s.budget)
	for len(terms) > 0 {
		query, args, n := r.candidates(terms)
		terms = terms[n:]
		var spent error
		err := r.conn.Query(query, func(row Scanner) error {
			var (
				position int64
				typ      string
			)
			if err := row.Scan(&position, &typ); err != nil {
				return err
			}
			if !hasType(s.query.Types, typ) {
				return nil
			}
			if spent = found.Add(position); spent != nil {
				return ErrEnough // it is no error of the statement
			}
			return nil
		}, args...)
		if err := cmp.Or(err, spent); err != nil {
			return err
		}
	}
	positions, err := found.Sorted()
	if err != nil {
		return err
	}
	if s.query.Sort == nil && store.NarrowIsExact(s.query.Filter) {
		return r.selectExact(s, positions)
	}
	return r.selectAt(s, positions)
}

// directly returns the statement that reads the candidates of terms whole, "" where
// there is none: those of an id or key, and where each statement is waited for those of
// some keys of one attribute.
func (r *Reader) directly(terms []store.Term) (query string, args []any) {
	switch {
	case len(terms) == 0:
	case len(terms) == 1 && terms[0].Kind == store.ByID:
		return resourceByID, []any{r.scope, terms[0].Value}
	case len(terms) == 1 && terms[0].Kind == store.ByKey:
		return resourcesByKey, []any{r.scope, terms[0].Attribute, terms[0].Value, int64(directRows + 1)}
	case r.pipeline != nil && len(terms) <= directRows && terms[0].Kind == store.ByKey:
		if query, args, n := r.candidates(terms); n == len(terms) && query == candidatesByKeys {
			return resourcesByKeys, append(args, int64(directRows+1))
		}
	}
	return "", nil
}

// selectDirectly evaluates the filter on the resources that a statement reads whole. It
// does nothing and reports false when there are many.
func (r *Reader) selectDirectly(s *selection, terms []store.Term, query string, args []any) (done bool, err error) {
	lone := len(terms) == 1
	if lone && r.pipeline != nil && s.query.With&store.WithGroups != 0 && s.query.Limit > 0 {
		groups, args := r.groupsOf(&terms[0], []string{terms[0].Value})
		r.pipeline.Expect(groups, args...)
	}
	var (
		chunk []*store.Resource
		rows  int
		scan  resourceScan
	)
	err = r.conn.Query(query, func(row Scanner) error {
		res, err := scan.next(row)
		if rows++; err == nil && hasType(s.query.Types, res.Type) {
			chunk = append(chunk, res)
		}
		return err
	}, args...)
	if err != nil || rows > directRows {
		return false, err
	}
	slices.SortFunc(chunk, func(a, b *store.Resource) int { return int(a.Position - b.Position) })
	chunk = slices.CompactFunc(chunk, func(a, b *store.Resource) bool { return a.Position == b.Position })
	if err := s.budget.Admit(len(chunk)); err != nil {
		return false, err
	}
	if lone {
		s.direct = &terms[0]
	}
	return true, r.match(s, chunk)
}

// candidates returns the statement that finds the candidates of the first terms,
// and how many terms these are: keys of one attribute are looked up together.
func (r *Reader) candidates(terms []store.Term) (query string, args []any, n int) {
	term := terms[0]
	switch term.Kind {
	case store.ByID:
		return candidatesByID, []any{r.scope, term.Value}, 1
	case store.ByGroup:
		return candidatesByGroup, []any{r.scope, term.Value, r.scope}, 1
	case store.ByMember:
		return candidatesByMember, []any{r.scope, term.Value, r.scope}, 1
	}
	for n = 1; n < len(terms) && terms[n].Kind == store.ByKey && terms[n].Attribute == term.Attribute; n++ {
	}
	if n == 1 {
		return candidatesByKey, []any{r.scope, term.Attribute, term.Value}, 1
	}
	values := make([]string, n)
	for i := range values {
		values[i] = terms[i].Value
	}
	return candidatesByKeys, []any{r.scope, term.Attribute, values}, n
}

// selectExact takes the page from candidates that all match, without reading
// the others.
func (r *Reader) selectExact(s *selection, positions []int64) error {
	q := s.query
	s.total = len(positions)
	positions = slices.DeleteFunc(positions, func(p int64) bool { return outsidePage(q, p) })
	switch {
	case q.From == nil:
		positions = positions[min(max(q.Offset, 0), len(positions)):]
	case q.Backward:
		positions = positions[max(0, len(positions)-max(q.Limit, 0)):]
	}
	positions = positions[:min(max(q.Limit, 0), len(positions))]
	return r.at(positions, s.take)
}

// selectAt evaluates the filter on the resources at ascending positions.
func (r *Reader) selectAt(s *selection, positions []int64) error {
	var chunk chunk
	for len(positions) > 0 && !s.full() {
		some := positions[:min(chunkRows, len(positions))]
		if err := chunk.read(r.conn, resourcesAt, r.scope, some); err != nil {
			return err
		}
		if err := chunk.match(s, r); err != nil {
			return err
		}
		read := len(some)
		if chunk.full() {
			at, found := slices.BinarySearch(some, chunk.last())
			if read = at; found {
				read++
			}
		}
		positions = positions[read:]
	}
	return nil
}

// match adds those resources to the selection that the filter matches.
func (r *Reader) match(s *selection, resources []*store.Resource) error {
	for _, res := range resources {
		ok, err := s.matches(r, res)
		if err != nil {
			return err
		}
		if ok {
			s.add(res)
		}
	}
	return nil
}

// matches reports whether the filter matches a resource.
func (s *selection) matches(r *Reader, res *store.Resource) (bool, error) {
	if err := s.budget.Take(res.Size()); err != nil {
		return false, err
	}
	if s.matcher == nil {
		return true, nil
	}
	return s.matcher.Match(res, r)
}

// cutSorted sorts the matches and leaves the page of them.
func (s *selection) cutSorted() (err error) {
	s.sorted, err = budget.Sort(s.budget, s.sorted, func(a, b sortedMatch) int { return s.query.Sort.Compare(a.key, b.key) })
	if err != nil {
		return err
	}
	q, limit := s.query, max(s.query.Limit, 0)
	if q.From == nil {
		s.sorted = s.sorted[min(max(q.Offset, 0), len(s.sorted)):]
	} else {
		at, found := slices.BinarySearchFunc(s.sorted, *q.From, func(m sortedMatch, from store.SortKey) int { return q.Sort.Compare(m.key, from) })
		switch {
		case q.Backward:
			s.sorted = s.sorted[max(0, at-limit):at]
		case found:
			s.sorted = s.sorted[at+1:]
		default:
			s.sorted = s.sorted[at:]
		}
	}
	s.sorted = s.sorted[:min(limit, len(s.sorted))]
	from, to := window.Fit(len(s.sorted), q.Bytes, q.Backward, func(i int) int { return s.sorted[i].size })
	s.page.Cut = to-from < len(s.sorted)
	s.sorted = s.sorted[from:to]
	return nil
}

// loadSorted reads the resources of a sorted page, in its order.
func (r *Reader) loadSorted(s *selection) error {
	if err := s.cutSorted(); err != nil {
		return err
	}
	place := make(map[int64]int, len(s.sorted))
	positions := make([]int64, len(s.sorted))
	for i, m := range s.sorted {
		place[m.position] = i
		positions[i] = m.position
	}
	s.page.Resources = make([]*store.Resource, len(s.sorted))
	return r.at(positions, func(res *store.Resource) error {
		s.page.Resources[place[res.Position]] = res
		return nil
	})
}

// ofTypes returns the statement for all types, or that for any of some, with the
// arguments that it begins with.
func (r *Reader) ofTypes(types []string, all, some string) (query string, args []any) {
	if len(types) == 0 {
		return all, []any{r.scope}
	}
	return some, []any{r.scope, types}
}

// count returns how many resources of the types there are, and a number that is another
// one after each deletion of one of them.
func (r *Reader) count(types []string) (n int, mark int64, err error) {
	query, args := r.ofTypes(types, countAll, countAny)
	if len(types) == 1 {
		query, args[1] = countOne, types[0]
	}
	err = r.conn.Query(query, func(row Scanner) error {
		var of int
		var its int64
		err := row.Scan(&of, &its)
		n, mark = n+of, mark+its
		return err
	}, args...)
	if err == nil && r.ledger != nil {
		if err = r.ledger.begin(); err == nil {
			n += r.ledger.counted(types)
		}
	}
	return n, mark, err
}

// resources calls fn with a page of the resources of the types.
func (r *Reader) resources(types []string, after, limit, offset int64, fn func(*store.Resource) error) error {
	if len(types) != 1 {
		positions, err := r.positions(types, after, limit, offset)
		if err != nil {
			return err
		}
		return r.at(positions, fn)
	}
	return r.read(fn, pageOne, r.scope, types[0], after, limit, offset)
}

// at calls fn with the resources at some positions, in ascending order.
func (r *Reader) at(positions []int64, fn func(*store.Resource) error) error {
	if len(positions) == 0 {
		return nil
	}
	return r.read(fn, resourcesAt, r.scope, positions)
}

func (r *Reader) read(fn func(*store.Resource) error, query string, args ...any) error {
	var scan resourceScan
	return r.conn.Query(query, func(row Scanner) error {
		res, err := scan.next(row)
		if err != nil {
			return err
		}
		return fn(res)
	}, args...)
}

func (r *Reader) positions(types []string, after, limit, offset int64) ([]int64, error) {
	query, args := r.ofTypes(types, positionsAfterAll, positionsAfterAny)
	return r.positionList(query, append(args, after, limit, offset)...)
}

func (r *Reader) positionList(query string, args ...any) (positions []int64, err error) {
	err = r.conn.Query(query, func(row Scanner) error {
		var p int64
		err := row.Scan(&p)
		positions = append(positions, p)
		return err
	}, args...)
	return positions, err
}

// hasType reports whether a query of these types includes typ.
func hasType(types []string, typ string) bool {
	return len(types) == 0 || slices.Contains(types, typ)
}
