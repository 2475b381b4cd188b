// Package window collects the page of a query, within its bounds.
package window

import "github.com/scimjit/provision/store"

// Window is the page of a query while its matches come, in their order.
type Window struct {
	Resources []*store.Resource
	Cut       bool // [store.Page.Cut]

	limit, bytes, size int
	backward           bool
	dropped            bool // a resource before a place, for its size
}

// New returns the empty page of a query.
func New(q *store.Query) Window {
	return Window{limit: q.Limit, bytes: q.Bytes, backward: q.Backward}
}

// Add takes the next match. Of the matches before a place the last ones stay.
func (w *Window) Add(r *store.Resource) {
	switch {
	case w.limit <= 0 || w.Full():
	case w.backward:
		w.Resources = append(w.Resources, r)
		w.size += r.Size()
		for len(w.Resources) > w.limit {
			w.drop()
		}
		for w.bytes > 0 && w.size > w.bytes && len(w.Resources) > 1 {
			w.drop()
			w.dropped = true
		}
		w.Cut = w.dropped && len(w.Resources) < w.limit
	case w.bytes > 0 && len(w.Resources) > 0 && w.size+r.Size() > w.bytes:
		w.Cut = true
	default:
		w.Resources = append(w.Resources, r)
		w.size += r.Size()
	}
}

// drop removes the first resource.
func (w *Window) drop() {
	w.size -= w.Resources[0].Size()
	w.Resources[0] = nil // the array may stay for long
	w.Resources = w.Resources[1:]
}

// Full reports whether further matches would change nothing.
func (w *Window) Full() bool {
	return !w.backward && (w.Cut || len(w.Resources) >= max(w.limit, 0))
}

// Trim cuts the page again after its resources have grown by their parts.
func (w *Window) Trim() {
	from, to := Fit(len(w.Resources), w.bytes, w.backward, func(i int) int { return w.Resources[i].Size() })
	w.Keep(to - from)
}

// Keep cuts the page to some resources: the first ones, or the last ones before a
// place.
func (w *Window) Keep(n int) {
	all := len(w.Resources)
	w.Cut = w.Cut || n < all
	if w.backward {
		w.Resources = w.Resources[all-n:]
	} else {
		w.Resources = w.Resources[:n]
	}
}

// Fit returns which of n sizes fit together, at least one: the first ones, or the
// last ones. A bound of 0 is none.
func Fit(n, bytes int, backward bool, size func(int) int) (from, to int) {
	if bytes <= 0 {
		return 0, n
	}
	sum := 0
	for k := range n {
		i := k
		if backward {
			i = n - 1 - k
		}
		if sum += size(i); sum <= bytes || k == 0 {
			continue
		}
		if backward {
			return i + 1, n
		}
		return 0, i
	}
	return 0, n
}
