package store

// Migration is one step of bringing the schema of an SQL store to a later version:
// what its Config.Migrating is told before the step begins.
type Migration struct {
	File string // such as "0002_labels.sql"
	From int    // the version before it, 0 for an empty database
	To   int    // the version after it

	// Statement is the number of the statement that begins, from 1 on, of so many in
	// the file.
	Statement, Statements int

	// Rewrites is how many bytes the tables have that the file writes anew, with their
	// indexes; 0 for a file that adds only. The disk needs room for them once more
	// until the migration is committed. A server of PostgreSQL does not tell how much
	// room there is.
	Rewrites int64
}
