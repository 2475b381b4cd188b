package jit

import "fmt"

// MappingError says what is wrong with the settings of a mapping.
type MappingError struct {
	Setting string // "preset" or "mapping"
	Value   string // the preset, or the key of the override
	Reason  string
}

// Error implements error.
func (e *MappingError) Error() string {
	return fmt.Sprintf("jit: %s %q: %s [%s]", e.Setting, e.Value, e.Reason, e.Code())
}

// Code is stable: that of the setting of a connection, such as "setting_saml_preset".
func (e *MappingError) Code() string { return "setting_saml_" + e.Setting }

// Problem is what is wrong with the form of an asserted text.
type Problem string

// The problems of [AttributeError].
const (
	// InvalidUTF8: the bytes are not text.
	InvalidUTF8 Problem = "not valid UTF-8"

	// ControlCharacter: a control character, or a separator of lines or
	// paragraphs, inside the text.
	ControlCharacter Problem = "control character"

	// FormatCharacter: a character that is not seen, such as a zero-width space,
	// in what names a person.
	FormatCharacter Problem = "invisible character"

	// NotText: something else than plain text, such as XML with elements.
	NotText Problem = "not plain text"

	// TooLong: more than provision.MaxIdentityText bytes.
	TooLong Problem = "too long"

	// Ambiguous: different values of what identifies one person.
	Ambiguous Problem = "several different values"

	// TooMany: more than provision.MaxIdentityGroups groups.
	TooMany Problem = "too many values"
)

// AttributeError says that an attribute of an assertion cannot be used. It
// holds no value of the attribute. Where a character is to blame, an error around
// it names that as U+200B.
type AttributeError struct {
	Field     string // what it was for: "email", or "NameID"
	Attribute string // by which name it was found, as the mapping has it
	Problem   Problem
}

// Error implements error.
func (e *AttributeError) Error() string {
	return fmt.Sprintf("jit: %s: attribute %q: %s", e.Field, e.Attribute, e.Problem)
}
