package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/store"
)

// query is the tier of queries.
func (s *suite) query(t *testing.T) {
	t.Run("filters", s.filters)
	t.Run("sorting", s.sorting)
	t.Run("pages", s.pages)
	t.Run("pages by offset", s.offsets)
	t.Run("membership pages", s.memberPages)
	t.Run("scan limit", s.scanLimit)
	t.Run("types", s.types)
	t.Run("size of pages", s.pageSizes)
}

// filters runs the table of filters on one set of resources.
func (s *suite) filters(t *testing.T) {
	st := s.open(t)
	s.people(t, st)
	for _, test := range filterTests {
		t.Run(test.name, func(t *testing.T) {
			view(t, st, func(r store.Reader) error {
				page, err := r.Query(store.Query{Filter: test.filter, Limit: 100})
				if err != nil {
					return err
				}
				same(t, "ids", ids(page.Resources), test.want)
				if page.Total != len(test.want) {
					t.Errorf("total %d, want %d", page.Total, len(test.want))
				}
				return nil
			})
		})
	}
}

func (s *suite) sorting(t *testing.T) {
	st := s.open(t)
	s.people(t, st)
	for _, test := range []struct {
		name string
		path store.Path
		up   []string
		down []string
	}{
		{"text folds", path(store.String, "userName"), []string{"u1", "u3", "u2", "u4", "g1", "g2"}, []string{"g1", "g2", "u4", "u2", "u3", "u1"}},
		{"text exact", path(store.Exact, "userName"), []string{"u1", "u3", "u2", "u4", "g1", "g2"}, []string{"g1", "g2", "u4", "u2", "u3", "u1"}},
		{"ties keep their position", path(store.String, "displayName"), []string{"g2", "u1", "u3", "g1", "u2", "u4"}, []string{"u2", "u4", "g1", "u1", "u3", "g2"}},
		{"number", path(store.Number, "score"), []string{"u2", "u3", "u1", "u4", "g1", "g2"}, []string{"u4", "g1", "g2", "u1", "u3", "u2"}},
		{"boolean", path(store.Boolean, "active"), []string{"u2", "u1", "u3", "u4", "g1", "g2"}, []string{"u3", "u4", "g1", "g2", "u1", "u2"}},
		{"dateTime", path(store.DateTime, "birth"), []string{"u4", "u2", "u3", "u1", "g1", "g2"}, []string{"u1", "g1", "g2", "u2", "u3", "u4"}},
		{"primary of many", path(store.String, "emails", "value"), []string{"u2", "u1", "u3", "u4", "g1", "g2"}, []string{"u3", "u4", "g1", "g2", "u1", "u2"}},
		{"id", path(store.Exact, "id"), []string{"g1", "g2", "u1", "u2", "u3", "u4"}, []string{"u4", "u3", "u2", "u1", "g2", "g1"}},
		{"meta.created", path(store.DateTime, "meta", "created"), []string{"u1", "u2", "u3", "u4", "g1", "g2"}, []string{"g2", "g1", "u4", "u3", "u2", "u1"}},
		{"unknown", path(store.String, "nothing"), []string{"u1", "u2", "u3", "u4", "g1", "g2"}, []string{"u1", "u2", "u3", "u4", "g1", "g2"}},
	} {
		for descending, want := range map[bool][]string{false: test.up, true: test.down} {
			q := store.Query{Sort: &store.Sort{Path: test.path, Descending: descending}}
			checkPages(t, fmt.Sprintf("%s, descending %t", test.name, descending), st, q, want)
			some := store.Present{Path: test.path}
			q.Filter = store.Or{some, store.Not{Filter: some}}
			checkPages(t, fmt.Sprintf("%s with a filter, descending %t", test.name, descending), st, q, want)
		}
	}
}

// checkPages walks a query in pages of every size, from every offset.
func checkPages(t *testing.T, name string, st store.Store, q store.Query, want []string) {
	t.Helper()
	view(t, st, func(r store.Reader) error {
		for q.Limit = range len(want) + 2 {
			for q.Offset = range len(want) + 2 {
				for _, q.NoTotal = range []bool{false, true} {
					page, err := r.Query(q)
					if err != nil {
						return err
					}
					from := min(q.Offset, len(want))
					part := want[from:min(from+q.Limit, len(want))]
					if diff := cmp.Diff(part, ids(page.Resources), cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("%s: offset %d, limit %d (-want +got):\n%s", name, q.Offset, q.Limit, diff)
					}
					if total := page.Total; total != len(want) && !q.NoTotal {
						t.Errorf("%s: offset %d, limit %d: total %d, want %d", name, q.Offset, q.Limit, total, len(want))
					}
				}
			}
		}
		return nil
	})
}

