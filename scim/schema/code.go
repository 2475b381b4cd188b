package schema

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code says for programs and documents why an input was refused. It is finer than
// a scimType and never changes its meaning. Package scim lists all codes.
type Code string

// The codes of this package and of package patch.
const (
	CodeBadJSON        Code = "bad_json"        // not JSON, or not one value
	CodeNotAnObject    Code = "not_an_object"   // the body is no JSON object
	CodeTooDeep        Code = "too_deep"        // nested too deeply
	CodeLongString     Code = "long_string"     // a string beyond the limit of all strings
	CodeDuplicateKey   Code = "duplicate_key"   // two keys, or two spellings, of one attribute
	CodeMissingSchema  Code = "missing_schema"  // schemas does not list what it must
	CodeWrongType      Code = "wrong_type"      // another JSON type than the attribute has
	CodeBadNumber      Code = "bad_number"      // too many digits, or not a whole number
	CodeBadTime        Code = "bad_time"        // not a dateTime
	CodeBadBase64      Code = "bad_base64"      // not base64
	CodeTooLong        Code = "too_long"        // beyond the limit of an indexed attribute
	CodeBadCharacter   Code = "bad_character"   // a character that the attribute must not have
	CodeRequired       Code = "required"        // a required attribute is missing, or would be
	CodeSeveralValues  Code = "several_values"  // several values for one
	CodeSeveralPrimary Code = "several_primary" // more than one primary value

	CodeBadOperation      Code = "bad_operation"       // of a PATCH: not in the shape of RFC 7644 section 3.5.2
	CodeMissingValue      Code = "missing_value"       // an add or replace has none
	CodeBadPath           Code = "bad_path"            // a path that does not parse
	CodeUnknownAttribute  Code = "unknown_attribute"   // a path or key that names none
	CodeBadFilter         Code = "bad_filter"          // a filter that does not parse, or not fit
	CodeNoTarget          Code = "no_target"           // a path selects nothing
	CodeReadOnly          Code = "read_only"           // a change of what the server makes
	CodeImmutable         Code = "immutable"           // a change of what is set once
	CodeTooManyOperations Code = "too_many_operations" // of one request
	CodeTooManyElements   Code = "too_many_elements"   // that a PATCH looks at
	CodeEmptyMember       Code = "empty_member"        // a member without a value
)

// maxQuoted is how many bytes of a value an error quotes.
const maxQuoted = 64

// Quoted returns a value for the text of an error: JSON as it was sent, shortened,
// with escapes for characters that nobody sees.
func Quoted(json string) string {
	cut := ""
	if len(json) > maxQuoted {
		end := maxQuoted
		for end > 0 && !utf8.RuneStart(json[end]) {
			end--
		}
		json, cut = json[:end], "..."
	}
	var b strings.Builder
	for _, r := range json {
		if r < ' ' || !unicode.IsGraphic(r) {
			b.WriteString(escape(r))
			continue
		}
		b.WriteRune(r)
	}
	return b.String() + cut
}

// QuotedText is [Quoted] for a text.
func QuotedText(text string) string { return Quoted(string(appendString(nil, text))) }

// escape returns the escape of a character in JSON.
func escape(r rune) string {
	const digits = "0123456789abcdef"
	unit := func(c rune) string {
		return `\u` + string([]byte{digits[c>>12&15], digits[c>>8&15], digits[c>>4&15], digits[c&15]})
	}
	if r < 0x10000 {
		return unit(r)
	}
	r -= 0x10000
	return unit(0xd800+r>>10) + unit(0xdc00+r&0x3ff)
}

// about names the value that an error is about, as it was sent, where the error
// does not name one yet.
func about(a *Attribute, value string, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // made by this package, never wrapped
	if !ok || value == "" || value[0] == '{' || value[0] == '[' {
		return err
	}
	rest, ok := strings.CutPrefix(e.Detail, a.notation+": ")
	if !ok {
		return err
	}
	named := *e
	named.Detail = a.notation + " " + Quoted(strings.TrimSpace(value)) + ": " + rest
	return &named
}

// inElement says in which element of a an error is.
func inElement(a *Attribute, index int, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // made by this package, never wrapped
	if !ok {
		return err
	}
	rest, ok := strings.CutPrefix(e.Detail, a.notation)
	if !ok || rest == "" || rest[0] != '.' && rest[0] != ':' && rest[0] != ' ' {
		return err
	}
	placed := *e
	placed.Detail = a.notation + "[" + strconv.Itoa(index) + "]" + rest
	return &placed
}
