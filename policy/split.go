package policy

import (
	"strings"
	"unicode"
)

// splitNames splits a text at commas and newlines, with CSV quotes. See
// [ParsePatterns].
func splitNames(text string) ([]string, *ConfigError) {
	var names []string
	for at := 0; at < len(text); {
		name, next, err := nextName(text, at)
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
		at = next
	}
	if text != "" && names == nil {
		return nil, &ConfigError{Code: CodeEmpty, Value: text, Detail: "is not empty, but has no entry"}
	}
	return names, nil
}

// nextName returns the name that begins at byte at of text and where the next
// one begins. A blank name is returned as empty.
func nextName(text string, at int) (name string, next int, err *ConfigError) {
	rest := text[at:]
	space := len(rest) - len(strings.TrimLeftFunc(rest, isBlank))
	if strings.HasPrefix(rest[space:], `"`) {
		return quotedName(text, at+space)
	}
	end := strings.IndexAny(rest, ",\n")
	if end < 0 {
		end = len(rest)
	}
	name = strings.TrimSpace(rest[:end])
	if i := strings.IndexByte(rest[:end], '"'); i >= 0 {
		return "", 0, &ConfigError{Code: CodeQuote, Value: text, Offset: at + i, Detail: "has a quote inside an entry that does not begin with one"}
	}
	return name, at + end + 1, nil
}

// quotedName is nextName for a name whose quote opens at byte open of text.
func quotedName(text string, open int) (name string, next int, err *ConfigError) {
	var b strings.Builder
	i := open + 1
	for {
		n := strings.IndexByte(text[i:], '"')
		if n < 0 {
			return "", 0, &ConfigError{Code: CodeQuote, Value: text, Offset: open, Detail: "has a quote that is never closed"}
		}
		b.WriteString(text[i : i+n])
		i += n + 1
		if !strings.HasPrefix(text[i:], `"`) {
			break
		}
		b.WriteByte('"')
		i++
	}
	rest := strings.TrimLeftFunc(text[i:], isBlank)
	next = len(text) - len(rest)
	if rest != "" && rest[0] != ',' && rest[0] != '\n' {
		return "", 0, &ConfigError{Code: CodeQuote, Value: text, Offset: next, Detail: "has text after a closing quote"}
	}
	name = b.String()
	if strings.TrimSpace(name) == "" {
		name = ""
	}
	return name, next + 1, nil
}

// isBlank reports whether r is space that does not separate names.
func isBlank(r rune) bool {
	return r != '\n' && unicode.IsSpace(r)
}
