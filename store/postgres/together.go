package postgres

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// mostLegs is how many reads are made one at most.
const mostLegs = 8

// together returns reads with those as one that have the same columns: each statement
// costs the server more than a row that it finds by an index. The rows of each begin with
// its number.
func together(reads []statement) []statement {
	out := reads[:0:0]
	legs := map[string][]statement{} // by their columns
	var order []string
	for _, st := range reads {
		columns := columnsOf(st.query)
		if columns == "" || st.legs != nil {
			out = append(out, st)
			continue
		}
		if legs[columns] == nil {
			order = append(order, columns)
		}
		legs[columns] = append(legs[columns], st)
	}
	for _, columns := range order {
		for list := range slices.Chunk(legs[columns], mostLegs) {
			out = append(out, union(list))
		}
	}
	return out
}

// columnsOf returns what a statement selects, or "" where it cannot be a leg. Those that
// select the same text have the same columns.
func columnsOf(query string) string {
	columns, _, _ := strings.Cut(query, " FROM ")
	if !strings.HasPrefix(columns, "SELECT ") || strings.Contains(query, " UNION ") {
		return ""
	}
	return columns
}

// union returns reads as one statement.
func union(legs []statement) statement {
	if len(legs) == 1 {
		return legs[0]
	}
	var (
		text strings.Builder
		args []any
	)
	for i, leg := range legs {
		if i > 0 {
			text.WriteString(" UNION ALL ")
		}
		text.WriteString("SELECT " + strconv.Itoa(i) + " AS leg, q.* FROM (" + leg.query + ") AS q")
		args = append(args, leg.args...)
	}
	return statement{query: text.String(), args: args, legs: legs}
}

// apart returns the results of the legs of a statement.
func (r *result) apart(types *pgtype.Map) ([]*result, error) {
	found := make([]*result, len(r.of.legs))
	for i, leg := range r.of.legs {
		found[i] = &result{of: leg, fields: r.fields[1:]}
	}
	for _, values := range r.rows {
		var leg int
		if err := types.Scan(r.fields[0].DataTypeOID, r.fields[0].Format, values[0], &leg); err != nil {
			return nil, err
		}
		found[leg].rows = append(found[leg].rows, values[1:])
	}
	return found, nil
}
