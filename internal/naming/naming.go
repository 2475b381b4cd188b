// Package naming says which names are the same: user names, e-mails, names of
// groups. Whatever compares names of people or groups asks it, so that SCIM,
// logins, syncs, linking and options have one answer.
//
// There are two notions. Names that clash may not both exist in a connection:
// somebody could take one for the other. Names that match are the same name, so
// that whoever has one is meant by the other. What matches clashes; what only
// clashes is refused, and nobody is linked by it.
//
// Documents keep names as they were written. Only what is compared is normalized.
// Names are valid UTF-8: whoever reads them refuses other bytes.
package naming

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision/policy"
)

// Key returns the form by which names clash: two names clash exactly if their
// keys are the same bytes. It is the name without white space at its ends,
// decomposed (Unicode normalization form D) and folded by [policy.Fold]: letters
// with marks may be composed in one case only.
func Key(s string) string {
	s = strings.TrimSpace(s)
	if ascii(s) {
		return policy.Fold(s)
	}
	return norm.NFD.String(policy.Fold(norm.NFD.String(s)))
}

// Form returns the form by which names match: two names match exactly if their
// forms are the same bytes. It is the name in Unicode normalization form C, in
// lower case by [policy.Lower], where no character outside ASCII becomes one
// inside. White space at its ends is part of it.
func Form(s string) string {
	if ascii(s) {
		return policy.Lower(s)
	}
	return compose(policy.Lower(compose(s))) // some marks compose with a small letter only
}

// AppendForm appends the [Form] of a name to dst. One of ASCII alone takes no other
// memory.
func AppendForm(dst, name []byte) []byte {
	start := len(dst)
	for _, c := range name {
		switch {
		case c >= utf8.RuneSelf:
			return append(dst[:start], Form(string(name))...)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// Normal returns a name as policies see it: in Unicode normalization form C, where
// no character becomes one of ASCII, and without white space at its ends.
func Normal(s string) string { return strings.TrimSpace(compose(s)) }

// Clash reports whether two names may not both exist.
func Clash(a, b string) bool { return a == b || Key(a) == Key(b) }

// Match reports whether two names are the same name.
func Match(a, b string) bool {
	if ascii(a) || ascii(b) {
		return policy.EqualLower(a, b)
	}
	return a == b || Form(a) == Form(b)
}

// becomeASCII are the characters outside ASCII that normalization makes ASCII
// ones: the Greek question mark, the Greek varia and the Kelvin sign.
const becomeASCII = "\u037e\u1fef\u212a"

// compose brings a name to normalization form C, but for what becomes ASCII. It
// spares the tables of package norm for most names.
func compose(s string) string {
	if ascii(s) {
		return s
	}
	at := strings.IndexAny(s, becomeASCII)
	if at < 0 {
		return norm.NFC.String(s)
	}
	var composed strings.Builder
	for ; at >= 0; at = strings.IndexAny(s, becomeASCII) {
		_, n := utf8.DecodeRuneInString(s[at:])
		composed.WriteString(norm.NFC.String(s[:at]) + s[at:at+n])
		s = s[at+n:]
	}
	return composed.String() + norm.NFC.String(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Hidden finds the first character of a name of a person that nobody would see,
// or would see as something else: a control or format character, a separator of
// lines, a variation selector, a filler. It returns its index in bytes, or -1.
func Hidden(s string) (at int, r rune) { return find(s, isHidden) }

// HiddenInGroup is [Hidden] for the name of a group. Joiners and variation
// selectors are allowed, since emoji and the scripts of Persian and India need
// them.
func HiddenInGroup(s string) (at int, r rune) {
	return find(s, func(r rune) bool {
		return r != '\u200c' && r != '\u200d' && !unicode.Is(unicode.Variation_Selector, r) && isHidden(r)
	})
}

func find(s string, hidden func(rune) bool) (int, rune) {
	for i, r := range s {
		if (r < ' ' || r >= 0x7f) && hidden(r) {
			return i, r
		}
	}
	return -1, 0
}

// Control reports whether a character breaks a line or a terminal. No text that is
// a key, or that is shown in one line, has one.
func Control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func isHidden(r rune) bool {
	return Control(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
