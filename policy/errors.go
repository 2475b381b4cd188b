package policy

import "fmt"

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
	// it.
	Document bool

	// Detail says what is wrong, in plain words.
	Detail string
}

// Error names the option, the value and the place.
func (e *ConfigError) Error() string {
	in := "the value"
	if e.Document {
		in = "the document"
	}
	if e.Option == "" {
		return fmt.Sprintf("policy: %s: %s, at byte %d of %s", excerpt(e.Value), e.Detail, e.Offset, in)
	}
	return fmt.Sprintf("policy: option %s: %s: %s, at byte %d of %s", e.Option, excerpt(e.Value), e.Detail, e.Offset, in)
}

// excerpt quotes the beginning of a value, so that a long one does not hide what
// is wrong with it.
func excerpt(value string) string {
	const most = 80
	n := 0
	for i := range value {
		if n++; n > most {
			return fmt.Sprintf("%q...", value[:i])
		}
	}
	return fmt.Sprintf("%q", value)
}

// at returns e as a fault of the named option. It returns an untyped nil for a
// nil e.
func (e *ConfigError) at(option string) error {
	if e == nil {
		return nil
	}
	e.Option = option
	return e
}
