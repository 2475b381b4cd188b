package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/scimjit/provision/store"
)

// offsets walks lists by offset while resources come and go: each page is what the list
// has there, whatever a store remembers of the pages before.
func (s *suite) offsets(t *testing.T) {
	st := s.open(t)
	rng := rand.New(rand.NewPCG(4, 2)) //nolint:gosec // tests must be repeatable
	lists := [][]string{{"User"}, {"Group"}, nil, {"Group", "User"}}
	next := make([]int, len(lists)) // where each walk goes on
	var all []*store.Resource       // in order of position
	for step := range max(60, s.opts.Steps/3) {
		for i := range 1 + rng.IntN(3) {
			r := s.user(fmt.Sprint(step, "-", i))
			if rng.IntN(3) == 0 {
				r = s.group(fmt.Sprint(step, "-", i))
			}
			update(t, st, func(tx store.Tx) error { return tx.PutResource(r) })
			all = append(all, r)
		}
		if len(all) > 10 && rng.IntN(6) == 0 {
			at := rng.IntN(len(all))
			gone := all[at]
			undone := rng.IntN(3) == 0
			again := *s.user(fmt.Sprint("again-", step))
			err := st.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error {
				err := tx.DeleteResource(gone.Type, gone.ID)
				if err == nil {
					err = tx.PutResource(&again) // there are as many as before
				}
				if err == nil && undone {
					err = errRollback
				}
				return err
			})
			if undone {
				is(t, "rolled back", err, errRollback)
			} else {
				is(t, "Update", err, nil)
				all = append(slices.Delete(all, at, at+1), &again)
			}
		}
		for i, types := range lists {
			var want []string
			for _, r := range all {
				if len(types) == 0 || slices.Contains(types, r.Type) {
					want = append(want, r.ID)
				}
			}
			for _, offset := range []int{next[i], rng.IntN(len(want) + 2), next[i]} {
				size := 1 + rng.IntN(4)
				view(t, st, func(r store.Reader) error {
					page, err := r.Query(store.Query{Types: types, Offset: offset, Limit: size})
					from := min(offset, len(want))
					same(t, fmt.Sprint("step ", step, ", ", types, ", offset ", offset), ids(page.Resources), want[from:min(from+size, len(want))])
					same(t, "total", page.Total, len(want))
					next[i] = offset + len(page.Resources)
					return err
				})
			}
			if next[i] >= len(want) {
				next[i] = 0
			}
		}
		if t.Failed() {
			return
		}
	}
}
