package sqlstore

import (
	"strings"

	"github.com/scimjit/provision/store"
)

// ColumnType is what the values of a column are.
type ColumnType uint8

// The types of columns.
const (
	Text       ColumnType = iota + 1 // a string
	NullText                         // a string or nil
	Number                           // an int64
	NullNumber                       // an int64 or nil
	Flag                             // a bool
	Bytes                            // a []byte
)

// Column is a column of a [Table].
type Column struct {
	Name string
	Type ColumnType
}

// Table is a table as it is copied to another store.
type Table struct {
	Name    string   // without the prefix
	Key     int      // so many columns, the first ones, are its key in a scope
	Columns []Column // without the scope
}

// ScopesTable is the table whose row of a scope says that the scope is there.
const ScopesTable = "scopes"

// Tables are all that belong to a scope and are worth keeping, in the order in which
// they are copied.
var Tables = []Table{
	{"types", 1, []Column{{"type", Text}, {"count", Number}, {"mark", Number}}},
	{"resources", 1, []Column{
		{"position", Number}, {"type", Text}, {"id", Text}, {"version", Number}, {"created", Text}, {"modified", Text},
		{"display", Text}, {"source", Text}, {"keys", Text}, {"document", Text},
	}},
	{"keys", 4, []Column{{"attribute", Text}, {"value", Text}, {"type", Text}, {"slot", Number}, {"position", Number}}},
	{"members", 3, []Column{{"group_id", Text}, {"member_id", Text}, {"source", Text}, {"kind", Text}, {"stage", NullNumber}}},
	{"stages", 1, []Column{{"number", Number}}},
	{"accounts", 1, []Column{
		{"id", Text}, {"resource_id", NullText}, {"user_name", NullText}, {"external_id", NullText}, {"email", NullText},
		{"status", Text}, {"site_admin", Flag}, {"data", Text},
	}},
	{"events", 1, []Column{{"sequence", Number}, {"account", NullText}, {"data", Text}}},
	{"log", 2, []Column{{"part", Number}, {"number", Number}, {"keys", Text}, {"data", Text}}},
	{"log_keys", 3, []Column{{"part", Number}, {"key", Text}, {"number", Number}}},
	{"records", 2, []Column{{"kind", Text}, {"key", Text}, {"version", Number}, {"expires", NullText}, {"value", Bytes}}},
	{ScopesTable, 0, []Column{{"position", Number}, {"sequence", Number}, {"pruned", Number}}},
}

// TableNamed returns the table with a name.
func TableNamed(name string) (Table, bool) {
	for _, t := range Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Names returns the names of the first columns as a list of a statement.
func (t *Table) Names(n int) string {
	list := make([]string, n)
	for i, c := range t.Columns[:n] {
		list[i] = c.Name
	}
	return strings.Join(list, ", ")
}

// ResourcesThrough is the condition by which resources are copied: there is no need to
// look beyond the last position of the scope.
const ResourcesThrough = `scope = ? AND position <= ?`

const (
	copyRows  = 1000
	copyBytes = 4 << 20
)

// Export implements [store.Exporter], with the reader of a snapshot.
func (r *Reader) Export(put func(store.Rows) error) error {
	state, err := ReadState(r.conn, r.scope)
	if err != nil {
		return err
	}
	for _, t := range Tables {
		if err := r.export(&t, state.Position, put); err != nil {
			return err
		}
	}
	return nil
}

// export reads a table page by page.
func (r *Reader) export(t *Table, last int64, put func(store.Rows) error) error {
	key := t.Names(t.Key)
	where, args := `scope = ?`, []any{r.scope}
	if t.Name == "resources" {
		where, args = ResourcesThrough, append(args, last)
	}
	head := `SELECT ` + t.Names(len(t.Columns)) + ` FROM ` + DefaultPrefix + t.Name + ` WHERE ` + where
	order := ``
	if t.Key > 0 {
		order = ` ORDER BY ` + key + ` LIMIT CAST(? AS BIGINT)`
	}
	next := head + ` AND (` + key + `) > (?` + strings.Repeat(`, ?`, max(t.Key-1, 0)) + `)` + order
	query := head + order
	for after := []any(nil); ; query = next {
		list := append(append([]any{}, args...), after...)
		if t.Key > 0 {
			list = append(list, int64(copyRows))
		}
		rows := store.Rows{Table: t.Name}
		for _, c := range t.Columns {
			rows.Columns = append(rows.Columns, c.Name)
		}
		size := 0
		err := r.conn.Query(query, func(row Scanner) error {
			values, n, err := scanRow(row, t.Columns)
			if err != nil {
				return err
			}
			rows.Values = append(rows.Values, values)
			if size += n; size >= copyBytes {
				return ErrEnough
			}
			return nil
		}, list...)
		if err != nil {
			return err
		}
		if len(rows.Values) > 0 {
			if err := put(rows); err != nil {
				return err
			}
		}
		if t.Key == 0 || len(rows.Values) < copyRows && size < copyBytes {
			return nil
		}
		after = rows.Values[len(rows.Values)-1][:t.Key]
	}
}

// scanRow reads the columns of a row, and returns about how large it is.
func scanRow(row Scanner, columns []Column) (values []any, size int, err error) {
	into := make([]any, len(columns))
	for i, c := range columns {
		switch c.Type {
		case Text:
			into[i] = new(string)
		case NullText:
			into[i] = new(*string)
		case Number:
			into[i] = new(int64)
		case NullNumber:
			into[i] = new(*int64)
		case Flag:
			into[i] = new(bool)
		case Bytes:
			into[i] = new([]byte)
		}
	}
	if err := row.Scan(into...); err != nil {
		return nil, 0, err
	}
	values = make([]any, len(columns))
	size = 16 * len(columns)
	for i, v := range into {
		switch v := v.(type) {
		case *string:
			values[i] = *v
			size += len(*v)
		case **string:
			if *v != nil {
				values[i] = **v
				size += len(**v)
			}
		case *int64:
			values[i] = *v
		case **int64:
			if *v != nil {
				values[i] = **v
			}
		case *bool:
			values[i] = *v
		case *[]byte:
			values[i] = append([]byte{}, *v...) // never nil
			size += len(*v)
		}
	}
	return values, size, nil
}
