package filter

import (
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// operator is one row of the table of operators.
type operator struct {
	name    ast.CompareOperator
	compare store.Operator // 0 for "pr"
	types   typeSet        // attributes that it compares
}

// typeSet has the bit 1<<t for each schema.Type t in it.
type typeSet uint16

const (
	textual  typeSet = 1<<schema.String | 1<<schema.Reference | 1<<schema.Binary
	ordered  typeSet = 1<<schema.String | 1<<schema.Reference | 1<<schema.Decimal | 1<<schema.Integer | 1<<schema.DateTime
	allTypes typeSet = textual | ordered | 1<<schema.Boolean
)

// operators is the table of RFC 7644 section 3.4.2.2, the most frequent first.
// Names have two letters. Ordering booleans or binary data is an error there.
var operators = [...]operator{
	{ast.EQ, store.EQ, allTypes},
	{ast.PR, 0, allTypes},
	{ast.NE, store.NE, allTypes},
	{ast.CO, store.CO, textual},
	{ast.SW, store.SW, textual},
	{ast.EW, store.EW, textual},
	{ast.GT, store.GT, ordered},
	{ast.GE, store.GE, ordered},
	{ast.LT, store.LT, ordered},
	{ast.LE, store.LE, ordered},
}

// operatorOf returns the row of an operator of a syntax tree, or nil.
func operatorOf(name ast.CompareOperator) *operator {
	for i := range operators {
		if operators[i].name == name {
			return &operators[i]
		}
	}
	return nil
}
