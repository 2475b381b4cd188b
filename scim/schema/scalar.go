package schema

import (
	"strings"
	"time"
)

// scalar reads a value that is neither an object nor an array.
func (r *reader) scalar(a *Attribute) (Kind, string, error) {
	if r.decoder == nil { // a stored document, which was checked before
		return r.stored(a)
	}
	start := r.pos
	kind, text, err := r.scalarOf(a)
	if err != nil {
		err = about(a, r.src[start:min(r.pos, len(r.src))], err)
	}
	return kind, text, err
}

// stored reads a scalar of a stored document.
func (r *reader) stored(a *Attribute) (Kind, string, error) {
	switch c := r.peek(); c {
	case '{', '[':
		return Unassigned, "", expected(a, a.expects(), c)
	case '"':
		text, err := r.text()
		return Text, text, err
	default:
		literal, err := r.literal()
		if err != nil || literal == "null" {
			return Unassigned, "", err
		}
		return Literal, literal, nil
	}
}

func (r *reader) scalarOf(a *Attribute) (Kind, string, error) {
	switch c := r.peek(); c {
	case '{':
		return r.wrapped(a)
	case '[':
		return Unassigned, "", expected(a, a.expects(), c)
	case '"':
		text, err := r.text()
		if err != nil {
			return Text, text, err
		}
		return r.fromText(a, text)
	default:
		literal, err := r.literal()
		if err != nil || literal == "null" {
			return Unassigned, "", err
		}
		return r.fromLiteral(a, literal)
	}
}

// fromText makes a value of a JSON string. Blank text for a required attribute
// stays, so that it is reported as missing instead of being dropped.
func (r *reader) fromText(a *Attribute, text string) (Kind, string, error) {
	needed := a.Required && a.Type == String
	if !needed && strings.TrimSpace(text) == "" && r.decoder.Use(EmptyAsAbsent) {
		return Unassigned, "", nil
	}
	switch a.Type {
	case String, Reference:
		return a.text(text)
	case DateTime:
		if isDateTime(text) {
			return Text, text, nil
		}
		return Unassigned, "", invalidValue(a, CodeBadTime, "expected a dateTime such as 2011-08-01T21:32:44Z")
	case Binary:
		if isBase64(text) {
			return Text, text, nil
		}
		if text = unarmored(text); text != "" && isBase64(text) && r.decoder.Use(ArmoredBinary) {
			return Text, text, nil
		}
		return Unassigned, "", invalidValue(a, CodeBadBase64, "expected base64 text")
	case Boolean:
		if literal := booleanText(text); literal != "" && r.decoder.Use(TextBooleans) {
			return Literal, literal, nil
		}
	case Integer, Decimal:
		if isNumber(text) && r.decoder.Use(NumberText) {
			return a.number(text)
		}
	}
	return Unassigned, "", expected(a, a.expects(), '"')
}

// fromLiteral makes a value of a JSON number or boolean.
func (r *reader) fromLiteral(a *Attribute, literal string) (Kind, string, error) {
	boolean := literal == "true" || literal == "false"
	switch a.Type {
	case Boolean:
		if boolean {
			return Literal, literal, nil
		}
		if literal = booleanText(literal); literal != "" && r.decoder.Use(TextBooleans) {
			return Literal, literal, nil
		}
	case Integer, Decimal:
		if !boolean {
			return a.number(literal)
		}
	case String, Reference:
		if r.decoder.Use(NumberText) {
			return a.text(literal)
		}
	}
	if boolean {
		return Unassigned, "", expected(a, a.expects(), 't')
	}
	return Unassigned, "", expected(a, a.expects(), '0')
}

// text makes a value of a string or reference attribute.
func (a *Attribute) text(text string) (Kind, string, error) {
	if r, before, bad := a.Characters.refused(text); bad {
		return Unassigned, "", invisible(a, r, before)
	}
	if a.Indexed && len(text) > MaxIndexed {
		return Unassigned, "", invalidValue(a, CodeTooLong, "longer than 1024 bytes")
	}
	return Text, text, nil
}

