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

// Error names the option, the value and the place.
func (e *ConfigError) Error() string {
	if e.Option == "" || e.Option == e.Value {
		return "policy: " + e.Fault()
	}
	return fmt.Sprintf("policy option %q: %s", e.Option, e.Fault())
}

// Fault is the message without the option, for a form that shows it beside the
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
