// Package ldapdn reads distinguished names, for settings and for what directories answer.
package ldapdn

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// DN is a distinguished name (RFC 4514) in a form by which equal ones are equal: a text
// for each part, the first one first. Types are in lower case, or the short name of an
// OID; values are folded and normalized, with one blank for several (RFC 4518).
type DN []string

// Has reports whether inner is the entry d, or one below it.
func (d DN) Has(inner DN) bool {
	return len(inner) >= len(d) && slices.Equal(d, inner[len(inner)-len(d):])
}

// Key is a short text for a DN: the groups of a source name their members by it.
func (d DN) Key() string {
	sum := sha256.Sum256([]byte(strings.Join(d, ",")))
	return base64.RawStdEncoding.EncodeToString(sum[:16])
}

// Key returns the key of a DN. One that is not valid has one that nobody else has.
func Key(text string) string {
	d, ok := Parse(text)
	if !ok {
		d = DN{"\x00" + text}
	}
	return d.Key()
}

// typeNames are the short names that stand for OIDs (RFC 4514 section 3, RFC 4519).
var typeNames = map[string]string{
	"2.5.4.3": "cn", "commonname": "cn", "2.5.4.7": "l", "localityname": "l", "2.5.4.8": "st",
	"2.5.4.10": "o", "organizationname": "o", "2.5.4.11": "ou", "organizationalunitname": "ou",
	"2.5.4.6": "c", "countryname": "c", "2.5.4.9": "street", "2.5.4.4": "sn", "surname": "sn",
	"0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
	"0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
}

// Parse reads a DN. ok is false for what is none. An empty one is that of the root.
func Parse(text string) (d DN, ok bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	if !utf8.ValidString(text) {
		return nil, false
	}
	var rdn []string // "type=value"
	for rest := text; ; {
		a, valid := readPart(rest)
		if !valid {
			return nil, false
		}
		rdn = append(rdn, a.typ+"="+a.value)
		if a.separator != '+' {
			slices.Sort(rdn)
			d, rdn = append(d, strings.Join(rdn, "+")), nil
		}
		if a.separator == 0 {
			return d, true
		}
		rest = a.rest
	}
}

type part struct {
	typ, value string
	separator  byte // ',' or '+', 0 at the end
	rest       string
}

func readPart(s string) (a part, ok bool) {
	typ, rest, ok := strings.Cut(s, "=")
	if !ok {
		return a, false
	}
	a.typ = strings.ToLower(strings.TrimPrefix(strings.ToLower(strings.Trim(typ, " ")), "oid."))
	if name := typeNames[a.typ]; name != "" {
		a.typ = name
	}
	if a.typ == "" || strings.ContainsFunc(a.typ, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != ';' && r != '_'
	}) {
		return a, false
	}
	rest = strings.TrimLeft(rest, " ")
	value, end := make([]byte, 0, len(rest)), 0 // end: without blanks that are not escaped
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case ',', ';', '+':
			a.separator, a.rest = c, rest[i+1:]
			if c == ';' { // of RFC 1779
				a.separator = ','
			}
			a.value, ok = foldValue(value[:end])
			return a, ok
		case '\\':
			b, n := Unescape(rest[i+1:])
			if n == 0 {
				return a, false
			}
			value, i = append(value, b), i+n
			end = len(value)
		default:
			if value = append(value, c); c != ' ' {
				end = len(value)
			}
		}
	}
	a.value, ok = foldValue(value[:end])
	return a, ok
}

// Unescape reads what follows a backslash: a special character, or two hexadecimal digits
// of a byte. It returns how many bytes it took, 0 if it is neither.
func Unescape(s string) (b byte, n int) {
	if s == "" {
		return 0, 0
	}
	if strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1
	}
	if len(s) < 2 {
		return 0, 0
	}
	decoded, err := hex.DecodeString(s[:2])
	if err != nil {
		return 0, 0
	}
	return decoded[0], 2
}

// foldValue returns the form of a value by which two match (RFC 4518).
func foldValue(value []byte) (string, bool) {
	if !utf8.Valid(value) {
		return "", false
	}
	for _, c := range value {
		if c >= utf8.RuneSelf {
			text := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(string(value))))
			return escape(oneBlank(text)), true
		}
	}
	return escape(oneBlank(strings.ToLower(string(value)))), true
}

// oneBlank trims a text, and makes one blank of several.
func oneBlank(s string) string {
	if !strings.Contains(s, "  ") && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// escape keeps the parts of a DN apart.
func escape(s string) string {
	if !strings.ContainsAny(s, `,+\=`) {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `=`, `\=`).Replace(s)
}