func (s *suite) pages(t *testing.T) {
	st := s.open(t)
	var want []string
	update(t, st, func(tx store.Tx) error {
		want = nil
		for i := range 12 {
			r := s.user(string(rune('a' + (i*5)%12)))
			if err := tx.PutResource(r); err != nil {
				return err
			}
			want = append(want, r.ID)
		}
		return tx.PutResource(s.group("group"))
	})
	update(t, st, func(tx store.Tx) error { return tx.DeleteResource("User", want[4]) })
	want = append(want[:4:4], want[5:]...)

	users := store.Query{Types: []string{"User"}}
	checkPages(t, "without a filter", st, users, want)
	users.Filter = store.Present{Path: path(store.String, "userName")}
	checkPages(t, "with a filter", st, users, want)

	for _, filter := range []store.Filter{nil, users.Filter} {
		var got []string
		q := store.Query{Types: []string{"User"}, Filter: filter, Limit: 3}
		for range 10 {
			view(t, st, func(r store.Reader) error {
				page, err := r.Query(q)
				got = append(got, ids(page.Resources)...)
				for _, r := range page.Resources {
					q.After = r.Position
				}
				if page.Total != len(want) {
					t.Errorf("total %d with After, want %d: After is a place to go on from, not a filter", page.Total, len(want))
				}
				return err
			})
		}
		same(t, "a walk by After", got, want)
	}
	s.places(t, st, users.Filter, want)
	view(t, st, func(r store.Reader) error {
		page, err := r.Query(store.Query{Types: []string{"User"}, Limit: 100, NoTotal: true})
		same(t, "NoTotal", ids(page.Resources), want)
		after := page.Resources[2].Position
		page, err2 := r.Query(store.Query{Types: []string{"User"}, Limit: 2, After: after, Offset: 1})
		same(t, "After and Offset", ids(page.Resources), want[4:6])
		return errors.Join(err, err2)
	})
}

// places walks from place to place, forward and backward, with and without a
// sort.
func (s *suite) places(t *testing.T, st store.Store, filter store.Filter, want []string) {
	t.Helper()
	for _, f := range []store.Filter{nil, filter} {
		for _, sort := range []*store.Sort{nil, {Path: path(store.String, "nothing")}, {Path: path(store.String, "userName"), Descending: true}} {
			for _, noTotal := range []bool{false, true} {
				view(t, st, func(r store.Reader) error {
					q := store.Query{Types: []string{"User"}, Filter: f, Sort: sort, NoTotal: noTotal, Limit: 100}
					all, err := r.Query(q)
					if err != nil {
						return err
					}
					order := ids(all.Resources)
					if len(order) != len(want) {
						t.Fatalf("%d resources, want %d", len(order), len(want))
					}
					for i, at := range all.Resources {
						key := sort.Key(at)
						q.From, q.Limit, q.Offset = &key, 3, 2
						q.Backward = false
						page, err := r.Query(q)
						same(t, "behind a place", ids(page.Resources), order[i+1:min(i+4, len(order))])
						q.Backward = true
						back, err2 := r.Query(q)
						same(t, "before a place", ids(back.Resources), order[max(0, i-3):i])
						if err := errors.Join(err, err2); err != nil {
							return err
						}
						if total := page.Total + back.Total; !noTotal && total != 2*len(want) {
							t.Errorf("total %d at a place, want %d", page.Total, len(want))
						}
					}
					return nil
				})
			}
		}
	}
}

// memberPages pages filters that indexes answer.
func (s *suite) memberPages(t *testing.T) {
	st := s.open(t)
	var want []string
	update(t, st, func(tx store.Tx) error {
		want = nil
		err := tx.PutResource(s.group("group"))
		for i := range 7 {
			name := string(rune('a' + (i*3)%7))
			r := s.resource("User", "id-"+name, fmt.Sprintf(`{"userName":%q,"displayName":"same"}`, name))
			err = all(err, tx.PutResource(r))
			if i%3 != 2 {
				err = all(err, put(tx, "id-group", r.ID))
				want = append(want, r.ID)
			}
		}
		return all(err, put(tx, "id-group", "id-group"))
	})
	in := store.MemberOf{Group: "id-group"}
	for name, filter := range map[string]store.Filter{
		"members":          in,
		"members or":       store.Or{in, in},
		"members with key": store.And{in, keyed("displayName", "Same")},
	} {
		checkPages(t, name, st, store.Query{Types: []string{"User"}, Filter: filter}, want)
	}
}

