package jit

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision"
)

// cleanText returns an asserted text trimmed and NFC-normalized, or what is
// wrong with it.
func cleanText(s string) (string, Problem) {
	s, problem := cleanID(s)
	if problem != "" {
		return "", problem
	}
	if s = norm.NFC.String(s); len(s) > provision.MaxIdentityText {
		return "", TooLong // few characters get longer
	}
	return s, ""
}

// cleanID returns an asserted id trimmed, or what is wrong with it. Ids are
// compared byte for byte: normalizing could make two of them one.
func cleanID(s string) (string, Problem) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > provision.MaxIdentityText:
		return "", TooLong
	case !utf8.ValidString(s):
		return "", InvalidUTF8
	case strings.ContainsFunc(s, isControl):
		return "", ControlCharacter
	}
	return s, ""
}

// isControl reports whether a character can break a line or a terminal: the
// control characters and the separators of lines and paragraphs.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// cleanNameID cleans the parts of a NameID. Without a value there is none.
func cleanNameID(n provision.NameID) (provision.NameID, error) {
	for _, part := range []*string{&n.Value, &n.Format, &n.NameQualifier, &n.SPNameQualifier} {
		text, problem := cleanID(*part)
		if problem != "" {
			return provision.NameID{}, &AttributeError{Field: fieldNameID, Attribute: fieldNameID, Problem: problem}
		}
		*part = text
	}
	if n.Value == "" {
		return provision.NameID{}, nil
	}
	return n, nil
}
