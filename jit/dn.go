package jit

import (
	"strings"

	"github.com/scimjit/provision/internal/ldapdn"
)

// commonName returns the CN of the first part of a distinguished name (RFC 4514
// section 3). ok is false for what is no such name, so that a group that merely
// begins with "CN=" keeps its own.
func commonName(dn string) (name string, ok bool) {
	first, found := true, false
	for rest := dn; ; {
		a, valid := readAttribute(rest)
		if !valid {
			return "", false
		}
		if first && !found && isCommonName(a.typ) {
			name, found = a.value, true
		}
		if a.separator == 0 {
			return name, found
		}
		first = first && a.separator == '+' // "CN=x+UID=y" is one part
		rest = a.rest
	}
}

func isCommonName(typ string) bool {
	return strings.EqualFold(typ, "CN") || typ == "2.5.4.3"
}

// dnAttribute is one "type=value" of a distinguished name and what follows it.
type dnAttribute struct {
	typ, value string
	separator  byte // ',' or '+', 0 at the end
	rest       string
}

func readAttribute(s string) (dnAttribute, bool) {
	typ, rest, ok := strings.Cut(s, "=")
	a := dnAttribute{typ: strings.Trim(typ, " ")}
	if !ok || !isAttributeType(a.typ) {
		return a, false
	}
	rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(rest, "#") {
		return a, false // the BER form holds no name that people know
	}
	var value []byte
	end := 0 // of the value without the spaces that follow it
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case ',', '+':
			a.value, a.separator, a.rest = string(value[:end]), c, rest[i+1:]
			return a, true
		case ';', '"', '<', '>', 0:
			return a, false // must be escaped
		case '\\':
			b, n := ldapdn.Unescape(rest[i+1:])
			if n == 0 {
				return a, false
			}
			value, i = append(value, b), i+n
			end = len(value)
		default:
			value = append(value, c)
			if c != ' ' {
				end = len(value)
			}
		}
	}
	a.value = string(value[:end])
	return a, true
}

// isAttributeType reports whether s is a short name or an object identifier.
func isAttributeType(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
		default:
			return false
		}
	}
	return s != ""
}
