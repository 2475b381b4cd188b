package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of a pattern list.
const (
	MaxPatterns      = 1000 // patterns in one list
	MaxPatternLength = 256  // characters in one pattern
)

// tooManyEntries is what is wrong with the first entry beyond MaxPatterns.
func tooManyEntries() string {
	return fmt.Sprintf("is one entry too many: there may be %d", MaxPatterns)
}

// Patterns is a list of patterns that select groups. Each element is one pattern
// as the administrator wrote it:
//
//   - * stands for any run of characters, ? for one character. A pattern must
//     match the whole name, without regard to case (see [Lower]).
//   - \*, \? and \\ are these characters themselves. No other escape exists.
//   - id:VALUE matches a group whose external id, SCIM id or raw asserted value
//     is exactly VALUE. There are no wildcards and escapes in VALUE.
//
// An empty list means that the option is off. In JSON a list is an array with
// one pattern per element, or a string as [ParsePatterns] reads it; it is
// written as an array.
type Patterns []string

// ParsePatterns reads a list of patterns from one text, as a form field holds
// it. Patterns are separated by commas and newlines, surrounding space is
// trimmed, empty ones are dropped. A pattern in double quotes may contain
// separators, and "" stands for a quote in it: "Sales, EMEA".
//
// The empty text is the empty list. A text that is not empty but has no pattern
// in it is an error, as are an unbalanced quote, a wrong escape and a broken
// limit. Errors are a *[ConfigError] without Option; its Value is the text or,
// for a fault inside one pattern, that pattern.
func ParsePatterns(text string) (Patterns, error) {
	names, err := splitNames(text)
	if err != nil {
		return nil, err
	}
	patterns := Patterns(names)
	if err := patterns.check(); err != nil {
		return nil, err
	}
	return patterns, nil
}

// String formats the list as [ParsePatterns] reads it.
func (p Patterns) String() string {
	var b strings.Builder
	for i, text := range p {
		if i > 0 {
			b.WriteString(", ")
		}
		if strings.ContainsAny(text, ",\n\"") || strings.TrimSpace(text) != text {
			b.WriteString(`"` + strings.ReplaceAll(text, `"`, `""`) + `"`)
		} else {
			b.WriteString(text)
		}
	}
	return b.String()
}

// check reports the first fault of the list.
func (p Patterns) check() *ConfigError {
	if err := checkNames(p); err != nil {
		return err
	}
	for _, text := range p {
		if _, err := compilePattern(text); err != nil {
			return err
		}
	}
	return nil
}

// checkNames reports a blank name and a broken limit. It holds for patterns and
// for lists of literal names alike.
func checkNames(names []string) *ConfigError {
	for i, name := range names {
		if i == MaxPatterns {
			return &ConfigError{Code: CodeTooMany, Value: name, Detail: tooManyEntries()}
		}
		if strings.TrimSpace(name) == "" {
			return &ConfigError{Code: CodeEmpty, Value: name, Detail: "is an empty entry"}
		}
		characters := 0
		for at := range name {
			if characters++; characters > MaxPatternLength {
				return &ConfigError{Code: CodeTooLong, Value: name, Offset: at, Detail: fmt.Sprintf("is longer than %d characters", MaxPatternLength)}
			}
		}
		if at := invalidUTF8(name); at >= 0 {
			return &ConfigError{Code: CodeNotText, Value: name, Offset: at, Detail: "is not valid UTF-8"}
		}
	}
	return nil
}

// invalidUTF8 returns the index of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	for at, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[at:], string(utf8.RuneError)) {
			return at
		}
	}
	return -1
}

// everyone returns the first pattern of the list that matches every group name
// of some length, being made of wildcards only.
func (p Patterns) everyone() (string, bool) {
	for _, text := range p {
		if text != "" && strings.Trim(text, "*?") == "" {
			return text, true
		}
	}
	return "", false
}

// The wildcards in a compiled pattern. These bytes occur in no UTF-8 text.
const (
	anyRun = 0xFE
	anyOne = 0xFF
)

// pattern is a compiled pattern.
type pattern struct {
	id   string // what id: names; empty for a pattern on names
	name string // folded, unescaped, with anyRun and anyOne for the wildcards
	wild bool   // name has wildcards
}

// compilePattern compiles one pattern.
func compilePattern(text string) (pattern, *ConfigError) {
	if id, ok := strings.CutPrefix(text, "id:"); ok {
		if id == "" {
			return pattern{}, &ConfigError{Code: CodePattern, Value: text, Offset: len("id:"), Detail: "has no id after id:"}
		}
		return pattern{id: id}, nil
	}
	var wild bool
	name := make([]byte, 0, len(text)+utf8.UTFMax)
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '*':
			wild = true
			if len(name) == 0 || name[len(name)-1] != anyRun {
				name = append(name, anyRun)
			}
			i++
		case '?':
			wild = true
			name = append(name, anyOne)
			i++
		case '\\':
			if i+1 == len(text) || !strings.ContainsRune(`*?\`, rune(text[i+1])) {
				return pattern{}, &ConfigError{Code: CodePattern, Value: text, Offset: i, Detail: `has an unknown escape; there are \*, \? and \\`}
			}
			name = append(name, text[i+1])
			i += 2
		default:
			_, n := utf8.DecodeRuneInString(text[i:])
			name = appendLower(name, text[i:i+n])
			i += n
		}
	}
	return pattern{name: string(name), wild: wild}, nil
}

// matchName reports whether a compiled pattern with wildcards matches a folded
// name. A run is tried as short as possible and grows only until the piece that
// follows it is found: a later run makes up for whatever an earlier one took.
// So the time is linear in the name for a pattern of a given length, and never
// more than the product of both.
func matchName(pattern string, name []byte) bool {
	i, j := 0, 0        // in name, in pattern
	run, taken := -1, 0 // the last run in pattern, and where what it takes ends
	for i < len(name) {
		if j < len(pattern) {
			switch pattern[j] {
			case anyRun:
				run, taken = j, i
				j++
				continue
			case anyOne:
				i += width(name[i:])
				j++
				continue
			case name[i]:
				i++
				j++
				continue
			}
		}
		if run < 0 {
			return false
		}
		taken += width(name[taken:])
		i, j = taken, run+1
	}
	for j < len(pattern) && pattern[j] == anyRun {
		j++
	}
	return j == len(pattern)
}

// width returns the length in bytes of the first character of a name.
func width(name []byte) int {
	if name[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(name)
	return n
}
