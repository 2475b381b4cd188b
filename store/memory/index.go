package memory

import (
	"hash/maphash"
	"slices"
)

// index finds the numbers of values by their keys. It keeps 32 bits of a hash
// of each key, which is a quarter of the memory of a map of strings; whoever
// looks something up checks what it finds.
type index struct {
	seed maphash.Seed
	one  map[uint32]uint32   // hash to number, or to many
	more map[uint32][]uint32 // numbers in ascending order, where there are several
}

// many is the number that stands for an entry of index.more.
const many = ^uint32(0)

func newIndex() index {
	return index{seed: maphash.MakeSeed(), one: map[uint32]uint32{}, more: map[uint32][]uint32{}}
}

// hash hashes a key, which is a value of a numbered attribute.
func (x *index) hash(attribute int, value string) uint32 {
	h := maphash.String(x.seed, value)
	return uint32(h>>32) ^ uint32(attribute)*0x9e3779b9
}

// find appends the numbers that may have a key to dst.
func (x *index) find(dst []uint32, attribute int, value string) []uint32 {
	h := x.hash(attribute, value)
	n, ok := x.one[h]
	switch {
	case !ok:
		return dst
	case n != many:
		return append(dst, n)
	}
	return append(dst, x.more[h]...)
}

// add adds a number to a key. Adding twice adds one.
func (x *index) add(attribute int, value string, n uint32) {
	h := x.hash(attribute, value)
	switch first, ok := x.one[h]; {
	case !ok:
		x.one[h] = n
	case first == n:
	case first != many:
		x.one[h] = many
		x.more[h] = []uint32{min(first, n), max(first, n)}
	default:
		if i, found := slices.BinarySearch(x.more[h], n); !found {
			x.more[h] = slices.Insert(x.more[h], i, n)
		}
	}
}

// remove removes a number from a key. Keys of the same number with the same
// hash share one entry: they must be removed together.
func (x *index) remove(attribute int, value string, n uint32) {
	h := x.hash(attribute, value)
	switch first, ok := x.one[h]; {
	case !ok:
	case first == n:
		delete(x.one, h)
	case first == many:
		i, found := slices.BinarySearch(x.more[h], n)
		if !found {
			return
		}
		x.more[h] = slices.Delete(x.more[h], i, i+1)
		if rest := x.more[h]; len(rest) == 1 {
			x.one[h] = rest[0]
			delete(x.more, h)
		}
	}
}