func (s *suite) scanLimit(t *testing.T) {
	st := s.open(t)
	s.people(t, st)
	scan, byName := store.Present{Path: path(store.String, "userName")}, &store.Sort{Path: path(store.String, "userName")}
	for _, test := range []struct {
		name  string
		q     store.Query
		total int
		limit int // of the error; 0: none
	}{
		{"at the limit", store.Query{Filter: scan, ScanRows: 6}, 4, 0},
		{"over the limit", store.Query{Filter: scan, ScanRows: 5}, 0, 5},
		{"over the limit with a page", store.Query{Filter: scan, ScanRows: 5, Limit: 1, NoTotal: true}, 0, 5},
		{"only the types count", store.Query{Filter: scan, ScanRows: 4, Types: []string{"User"}}, 4, 0},
		{"over the limit with types", store.Query{Filter: scan, ScanRows: 3, Types: []string{"User"}}, 0, 3},
		{"over the limit with two types", store.Query{Filter: scan, ScanRows: 5, Types: []string{"User", "Group"}}, 0, 5},
		{"default", store.Query{Filter: scan}, 4, 0},
		{"no filter", store.Query{ScanRows: 1}, 6, 0},
		{"no filter, and a sort", store.Query{ScanRows: 5, Sort: byName}, 0, 5},
		{"no filter, and a sort, at the limit", store.Query{ScanRows: 6, Sort: byName}, 6, 0},
		{"indexed", store.Query{Filter: store.And{scan, keyed("displayName", "ann a")}, ScanRows: 2}, 2, 0},
		{"indexed, over the limit", store.Query{Filter: store.And{scan, keyed("displayName", "ann a")}, ScanRows: 1}, 0, 1},
		{"several keys", store.Query{Filter: store.Or{keyed("displayName", "ann a"), keyed("displayName", "ann a"), byID("u1")}, ScanRows: 2}, 2, 0},
		{"several keys, over the limit", store.Query{Filter: store.Or{keyed("displayName", "ann a"), byID("u2")}, ScanRows: 2}, 0, 2},
		{"indexed and sorted, over the limit", store.Query{Filter: keyed("displayName", "ann a"), ScanRows: 1, Sort: byName}, 0, 1},
		{"by id", store.Query{Filter: store.And{byID("u1"), scan}, ScanRows: 1}, 1, 0},
		{"by group", store.Query{Filter: store.And{scan, store.MemberOf{Group: "g1"}}, ScanRows: 2}, 2, 0},
		{"by group, over the limit", store.Query{Filter: store.And{scan, store.MemberOf{Group: "g1"}}, ScanRows: 1}, 0, 1},
		{"exactly by group, over the limit", store.Query{Filter: store.MemberOf{Group: "g1"}, ScanRows: 1}, 0, 1},
		{"by group, of other types", store.Query{Filter: store.MemberOf{Group: "g1"}, ScanRows: 1, Types: []string{"Group"}}, 0, 0},
		{"not indexed", store.Query{Filter: store.Or{scan, keyed("displayName", "ann a")}, ScanRows: 5}, 0, 5},
		{"sorted", store.Query{Filter: scan, ScanRows: 5, Sort: byName}, 0, 5},
	} {
		view(t, st, func(r store.Reader) error {
			page, err := r.Query(test.q)
			var limit *store.ScanError
			switch {
			case test.limit == 0:
				is(t, test.name, err, nil)
				if page.Total != test.total && !test.q.NoTotal {
					t.Errorf("%s: total %d, want %d", test.name, page.Total, test.total)
				}
			case !errors.As(err, &limit) || *limit != store.ScanError{Rows: test.limit}:
				t.Errorf("%s: error %v, want a limit of %d", test.name, err, test.limit)
			}
			return nil
		})
	}
}

func (s *suite) types(t *testing.T) {
	st := s.open(t)
	s.people(t, st)
	update(t, st, func(tx store.Tx) error {
		return tx.PutResource(s.resource("Device", "d1", `{"displayName":"ann a"}`))
	})
	for _, test := range []struct {
		name  string
		types []string
		all   []string
		ann   []string
	}{
		{"all", nil, []string{"u1", "u2", "u3", "u4", "g1", "g2", "d1"}, []string{"u1", "u3", "d1"}},
		{"one", []string{"Group"}, []string{"g1", "g2"}, nil},
		{"two", []string{"Device", "User"}, []string{"u1", "u2", "u3", "u4", "d1"}, []string{"u1", "u3", "d1"}},
		{"twice", []string{"Device", "Device"}, []string{"d1"}, []string{"d1"}},
		{"unknown", []string{"Car"}, nil, nil},
		{"unknown and known", []string{"Car", "Group"}, []string{"g1", "g2"}, nil},
		{"in another case", []string{"user"}, nil, nil},
	} {
		checkPages(t, test.name, st, store.Query{Types: test.types}, test.all)
		checkPages(t, test.name+", key", st, store.Query{Types: test.types, Filter: keyed("displayName", "ann a")}, test.ann)
		byName := store.Compare{Path: path(store.String, "displayName"), Op: store.EQ, Value: store.NameKey("ann a")}
		checkPages(t, test.name+", scan", st, store.Query{Types: test.types, Filter: byName}, test.ann)
	}
}
