package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Rows are rows of one table of a scope, as a store on SQL keeps them, on their way to
// another such store.
type Rows struct {
	Table   string   // without a prefix, such as "resources"
	Columns []string // without the scope
	Values  [][]any  // string, int64, bool, []byte, or nil
}

// Exporter is a store whose scopes can be read whole: the stores on SQL are.
type Exporter interface {
	// Scopes returns every scope that was ever written, in ascending order.
	Scopes(ctx context.Context) ([]string, error)

	// Export calls put with everything that a scope holds, as it is at one moment:
	// table by table, each in the order of its key, at most about a thousand rows or
	// four MiB at a time. The one row of the table "scopes", what the scope counts,
	// comes last. An unknown scope has nothing. The error of put ends it. put must not
	// keep the rows.
	Export(ctx context.Context, scope string, put func(Rows) error) error
}

// Importer is a store that takes scopes of another one. Package postgres has it.
type Importer interface {
	// Import puts what an Exporter has of a scope into this store, where the scope must
	// never have been written: positions, versions, sequences and cursors are the same
	// afterwards. It returns how many rows each table has. What is there counts from
	// its last step on, a row of its own; what an Import left that ended before, the
	// next one removes. It counts what it wrote, and fails where that differs.
	//
	// Nobody may write the scope meanwhile, here or there. A scope that this store has
	// is an [ErrNotEmpty].
	Import(ctx context.Context, scope string, from Exporter) (rows map[string]int, err error)

	// Remove removes a scope with everything in it, some thousand rows at a time. Nobody
	// may use it meanwhile. A scope that is not there is no error.
	Remove(ctx context.Context, scope string) error
}

// CopyOptions says how [Copy] works. The zero value works.
type CopyOptions struct {
	// Resume goes on with a copy that has ended before its end. Scopes that are equal in
	// both stores stay; without it, a store that has any scope is not written.
	Resume bool

	// Progress, when not nil, is called after each scope: how many of all are done, and
	// how many rows each table has, nil for a scope that was there.
	Progress func(scope string, done, all int, rows map[string]int)
}

// Copy copies all scopes of a store to another one, [Global] last: until then no process
// finds a connection there. Every scope is read back and compared. Nobody may write
// either store before Copy has ended, not between a copy and the one that resumes it
// either. The error is [ErrNotEmpty] for a store that has scopes and is not to be
// resumed, or that has all of them.
func Copy(ctx context.Context, from Exporter, to interface {
	Exporter
	Importer
}, o CopyOptions,
) error {
	scopes, err := from.Scopes(ctx)
	if err != nil {
		return err
	}
	there, err := to.Scopes(ctx)
	if err != nil {
		return err
	}
	if len(there) > 0 && !o.Resume || slices.Contains(there, Global) {
		return fmt.Errorf("%w: the store has %d scopes", ErrNotEmpty, len(there))
	}
	for _, scope := range there {
		if !slices.Contains(scopes, scope) {
			return fmt.Errorf("%w: it has scope %q, which the other store has not", ErrNotEmpty, scope)
		}
	}
	slices.SortFunc(scopes, func(a, b string) int {
		switch {
		case a == Global:
			return 1
		case b == Global:
			return -1
		}
		return 0
	})
	for i, scope := range scopes {
		var rows map[string]int
		if !slices.Contains(there, scope) {
			if rows, err = to.Import(ctx, scope, from); err != nil {
				return err
			}
		}
		if err := CompareScope(ctx, scope, from, to); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(scope, i+1, len(scopes), rows)
		}
	}
	return nil
}

// ErrDiffers says that a scope is not the same in two stores.
var ErrDiffers = errors.New("store: the scope is not the same in both stores")

// CompareScope returns an [ErrDiffers] where two stores do not hold the same of a scope.
func CompareScope(ctx context.Context, scope string, a, b Exporter) error {
	one, err := digest(ctx, scope, a)
	if err != nil {
		return err
	}
	other, err := digest(ctx, scope, b)
	if err == nil && one != other {
		err = fmt.Errorf("%w: %q: somebody writes one of them, or has since the copy", ErrDiffers, scope)
	}
	return err
}

// digest returns a hash of everything in a scope.
func digest(ctx context.Context, scope string, from Exporter) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	var text []byte
	err = from.Export(ctx, scope, func(r Rows) error {
		for _, row := range r.Values {
			text = append(text[:0], r.Table...)
			for i, v := range row {
				if bytes, ok := v.([]byte); ok {
					v = string(bytes)
				}
				text = fmt.Appendf(text, "\x00%s=%T%q", r.Columns[i], v, fmt.Sprint(v))
			}
			_, _ = hash.Write(append(text, '\n')) // a hash takes everything
		}
		return nil
	})
	return [sha256.Size]byte(hash.Sum(nil)), err
}
