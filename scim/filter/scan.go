package filter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	ast "github.com/scim2/filter-parser/v2"
)

// class is a set of roles that a byte may have in a filter.
type class uint8

const (
	blank   class = 1 << iota // white space between tokens
	initial                   // first in an attribute name
	naming                    // further in an attribute name
	word                      // in an attribute path with its URN
	plain                     // in a string, standing for itself
	bare                      // in a text without quotes
)

// classes has the roles of each byte. A URN may hold what RFC 8141 section 2
// allows, except for parentheses, which delimit here.
var classes = func() (t [256]class) {
	for c := byte(0x20); c < 0x7f; c++ {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			t[c] = initial | naming | word
		case '0' <= c && c <= '9', c == '-', c == '_', c == '$':
			t[c] = naming | word
		case strings.IndexByte(".:~%/!&'*+,;=@", c) >= 0:
			t[c] = word
		}
		if c != '"' && c != '\\' {
			t[c] |= plain
		}
		if strings.IndexByte(" ()[]\"\\", c) < 0 {
			t[c] |= bare
		}
	}
	for c := 0x80; c <= 0xff; c++ {
		t[c] = bare
	}
	t[0x7f] = plain
	for _, c := range []byte(" \t\r\n") {
		t[c] |= blank
	}
	return t
}()

// scanner reads the tokens of one text. It knows no grammar beyond them: the
// parser says which token must come next. It holds no memory but the text.
type scanner struct {
	text   string
	pos    int
	limits Limits
	depth  int // open parentheses and brackets
	terms  int // attribute expressions so far
}

func (s *scanner) expected(offset int, what string) *Error {
	return &Error{Offset: offset, Detail: fmt.Sprintf("expected %s at offset %d", what, offset)}
}

// length checks the size of the text.
func (s *scanner) length() *Error {
	if len(s.text) <= s.limits.Bytes {
		return nil
	}
	return &Error{Offset: s.limits.Bytes, Detail: fmt.Sprintf("longer than %d bytes", s.limits.Bytes)}
}

// open enters a parenthesis or bracket at the current place.
func (s *scanner) open() *Error {
	if s.depth == s.limits.Depth {
		return &Error{Offset: s.pos, Detail: fmt.Sprintf("nested deeper than %d at offset %d", s.limits.Depth, s.pos)}
	}
	s.depth++
	s.pos++
	return nil
}

// close leaves a parenthesis or bracket, which must end here.
func (s *scanner) close(c byte, what string) *Error {
	if s.peek() != c {
		return s.expected(s.pos, what)
	}
	s.depth--
	s.pos++
	return nil
}

// term counts an attribute expression that starts at offset.
func (s *scanner) term(offset int) *Error {
	if s.terms == s.limits.Terms {
		return &Error{Offset: offset, Detail: fmt.Sprintf("more than %d terms at offset %d", s.limits.Terms, offset)}
	}
	s.terms++
	return nil
}

// peek skips white space and returns the next byte, 0 at the end. (A byte 0 of
// the text begins no token, so that it is an error all the same.)
func (s *scanner) peek() byte {
	for ; s.pos < len(s.text); s.pos++ {
		if c := s.text[s.pos]; classes[c]&blank == 0 {
			return c
		}
	}
	return 0
}

// ended reports whether only white space is left.
func (s *scanner) ended() bool {
	s.peek()
	return s.pos == len(s.text)
}

// run returns the end of the run of bytes of a class from an offset.
func (s *scanner) run(offset int, c class) int {
	for offset < len(s.text) && classes[s.text[offset]]&c != 0 {
		offset++
	}
	return offset
}

// keyword skips a word, given in lower case, where it comes next in any case.
func (s *scanner) keyword(lower string) bool {
	if s.peek()|0x20 != lower[0] {
		return false
	}
	end := s.pos + len(lower)
	if end > len(s.text) || !strings.EqualFold(s.text[s.pos:end], lower) {
		return false
	}
	if end < len(s.text) && classes[s.text[end]]&word != 0 {
		return false
	}
	s.pos = end
	return true
}

// name scans an attribute name (RFC 7643 section 2.1), or "$ref". It returns
// an empty string where there is none.
func (s *scanner) name() string {
	start := s.pos
	first := start
	if first < len(s.text) && s.text[first] == '$' {
		first++
	}
	if first == len(s.text) || classes[s.text[first]]&initial == 0 {
		return ""
	}
	s.pos = s.run(first, naming)
	return s.text[start:s.pos]
}

