package schema

import "slices"

// arena collects the items of objects and arrays that are not complete yet on a
// stack, and hands out complete ones from larger chunks.
type arena[T any] struct {
	stack []T
	free  []T
	chunk int // how many items the next chunk has
	total int // how many all chunks had
}

// maxStack is how many items a stack may have to be kept.
const maxStack = 256

// cleared returns an empty arena with the same stack.
func (a *arena[T]) cleared() arena[T] {
	stack := a.stack[:cap(a.stack)]
	if len(stack) > maxStack {
		stack = nil
	}
	clear(stack)
	return arena[T]{stack: stack[:0]}
}

// take moves the items of the stack from base up to where they stay. A large
// stack without other items is handed out itself.
func (a *arena[T]) take(base int) []T {
	switch {
	case len(a.stack) == base:
		return nil
	case base == 0 && len(a.stack) > maxStack:
		items := slices.Clip(a.stack)
		a.stack = nil
		return items
	}
	items := a.alloc(len(a.stack) - base)
	copy(items, a.stack[base:])
	a.stack = a.stack[:base]
	return items
}

// alloc returns n zero items.
func (a *arena[T]) alloc(n int) []T {
	if len(a.free) < n {
		a.free = make([]T, max(n, a.chunk))
		a.total += len(a.free)
		a.chunk = min(max(8, a.total/4), 512)
	}
	items := a.free[:n:n]
	a.free = a.free[n:]
	return items
}