// maxNumber is how long the literal of a number may be. Together with the
// bound of the exponent it bounds the cost of comparing exactly.
const maxNumber = 100

// number makes a value of the literal of a number, which stays as it was
// written. An integer has neither a fraction nor an exponent (RFC 7643 section
// 2.3.4); a decimal has an exponent of at most three digits.
func (a *Attribute) number(literal string) (Kind, string, error) {
	if len(literal) > maxNumber {
		return Unassigned, "", invalidValue(a, CodeBadNumber, "a number with too many digits")
	}
	if i := strings.IndexAny(literal, ".eE"); i >= 0 && a.Type == Integer {
		return Unassigned, "", invalidValue(a, CodeBadNumber, "expected an integer, without fraction and exponent")
	}
	if i := strings.IndexAny(literal, "eE"); i >= 0 && len(strings.TrimLeft(literal[i+1:], "+-0")) > 3 {
		return Unassigned, "", invalidValue(a, CodeBadNumber, "a number with too large an exponent")
	}
	if a.Type == Integer && literal == "-0" {
		literal = "0"
	}
	return Literal, literal, nil
}

func booleanText(text string) string {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1":
		return "true"
	case "false", "0":
		return "false"
	default:
		return ""
	}
}

// isNumber reports whether a text is a JSON number.
func isNumber(text string) bool {
	s := strings.TrimPrefix(text, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		fraction := digits(s[1:])
		if fraction == 0 {
			return false
		}
		s = s[1+fraction:]
	}
	if s != "" && lowerASCII(s[0]) == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		exponent := digits(s)
		return exponent > 0 && exponent == len(s)
	}
	return s == ""
}

// digits returns how many decimal digits a text begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// isDateTime reports whether a text is an xsd:dateTime (RFC 7643 section 2.3.5)
// of the years 0000 to 9999. The time zone is optional.
func isDateTime(text string) bool {
	const shape = "0000-00-00T00:00:00"
	if len(text) < len(shape) {
		return false
	}
	for i := range len(shape) {
		digit := '0' <= text[i] && text[i] <= '9'
		if shape[i] == '0' && !digit || shape[i] != '0' && text[i] != shape[i] {
			return false
		}
	}
	zone := text[len(shape):]
	if strings.HasPrefix(zone, ".") {
		n := digits(zone[1:])
		if n == 0 {
			return false
		}
		zone = zone[1+n:]
	}
	if _, err := time.Parse("2006-01-02T15:04:05", text[:len(shape)]); err != nil {
		return false
	}
	if zone == "" || zone == "Z" {
		return true
	}
	_, err := time.Parse("-07:00", zone)
	return err == nil
}

// isBase64 reports whether a text is base64, in the standard or the URL-safe
// alphabet (RFC 7643 section 2.3.6), with or without padding.
func isBase64(text string) bool {
	body := strings.TrimRight(text, "=")
	padding := len(text) - len(body)
	if padding > 2 || padding > 0 && len(text)%4 != 0 || len(body)%4 == 1 {
		return false
	}
	standard, safe := true, true
	for i := range len(body) {
		c := body[i]
		switch lower := lowerASCII(c); {
		case 'a' <= lower && lower <= 'z', '0' <= c && c <= '9':
		case c == '+', c == '/':
			safe = false
		case c == '-', c == '_':
			standard = false
		default:
			return false
		}
	}
	return standard || safe
}

// expects names the JSON form of one value of the attribute.
func (a *Attribute) expects() string {
	switch a.Type {
	case Complex:
		return "an object"
	case Boolean:
		return "a boolean"
	case Integer:
		return "an integer"
	case Decimal:
		return "a number"
	default:
		return "a string"
	}
}

func expected(a *Attribute, want string, got byte) *Error {
	return invalidValue(a, CodeWrongType, "expected "+want+", got "+article(got))
}
