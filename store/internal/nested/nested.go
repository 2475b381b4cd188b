// Package nested refuses transactions inside transactions of the same store.
package nested

import (
	"context"

	"github.com/scimjit/provision/store"
)

// key is the context key that marks the transactions of one store. It is a pointer
// alone, so that a mark costs no second allocation.
type key[S any] struct{ store *S }

// Mark returns the context of what runs inside a transaction of a store.
func Mark[S any](ctx context.Context, s *S) context.Context {
	return context.WithValue(ctx, key[S]{s}, true)
}

// Refuse returns [store.ErrNested] inside a transaction of the store.
func Refuse[S any](ctx context.Context, s *S) error {
	if ctx.Value(key[S]{s}) != nil {
		return store.ErrNested
	}
	return nil
}
