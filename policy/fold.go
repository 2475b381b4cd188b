package policy

import (
	"unicode"
	"unicode/utf8"
)

// Fold returns the form of s by which names clash: two names may not both exist
// where their folded forms are the same bytes. It is wider than [Lower], by which
// a name means somebody.
//
// It is Unicode simple case folding. Each character becomes one chosen member of
// its orbit under [unicode.SimpleFold]: the lower-case ASCII letter if the orbit
// has one, otherwise the smallest character. So the Kelvin sign folds to k, and
// İ (U+0130), which has no simple folding, stays different from i, as do
// look-alike letters of other scripts. Bytes that are not UTF-8 stay as they
// are. Nothing is normalized: that is for whoever stores the name.
//
// Folding is idempotent. It does not allocate if s is ASCII without upper-case
// letters.
func Fold(s string) string { return mapped(s, foldRune) }

// Lower returns the form of s by which names match: two names are the same name
// exactly if their forms are the same bytes. Patterns of this package compare
// names so.
//
// Each character becomes its simple lower case ([unicode.ToLower]), but none
// outside ASCII becomes one inside: ſ (U+017F), İ (U+0130) and the Kelvin sign
// are no s, i and k. Whatever matches also folds alike. Bytes that are not UTF-8
// stay as they are, and nothing is normalized.
//
// It is idempotent. It does not allocate if s is ASCII without upper-case
// letters.
func Lower(s string) string { return mapped(s, lowerRune) }

// EqualLower reports whether a and b are the same name: whether Lower(a) equals
// Lower(b). It does not allocate.
func EqualLower(a, b string) bool {
	for len(a) > 0 && len(b) > 0 {
		if c, d := a[0], b[0]; c < utf8.RuneSelf && d < utf8.RuneSelf {
			if lower(c) != lower(d) {
				return false
			}
			a, b = a[1:], b[1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(a)
		q, m := utf8.DecodeRuneInString(b)
		if r == utf8.RuneError || q == utf8.RuneError {
			// Invalid bytes equal only themselves; U+FFFD itself has three.
			if n != m || a[:n] != b[:m] {
				return false
			}
		} else if r != q && lowerRune(r) != lowerRune(q) {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return len(a) == len(b)
}

// mapped returns s with each character changed, ASCII ones to lower case.
func mapped(s string, change func(rune) rune) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			buf := make([]byte, i, len(s)+utf8.UTFMax)
			copy(buf, s)
			return string(appendMapped(buf, s[i:], change))
		}
	}
	return s
}

// appendLower appends the lower-case form of s to dst.
func appendLower(dst []byte, s string) []byte { return appendMapped(dst, s, lowerRune) }

func appendMapped(dst []byte, s string, change func(rune) rune) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			dst = append(dst, lower(c))
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError {
			dst = append(dst, s[i:i+n]...)
		} else {
			dst = utf8.AppendRune(dst, change(r))
		}
		i += n
	}
	return dst
}

// lowerRune returns the simple lower case of a character, or the character itself
// where that would lead from outside ASCII into it.
func lowerRune(r rune) rune {
	if l := unicode.ToLower(r); r < utf8.RuneSelf || l >= utf8.RuneSelf {
		return l
	}
	return r
}

// foldRune returns the chosen member of r's orbit.
func foldRune(r rune) rune {
	// SimpleFold goes up through the orbit and wraps around to its smallest
	// member.
	smallest := unicode.SimpleFold(r)
	for smallest > r {
		r, smallest = smallest, unicode.SimpleFold(smallest)
	}
	if smallest < utf8.RuneSelf {
		return rune(lower(byte(smallest)))
	}
	return smallest
}

// lower returns the lower-case form of an ASCII character.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
