package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store/internal/sqlstore"
	"github.com/scimjit/provision/store/sqlite"
)

// TestCopiedColumns compares what is copied to other stores with the schema: a column
// that is new there must be copied, or be named here.
func TestCopiedColumns(t *testing.T) {
	kept := map[string][]string{} // of each table
	for _, table := range sqlstore.Tables {
		for _, c := range table.Columns {
			kept[table.Name] = append(kept[table.Name], c.Name)
		}
	}
	own := []string{"scope", "row"} // what SQLite itself calls them
	ownOf := map[string][]string{sqlstore.ScopesTable: {"name"}}
	ownTables := []string{"schema"}

	path := filepath.Join(t.TempDir(), "store.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), `SELECT substr(m.name, 11), c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name LIKE 'provision\_%' ESCAPE '\' ORDER BY m.name, c.cid`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	stored := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(ownTables, table) && !slices.Contains(own, column) && !slices.Contains(ownOf[table], column) {
			stored[table] = append(stored[table], column)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, columns := range []map[string][]string{kept, stored} {
		for _, list := range columns {
			slices.Sort(list)
		}
	}
	if diff := cmp.Diff(stored, kept); diff != "" {
		t.Errorf("columns (-schema +copied):\n%s", diff)
	}
}
