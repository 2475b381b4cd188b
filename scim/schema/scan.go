package schema

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var errTruncated = &Error{Type: "invalidSyntax", Code: CodeBadJSON, Detail: "not valid JSON"}

// scanner reads JSON text whose syntax was checked before. It does not check
// again, but ends with an error, never a panic, on text that was not.
type scanner struct {
	src       string
	pos       int
	depth     int
	maxDepth  int
	maxString int
}

// space skips white space.
func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// enter begins an object or array and reports whether it has an item.
func (s *scanner) enter(closing byte) (bool, error) {
	s.pos++
	s.depth++
	if s.depth > s.maxDepth {
		return false, &Error{Type: "invalidSyntax", Code: CodeTooDeep, Detail: "nested deeper than " + strconv.Itoa(s.maxDepth)}
	}
	s.space()
	if s.peek() == closing {
		s.pos++
		s.depth--
		return false, nil
	}
	return true, nil
}

// more goes on after an item of an object or array and reports whether another
// follows.
func (s *scanner) more(closing byte) (bool, error) {
	s.space()
	c := s.peek()
	s.pos++
	switch c {
	case ',':
		s.space()
		return true, nil
	case closing:
		s.depth--
		return false, nil
	default:
		return false, errTruncated
	}
}

// key reads the key of an object and its colon.
func (s *scanner) key() (string, error) {
	if s.peek() != '"' {
		return "", errTruncated
	}
	key, err := s.text()
	if err != nil {
		return "", err
	}
	s.space()
	if s.peek() != ':' {
		return "", errTruncated
	}
	s.pos++
	s.space()
	return key, nil
}

// text reads a string.
func (s *scanner) text() (string, error) {
	start := s.pos + 1
	end := strings.IndexByte(s.src[start:], '"')
	if end < 0 {
		return "", errTruncated
	}
	text := s.src[start : start+end]
	if strings.IndexByte(text, '\\') >= 0 {
		return s.escaped()
	}
	s.pos = start + end + 1
	if len(text) > s.maxString {
		return "", s.tooLong()
	}
	return text, nil
}

// escaped reads a string that has escapes.
func (s *scanner) escaped() (string, error) {
	start := s.pos
	for i := start + 1; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case '"':
			s.pos = i + 1
			return s.unquote(s.src[start:s.pos])
		}
	}
	return "", errTruncated
}

func (s *scanner) unquote(quoted string) (string, error) {
	text, err := jsontext.AppendUnquote(make([]byte, 0, len(quoted)), quoted)
	switch {
	case err != nil:
		return "", errTruncated
	case len(text) > s.maxString:
		return "", s.tooLong()
	case bytes.IndexByte(text, 0) >= 0:
		return "", &Error{Type: "invalidValue", Code: CodeBadCharacter, Detail: "a string has the character U+0000"}
	}
	return string(text), nil
}

func (s *scanner) tooLong() *Error {
	return &Error{Type: "invalidSyntax", Code: CodeLongString, Detail: "a string is longer than " + strconv.Itoa(s.maxString) + " bytes"}
}

// literal reads a number, true, false or null.
func (s *scanner) literal() (string, error) {
	start := s.pos
	for s.pos < len(s.src) && strings.IndexByte(",]} \n\r\t", s.src[s.pos]) < 0 {
		s.pos++
	}
	if s.pos == start {
		return "", errTruncated
	}
	return s.src[start:s.pos], nil
}

// skip reads any value. The strings in it are held to the same limits.
func (s *scanner) skip() error {
	switch s.peek() {
	case '"':
		_, err := s.text()
		return err
	case '{':
		return s.items('}', func() error {
			if _, err := s.key(); err != nil {
				return err
			}
			return s.skip()
		})
	case '[':
		return s.items(']', s.skip)
	default:
		_, err := s.literal()
		return err
	}
}

// items reads an object or array by calling item at each of its items.
func (s *scanner) items(closing byte, item func() error) error {
	more, err := s.enter(closing)
	for more && err == nil {
		if err = item(); err == nil {
			more, err = s.more(closing)
		}
	}
	return err
}

// article names the kind of the JSON value that begins with a byte.
func article(c byte) string {
	switch c {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