// attribute scans an attribute path: [URN ":"] name ["." name].
func (s *scanner) attribute() (ast.AttributePath, *Error) {
	s.peek()
	start := s.pos
	if name := s.name(); name != "" && (s.pos == len(s.text) || classes[s.text[s.pos]]&word == 0) {
		return ast.AttributePath{AttributeName: name}, nil
	}

	// The last colon separates: a URN has dots and digits of its own.
	var path ast.AttributePath
	end := s.run(start, word)
	s.pos = start
	if colon := strings.LastIndexByte(s.text[start:end], ':'); colon > 0 {
		urn := s.text[start : start+colon]
		path.URIPrefix = &urn
		s.pos = start + colon + 1
	}
	last := s.pos
	path.AttributeName = s.name()
	ok := path.AttributeName != ""
	if ok && s.pos < end && s.text[s.pos] == '.' {
		s.pos++
		sub := s.name()
		path.SubAttribute = &sub
		ok = sub != ""
	}
	if ok && s.pos == end {
		return path, nil
	}
	if path.URIPrefix != nil && last < end && len(*path.URIPrefix) > 3 && strings.EqualFold((*path.URIPrefix)[:4], "urn:") {
		// A URN such as "urn:example:2.0", which ends in no name.
		s.pos = end
		return ast.AttributePath{AttributeName: s.text[start:end]}, nil
	}
	return ast.AttributePath{}, s.expected(s.pos, "an attribute name")
}

// number scans a JSON number. A word cannot follow at once: "0or" is neither a number
// and a keyword, nor the same with and without leniency.
func (s *scanner) number() (json.Number, *Error) {
	start, end := s.pos, s.pos
	at := func(c byte) bool { return end < len(s.text) && s.text[end] == c }
	digits := func() bool {
		from := end
		for end < len(s.text) && '0' <= s.text[end] && s.text[end] <= '9' {
			end++
		}
		return end > from
	}
	if at('-') {
		end++
	}
	if at('0') {
		end++
	} else if !digits() {
		return "", s.expected(end, "a digit")
	}
	if at('.') {
		end++
		if !digits() {
			return "", s.expected(end, "a digit")
		}
	}
	if at('e') || at('E') {
		end++
		if at('+') || at('-') {
			end++
		}
		if !digits() {
			return "", s.expected(end, "a digit")
		}
	}
	if end < len(s.text) && classes[s.text[end]]&word != 0 {
		return "", s.expected(end, "the end of the number")
	}
	s.pos = end
	return json.Number(s.text[start:end]), nil
}

// singleQuoted scans a text in single quotes. It ends with a quote that something
// else follows, so that a name with an apostrophe is one text; a backslash takes a
// quote or itself.
func (s *scanner) singleQuoted() (string, *Error) {
	var text []byte
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		next := byte(' ')
		if s.pos+1 < len(s.text) {
			next = s.text[s.pos+1]
		}
		switch {
		case c == '\\' && (next == '\'' || next == '\\'):
			s.pos++
			c = next
		case c < ' ':
			return "", s.expected(s.pos, "an escaped control character")
		case c == '\'' && (classes[next]&blank != 0 || next == ')' || next == ']'):
			s.pos++
			if !utf8.Valid(text) {
				return "", s.expected(s.pos, "valid UTF-8")
			}
			return string(text), nil
		}
		text = append(text, c)
	}
	return "", s.expected(s.pos, "the end of the string: \"'\"")
}

// quoted scans a JSON string.
func (s *scanner) quoted() (string, *Error) {
	start := s.pos + 1
	end := s.run(start, plain)
	if end < len(s.text) && s.text[end] == '"' {
		s.pos = end + 1
		return s.text[start:end], nil
	}
	s.pos = end
	return s.decoded([]byte(s.text[start:end]))
}

// decoded scans the rest of a string that does not stand for itself, and
// appends it to what came before.
func (s *scanner) decoded(b []byte) (string, *Error) {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return string(b), nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < 0x20:
			return "", s.expected(s.pos, "an escaped control character")
		default:
			r, n := utf8.DecodeRuneInString(s.text[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return "", s.expected(s.pos, "valid UTF-8")
			}
			b = append(b, s.text[s.pos:s.pos+n]...)
			s.pos += n
		}
	}
	return "", s.expected(s.pos, `the end of the string: '"'`)
}

// escape scans an escape sequence (RFC 8259 section 7). Halves of surrogate
// pairs and U+0000, which no stored value holds, are errors.
func (s *scanner) escape() (rune, *Error) {
	start := s.pos
	if start+1 < len(s.text) {
		if i := strings.IndexByte(`"\/bfnrt`, s.text[start+1]); i >= 0 {
			s.pos += 2
			return rune("\"\\/\b\f\n\r\t"[i]), nil
		}
	}
	r, ok := s.unicode()
	if ok && utf16.IsSurrogate(r) {
		var low rune
		low, ok = s.unicode()
		r = utf16.DecodeRune(r, low)
		ok = ok && r != utf8.RuneError
	}
	if !ok || r == 0 {
		return 0, s.expected(start, "an escape sequence of JSON, other than U+0000")
	}
	return r, nil
}

// unicode scans one \uXXXX.
func (s *scanner) unicode() (rune, bool) {
	if len(s.text)-s.pos < 6 || s.text[s.pos:s.pos+2] != `\u` {
		return 0, false
	}
	r, err := strconv.ParseUint(s.text[s.pos+2:s.pos+6], 16, 16)
	if err != nil {
		return 0, false
	}
	s.pos += 6
	return rune(r), true
}
