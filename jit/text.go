package jit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
)

// fault is what is wrong with a text, and the character that makes it so.
type fault struct {
	problem   Problem
	character rune
}

// in returns the error of a field.
func (f fault) in(field, attribute string) error {
	err := &AttributeError{Field: field, Attribute: attribute, Problem: f.problem}
	if f.character == 0 && f.problem != ControlCharacter {
		return err
	}
	return fmt.Errorf("%w U+%04X", err, f.character)
}

// cleanText returns a text for people trimmed and NFC-normalized, or what is wrong
// with it.
func cleanText(s string) (string, fault) {
	s = norm.NFC.String(strings.TrimSpace(s))
	if len(s) > provision.MaxIdentityText {
		return "", fault{problem: TooLong}
	}
	return s, findFault(s, naming.Control)
}

// cleanLabel returns a text that is only shown as [cleanText] does, but cut where it
// is too long: nobody is refused for a long title.
func cleanLabel(s string) (string, fault) {
	s = norm.NFC.String(strings.TrimSpace(s))
	return cut(s), findFault(s, naming.Control)
}

// cleanID returns the id of a group trimmed, or what is wrong with it. Ids are
// compared byte for byte: normalizing could make two of them one.
func cleanID(s string) (string, fault) {
	s = strings.TrimSpace(s)
	if len(s) > provision.MaxIdentityText {
		return "", fault{problem: TooLong}
	}
	return s, findFault(s, naming.Control)
}

// cleanName returns what names one person, a user name, an e-mail or an id, as it
// was asserted, or what is wrong with it. It is not trimmed, since one that differs
// in white space is the name of another; what an XML writer put around it so that
// lines break and are indented is not part of it. Characters that nobody sees could
// make two names of what looks like one.
func cleanName(s string) (string, fault) {
	s = withoutLayout(s)
	if strings.TrimSpace(s) == "" {
		return "", fault{}
	}
	if len(s) > provision.MaxIdentityText {
		return "", fault{problem: TooLong}
	}
	if f := findFault(s, naming.Control); f != (fault{}) {
		return "", f
	}
	f := findFault(s, isFormat)
	if f != (fault{}) {
		f.problem = FormatCharacter
	}
	return s, f
}

// withoutLayout removes white space of XML from both ends, where it breaks a line
// or indents by tabs. Spaces alone stay: a name may have them, and no name has the
// others.
func withoutLayout(s string) string {
	const space, breaks = " \t\r\n", "\t\r\n"
	if inner := strings.TrimLeft(s, space); strings.ContainsAny(s[:len(s)-len(inner)], breaks) {
		s = inner
	}
	if inner := strings.TrimRight(s, space); strings.ContainsAny(s[len(inner):], breaks) {
		s = inner
	}
	return s
}

// findFault looks for characters that a text may not have.
func findFault(s string, bad func(rune) bool) fault {
	if !utf8.ValidString(s) {
		return fault{problem: InvalidUTF8}
	}
	if i := strings.IndexFunc(s, bad); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return fault{problem: ControlCharacter, character: r}
	}
	return fault{}
}

// cut shortens a text to what an identity may have, between two characters: the
// accents of one go with it.
func cut(s string) string {
	if len(s) <= provision.MaxIdentityText {
		return s
	}
	end := provision.MaxIdentityText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	for at := end; at > 0; {
		if r, _ := utf8.DecodeRuneInString(s[at:]); !unicode.Is(unicode.M, r) && r != '\u200d' {
			end = at
			break
		}
		_, n := utf8.DecodeLastRuneInString(s[:at])
		at -= n
	}
	return strings.TrimSpace(s[:end])
}

// isFormat reports whether a character is not seen, such as a zero-width space or
// a change of direction.
func isFormat(r rune) bool { return unicode.Is(unicode.Cf, r) }

// CleanNameID returns a NameID as an identity has it: without the line breaks and
// the indentation that its XML may have around it, and otherwise as it was
// asserted. Without a value there is none. The error is an [*AttributeError]: a
// part that is too long, no UTF-8, or has control or invisible characters.
func CleanNameID(n provision.NameID) (provision.NameID, error) {
	n.Format = strings.TrimSpace(n.Format)
	for _, part := range []*string{&n.Value, &n.Format, &n.NameQualifier, &n.SPNameQualifier} {
		text, f := cleanName(*part)
		if f != (fault{}) {
			return provision.NameID{}, f.in(fieldNameID, fieldNameID)
		}
		*part = text
	}
	if n.Value == "" {
		return provision.NameID{}, nil
	}
	return n, nil
}
