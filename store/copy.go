package store

import "context"

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
}
