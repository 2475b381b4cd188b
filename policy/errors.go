package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ConfigError says what is wrong with a configuration: which option, which
// value, and where.
type ConfigError struct {
	// Code is stable: one of the constants.
	Code string

	// Option is the JSON key of the option, such as "requiredGroups" or
	// "roles[1].groups". It is empty where the fault belongs to no option.
	Option string

	// Value is what was given, as text.
	Value string

	// Offset is the byte at which the fault begins. It counts in Value, or in
	// the JSON document if Document is set.
	Offset int

	// Document says that the fault is one of the JSON text, such as an unknown
	// or duplicate key or a value of the wrong type, and that Offset counts in
	// it. Value is JSON then, or a key.
	Document bool

	// Detail says what is wrong, in plain words that follow the value: "is not
	// one of disable, delete".
	Detail string
}

// The codes of a [ConfigError].
const (
	CodeNotJSON       = "option_not_json"      // the text is no JSON
	CodeUnknownOption = "option_unknown"       // no option, or key of a role, has this name
	CodeTwice         = "option_twice"         // a key or a name is there twice
	CodeWrongType     = "option_wrong_type"    // such as a number in the place of a text
	CodeUnknownValue  = "option_unknown_value" // none of the right words
	CodeOutOfRange    = "option_out_of_range"  // a number that is too small or too large
	CodeNotText       = "option_not_text"      // bytes that are no UTF-8
	CodeEmpty         = "option_empty_entry"   // an entry of a list is blank, or a text has no entry
	CodeTooMany       = "option_too_many"      // more than MaxPatterns entries
	CodeTooLong       = "option_too_long"      // an entry of more than MaxPatternLength characters
	CodeQuote         = "option_quote"         // quotes that do not match
	CodePattern       = "option_pattern"       // an unknown escape, or id: without an id
	CodeTimeZone      = "option_time_zone"     // no time zone has this name
	CodeDomain        = "option_domain"        // no domain
	CodeNoRole        = "option_no_role"       // a row of roles without a role
	CodeEveryone      = "option_everyone"      // would make everyone a site admin
)

// Error names the option, the value, the place and the code.
func (e *ConfigError) Error() string {
	text := "policy: "
	if e.Option != "" && e.Option != e.Value {
		text = fmt.Sprintf("policy option %q: ", e.Option)
	}
	text += e.Fault()
	if e.Code != "" {
		text += " [" + e.Code + "]"
	}
	return text
}

// Fault is the message without the option and the code, for a form that shows it beside the
// field.
func (e *ConfigError) Fault() string {
	var place string
	switch {
	case e.Document:
		place = fmt.Sprintf(" (byte %d of the JSON)", e.Offset)
	case e.Offset > 0:
		place = fmt.Sprintf(" (byte %d)", e.Offset)
	}
	return e.subject() + " " + e.Detail + place
}

// subject is the value as text in a message. A long one is cut, so that it does
// not hide what is wrong with it.
func (e *ConfigError) subject() string {
	const most = 80
	value, dots := e.Value, ""
	n := 0
	for i := range value {
		if n++; n > most {
			value, dots = value[:i], "..."
			break
		}
	}
	if e.Document && json.Valid([]byte(e.Value)) && !strings.ContainsFunc(value, unprintable) {
		return value + dots // it has quotes if it is text
	}
	return strconv.Quote(value) + dots
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }

// at returns e as a fault of the named option. It returns an untyped nil for a
// nil e.
func (e *ConfigError) at(option string) error {
	if e == nil {
		return nil
	}
	e.Option = option
	return e
}
