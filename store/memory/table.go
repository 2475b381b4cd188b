package memory

// table numbers values. A number stays the same while its value is there and is
// used again afterwards. Values do not move, and growing copies none.
type table[T any] struct {
	pages []*[pageSize]T
	n     uint32   // numbers given out, free ones included
	free  []uint32 // last in, first out: a rollback restores it exactly
}

const pageSize = 1024

// at returns the value with a number.
func (t *table[T]) at(n uint32) *T { return &t.pages[n/pageSize][n%pageSize] }

// add gives a value a number.
func (t *table[T]) add(value T) uint32 {
	var n uint32
	if last := len(t.free) - 1; last >= 0 {
		n = t.free[last]
		t.free = t.free[:last]
	} else {
		n = t.n
		t.n++
		if n/pageSize == uint32(len(t.pages)) {
			t.pages = append(t.pages, new([pageSize]T))
		}
	}
	*t.at(n) = value
	return n
}

// remove frees a number.
func (t *table[T]) remove(n uint32) {
	*t.at(n) = *new(T)
	t.free = append(t.free, n)
}
