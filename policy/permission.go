package policy

import (
	"maps"
	"slices"
	"strings"
)

// Permissions are protocol permissions by name: "webdav", "ftp" and "sftp", and
// those that a host has beside them. Nil means the host's default.
type Permissions map[string]*bool

// usualPermissions are the permissions that every account has, ascending.
var usualPermissions = []string{"ftp", "sftp", "webdav"}

// usualPermission returns the spelling of a usual permission whose name is given
// in some case, and any other name as it is.
func usualPermission(name string) string {
	spelled, _ := spelling(name, usualPermissions)
	return spelled
}

// spelling returns the word that a name is in some case, or the name as it is.
func spelling(name string, words []string) (string, bool) {
	for _, word := range words {
		if sameWord(name, word) {
			return word, true
		}
	}
	return name, false
}

// sameWord reports whether two names are the same but for the case of ASCII
// letters. The words of a configuration are no names of people: no letter beyond
// ASCII is one of them.
func sameWord(a, b string) bool {
	return len(a) == len(b) && lowerASCII(a) == lowerASCII(b)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// Named returns p with each name in its own spelling, for which any case is
// taken: that of a usual permission, or of one that the host has beside them. A
// name that is neither, or that is there in two spellings, is a *[ConfigError].
// The result shares no memory with p.
func (p Permissions) Named(host ...string) (Permissions, error) {
	if p == nil {
		return nil, nil
	}
	words := slices.Clone(usualPermissions)
	for _, name := range host {
		if _, listed := spelling(name, words); !listed {
			words = append(words, name)
		}
	}
	wrong := func(code, name, detail string) error {
		return &ConfigError{Code: code, Option: "permissions", Value: name, Detail: detail}
	}
	out := make(Permissions, len(p))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		spelled, known := spelling(name, words)
		if !known {
			return nil, wrong(CodeUnknownValue, name, "is not one of "+strings.Join(words, ", ")+didYouMean(name, words, nearOfFew))
		}
		if _, twice := out[spelled]; twice {
			return nil, wrong(CodeTwice, name, "is there twice")
		}
		out[spelled] = clonePointer(p[name])
	}
	return out, nil
}

// named returns what p says of a permission whose name is given in any case, and
// whether it has it.
func (p Permissions) named(name string) (allowed *bool, ok bool) {
	if allowed, ok = p[name]; ok {
		return allowed, true
	}
	spelled, ok := spelling(name, slices.Sorted(maps.Keys(p)))
	return p[spelled], ok
}

// Clone returns a copy of p that shares no memory with it.
func (p Permissions) Clone() Permissions {
	c := maps.Clone(p)
	for name, allowed := range c {
		c[name] = clonePointer(allowed)
	}
	return c
}

// set reports whether p says anything: whether a permission is not left to the
// host.
func (p Permissions) set() bool {
	for _, allowed := range p {
		if allowed != nil {
			return true
		}
	}
	return false
}

// equal reports whether p and q say the same of every permission.
func (p Permissions) equal(q Permissions) bool {
	return maps.EqualFunc(p, q, func(a, b *bool) bool { return a == b || a != nil && b != nil && *a == *b })
}
