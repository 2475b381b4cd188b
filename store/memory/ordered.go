package memory

import (
	"iter"
	"slices"
	"sort"
)

// ordered is a sorted sequence, kept in chunks so that inserting, removing and
// finding the nth value cost about the same in a short and in a long one. The
// order is the caller's: each call gets a function that says where a value of
// the sequence lies relative to the one meant (negative: before it).
type ordered[T any] struct {
	chunks [][]T
	n      int
}

// chunkSize is how many values a chunk holds at most.
const chunkSize = 512

// place is the position of a value in an ordered.
type place struct{ chunk, index int }

// size returns how many values there are. A nil sequence has none.
func (o *ordered[T]) size() int {
	if o == nil {
		return 0
	}
	return o.n
}

// search returns the place of the first value that does not lie before the one
// meant, and whether it is that.
func (o *ordered[T]) search(order func(T) int) (place, bool) {
	c := sort.Search(len(o.chunks), func(i int) bool {
		chunk := o.chunks[i]
		return order(chunk[len(chunk)-1]) >= 0
	})
	if c == len(o.chunks) {
		return place{chunk: c}, false
	}
	chunk := o.chunks[c]
	i := sort.Search(len(chunk), func(i int) bool { return order(chunk[i]) >= 0 })
	return place{c, i}, order(chunk[i]) == 0
}

// find returns the value meant.
func (o *ordered[T]) find(order func(T) int) (value T, ok bool) {
	if o == nil {
		return value, false
	}
	if at, found := o.search(order); found {
		return o.chunks[at.chunk][at.index], true
	}
	return value, false
}

// insert adds a value, replacing the one that has its place in the order, and
// returns that.
func (o *ordered[T]) insert(value T, order func(T) int) (old T, replaced bool) {
	if last := len(o.chunks) - 1; last >= 0 && order(o.chunks[last][len(o.chunks[last])-1]) < 0 {
		o.push(value)
		return old, false
	}
	at, found := o.search(order)
	switch {
	case found:
		old = o.chunks[at.chunk][at.index]
		o.chunks[at.chunk][at.index] = value
		return old, true
	case at.chunk == len(o.chunks):
		o.push(value)
		return old, false
	}
	if len(o.chunks[at.chunk]) == chunkSize {
		o.split(at.chunk)
		if at.index > chunkSize/2 {
			at = place{at.chunk + 1, at.index - chunkSize/2}
		}
	}
	o.chunks[at.chunk] = slices.Insert(o.chunks[at.chunk], at.index, value)
	o.n++
	return old, false
}

// push appends a value that comes after all others. Full chunks stay full.
func (o *ordered[T]) push(value T) {
	last := len(o.chunks) - 1
	if last < 0 || len(o.chunks[last]) == chunkSize {
		o.chunks = append(o.chunks, nil)
		last++
	}
	o.chunks[last] = append(o.chunks[last], value)
	o.n++
}

// split halves a full chunk.
func (o *ordered[T]) split(c int) {
	upper := slices.Clone(o.chunks[c][chunkSize/2:])
	clear(o.chunks[c][chunkSize/2:])
	o.chunks[c] = o.chunks[c][:chunkSize/2]
	o.chunks = slices.Insert(o.chunks, c+1, upper)
}

// remove removes the value meant and returns it.
func (o *ordered[T]) remove(order func(T) int) (value T, ok bool) {
	if o == nil {
		return value, false
	}
	at, found := o.search(order)
	if !found {
		return value, false
	}
	value = o.chunks[at.chunk][at.index]
	o.chunks[at.chunk] = slices.Delete(o.chunks[at.chunk], at.index, at.index+1)
	if len(o.chunks[at.chunk]) == 0 {
		o.chunks = slices.Delete(o.chunks, at.chunk, at.chunk+1)
	}
	o.n--
	return value, true
}

// nth returns the place of the nth value, from 0.
func (o *ordered[T]) nth(n int) place {
	for c, chunk := range o.chunks {
		if n < len(chunk) {
			return place{c, n}
		}
		n -= len(chunk)
	}
	return place{chunk: len(o.chunks)}
}

// rank returns how many values come before a place.
func (o *ordered[T]) rank(at place) int {
	n := at.index
	for _, chunk := range o.chunks[:at.chunk] {
		n += len(chunk)
	}
	return n
}

// from returns the values from a place on.
func (o *ordered[T]) from(at place) iter.Seq[T] {
	return func(yield func(T) bool) {
		for c := at.chunk; c < len(o.chunks); c++ {
			for _, value := range o.chunks[c][at.index:] {
				if !yield(value) {
					return
				}
			}
			at.index = 0
		}
	}
}

// all returns all values.
func (o *ordered[T]) all() iter.Seq[T] {
	if o == nil {
		return func(func(T) bool) {}
	}
	return o.from(place{})
}
