package storetest

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
)

// pageSizes walks queries whose pages are cut short by their size, which is the
// order of the whole list whatever the bound is: a page is the longest part that
// fits, and one resource at least.
func (s *suite) pageSizes(t *testing.T) {
	st := s.open(t)
	update(t, st, func(tx store.Tx) error {
		for i, size := range []int{10, 4000, 10, 10, 9000, 200, 2500, 10} {
			name := string(rune('a' + (i*5)%8))
			r := s.resource("User", "u"+name, `{"userName":"`+name+`","title":"`+strings.Repeat("x", size)+`"}`)
			if err := tx.PutResource(r); err != nil {
				return err
			}
		}
		for _, name := range []string{"one", "many", "none"} {
			if err := tx.PutResource(s.group(name)); err != nil {
				return err
			}
		}
		for _, m := range "abcdefgh" {
			if err := put(tx, "id-many", "u"+string(m)); err != nil {
				return err
			}
		}
		return put(tx, "id-one", "ua")
	})
	has := store.Or{store.Present{Path: path(store.String, "userName")}, store.Present{Path: path(store.String, "displayName")}}
	names := make(store.Or, 0, 8)
	for _, name := range "abcdefgh" {
		names = append(names, store.Compare{Path: path(store.String, "userName"), Op: store.EQ, Value: string(name)})
	}
	for name, filter := range map[string]store.Filter{"without a filter": nil, "with a filter": has, "with keys": names, "with groups": store.MemberOf{Group: "id-many"}} {
		for _, sort := range []*store.Sort{nil, {Path: path(store.String, "userName"), Descending: true}} {
			for _, types := range [][]string{{"User"}, {"Group"}, nil} {
				for _, with := range []store.Parts{0, store.WithGroups | store.WithMembers} {
					s.checkSizes(t, name, st, store.Query{Types: types, Filter: filter, Sort: sort, With: with, Limit: 100})
				}
			}
		}
	}
}

// checkSizes walks a query by offset, and by place in both directions, with bounds
// of several sizes.
func (s *suite) checkSizes(t *testing.T, name string, st store.Store, q store.Query) {
	t.Helper()
	view(t, st, func(r store.Reader) error {
		all, err := r.Query(q)
		if err != nil {
			return err
		}
		if all.Cut {
			t.Errorf("%s: a page without a bound is cut", name)
		}
		whole := all.Resources
		for _, q.Limit = range []int{3, 100} {
			for _, q.Bytes = range []int{1, 2000, 5000, 12_000} {
				for _, q.NoTotal = range []bool{false, true} {
					for from := 0; from < len(whole); from += s.opts.Stride {
						q.From, q.Backward, q.Offset = nil, false, from
						if err := checkSize(t, name+": by offset", r, q, whole[from:], len(whole)); err != nil {
							return err
						}
						key := q.Sort.Key(whole[from])
						q.From, q.Offset = &key, 0
						if err := checkSize(t, name+": behind a place", r, q, whole[from+1:], len(whole)); err != nil {
							return err
						}
						q.Backward = true
						if err := checkSize(t, name+": before a place", r, q, whole[:from], len(whole)); err != nil {
							return err
						}
					}
				}
			}
		}
		return nil
	})
}

// checkSize compares a page with what it should be of the resources on its side of
// its place.
func checkSize(t *testing.T, name string, r store.Reader, q store.Query, side []*store.Resource, total int) error {
	t.Helper()
	want, size, cut := side[:0:0], 0, false
	for i := range side {
		next := side[i]
		if q.Backward {
			next = side[len(side)-1-i]
		}
		if len(want) == q.Limit {
			break
		}
		if size += next.Size(); size > q.Bytes && len(want) > 0 {
			cut = true
			break
		}
		if q.Backward {
			want = append([]*store.Resource{next}, want...)
		} else {
			want = append(want, next)
		}
	}
	page, err := r.Query(q)
	if err != nil {
		return err
	}
	same(t, name, ids(page.Resources), ids(want))
	for i := range min(len(want), len(page.Resources)) {
		same(t, name+": groups", len(page.Resources[i].Groups), len(want[i].Groups))
		same(t, name+": members", len(page.Resources[i].Members), min(len(want[i].Members), q.MaxMembers()))
	}
	if page.Cut != cut || !q.NoTotal && page.Total != total {
		t.Errorf("%s: limit %d, %d bytes: cut %t, total %d, want %t, %d", name, q.Limit, q.Bytes, page.Cut, page.Total, cut, total)
	}
	return nil
}
