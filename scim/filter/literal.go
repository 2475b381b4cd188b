package filter

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/scim/schema"
)

// literal converts a comparison value to the form that the type of a, which is
// not complex, asks for in a store.Compare.
func literal(a *schema.Attribute, value any, loose bool) (string, *Error) {
	switch a.Type {
	case schema.Boolean:
		return booleanLiteral(a, value, loose)
	case schema.Integer, schema.Decimal:
		return numberLiteral(a, value)
	case schema.DateTime:
		return timeLiteral(a, value)
	}
	text, ok := value.(string)
	if !ok && loose {
		text, ok = fmt.Sprint(value), true
	}
	if !ok {
		return "", failed("%q is compared with text in double quotes", a)
	}
	return text, nil
}

func booleanLiteral(a *schema.Attribute, value any, loose bool) (string, *Error) {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		if loose && (strings.EqualFold(v, "true") || v == "1") {
			return "true", nil
		}
		if loose && (strings.EqualFold(v, "false") || v == "0") {
			return "false", nil
		}
	}
	return "", failed("%q is compared with true or false", a)
}

func numberLiteral(a *schema.Attribute, value any) (string, *Error) {
	switch v := value.(type) {
	case json.Number:
		return string(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			return strconv.FormatFloat(v, 'g', -1, 64), nil
		}
	}
	return "", failed("%q is compared with a number", a)
}

// timeLiteral takes the dateTime of RFC 7643 section 2.3.5. One without an
// offset is in UTC.
func timeLiteral(a *schema.Attribute, value any) (string, *Error) {
	if text, ok := value.(string); ok {
		for _, suffix := range [...]string{"", "Z"} {
			if _, err := time.Parse(time.RFC3339Nano, text+suffix); err == nil {
				return text + suffix, nil
			}
		}
	}
	return "", failed(`%q is compared with a dateTime such as "2008-01-23T04:56:22Z"`, a)
}
