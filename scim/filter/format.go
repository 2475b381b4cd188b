package filter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	ast "github.com/scim2/filter-parser/v2"
)

// Format writes a filter so that [Parse] reads the same expression again, with
// no more parentheses than that needs. Besides the values that Parse gives,
// it writes those of the library's own parser: int and float64.
func Format(e ast.Expression) string {
	return string(appendExpression(nil, e, loosest))
}

// FormatPath writes a path so that [ParsePath] reads the same path again.
func FormatPath(p ast.Path) string {
	b := appendAttribute(nil, p.AttributePath)
	if p.ValueExpression != nil {
		b = append(b, '[')
		b = appendExpression(b, p.ValueExpression, loosest)
		b = append(b, ']')
	}
	if p.SubAttribute != nil {
		b = append(b, '.')
		b = append(b, *p.SubAttribute...)
	}
	return string(b)
}

// binding says how tightly the place of an expression binds.
type binding int

const (
	loosest    binding = iota // alone, or the left side of "or"
	rightOfOr                 // also the left side of "and"
	rightOfAnd                // the tightest
)

// needs returns the tightest places that the two sides of an operator and the
// operator itself can stand in without parentheses.
func needs(o ast.LogicalOperator) (left, right, self binding) {
	if o == ast.AND {
		return rightOfOr, rightOfAnd, rightOfOr
	}
	return loosest, rightOfOr, loosest
}

func appendExpression(b []byte, e ast.Expression, place binding) []byte {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		left, right, self := needs(e.Operator)
		if place > self {
			b = append(b, '(')
		}
		b = appendExpression(b, e.Left, left)
		b = append(b, ' ')
		b = append(b, e.Operator...)
		b = append(b, ' ')
		b = appendExpression(b, e.Right, right)
		if place > self {
			b = append(b, ')')
		}
	case *ast.NotExpression:
		b = append(b, "not ("...)
		b = appendExpression(b, e.Expression, loosest)
		b = append(b, ')')
	case *ast.ValuePath:
		b = appendAttribute(b, e.AttributePath)
		b = append(b, '[')
		b = appendExpression(b, e.ValueFilter, loosest)
		b = append(b, ']')
	case *ast.AttributeExpression:
		b = appendAttribute(b, e.AttributePath)
		b = append(b, ' ')
		b = append(b, e.Operator...)
		if e.Operator != ast.PR {
			b = append(b, ' ')
			b = appendValue(b, e.CompareValue)
		}
	}
	return b
}

func appendAttribute(b []byte, p ast.AttributePath) []byte {
	if p.URIPrefix != nil {
		b = append(b, *p.URIPrefix...)
		b = append(b, ':')
	}
	b = append(b, p.AttributeName...)
	if p.SubAttribute != nil {
		b = append(b, '.')
		b = append(b, *p.SubAttribute...)
	}
	return b
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case json.Number:
		return append(b, v...)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	default: // bool, int
		return fmt.Append(b, v)
	}
}

// appendString writes a JSON string. Only what must be escaped is.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
