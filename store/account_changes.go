package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/scimjit/provision/policy"
)

// Parts of the table of fields, never changed.
var (
	shownFields  = fieldsWith(shown, follows)
	insideFields = fieldsWith(inside)
	sharedFields = slices.DeleteFunc(fieldsWith(inside, shown, stamp), func(f Field[Account]) bool { return !cloneValue(f.At(&Account{})) })
)

// Changes lists the fields that a host sees in which two states of an account
// differ, in the order of the table. before is nil for an account that is created,
// of which Changes lists what is not empty. Of a deletion it lists the status only,
// so that an event does not keep what the deletion removes.
func Changes(before, after *Account) []Change {
	if before == nil {
		return createdWith(after)
	}
	var out []Change
	for i := nextDifference(shownFields, 0, before, after); i < len(shownFields); i = nextDifference(shownFields, i+1, before, after) {
		f := &shownFields[i]
		if after.Status == policy.StatusDeleted && f.Name != "status" {
			continue
		}
		out = append(out, Change{Attribute: f.Name, Before: appendJSON(nil, f.At(before)), After: appendJSON(nil, f.At(after))})
	}
	return out
}

// createdWith lists what is not empty of an account. The values share their memory:
// every new account has a dozen.
func createdWith(a *Account) []Change {
	out, text := make([]Change, 0, 12), make([]byte, 0, 256)
	for i := range shownFields {
		f := &shownFields[i]
		is := f.At(a)
		if isEmpty(is) {
			continue
		}
		start := len(text)
		text = appendJSON(text, is)
		out = append(out, Change{Attribute: f.Name, After: text[start:len(text):len(text)]})
	}
	return out
}

// SameFacts reports whether two states of an account are the same in what Changes
// does not list: facts, reasons, and whose account it is. When they were written, as
// which version, and Pending do not count.
func SameFacts(a, b *Account) bool {
	return nextDifference(insideFields, 0, a, b) == len(insideFields)
}

// nextDifference returns the place in a table, from one on, of a field in which two
// values differ, or the length of the table. Nil and empty are the same.
func nextDifference[T any](table []Field[T], from int, a, b *T) int {
	for i := from; i < len(table); i++ {
		p, q := table[i].At(a), table[i].At(b)
		if s, ok := p.(*string); ok { // most are: a switch of so many types takes its time
			if *s != *q.(*string) {
				return i
			}
		} else if !sameValue(p, q) {
			return i
		}
	}
	return len(table)
}

// Clone returns a copy of a that shares no memory that a caller may change.
func (a *Account) Clone() *Account {
	c := *a
	for i := range sharedFields {
		cloneValue(sharedFields[i].At(&c))
	}
	return &c
}

// sameValue compares two values of a field that is no text.
func sameValue(p, q any) bool {
	switch p := p.(type) {
	case *bool:
		return *p == *q.(*bool)
	case *int64:
		return *p == *q.(*int64)
	case *uint8:
		return *p == *q.(*uint8)
	case *time.Time:
		return p.Equal(*q.(*time.Time))
	case *[]string:
		return slices.Equal(*p, *q.(*[]string))
	case *[]Source:
		return slices.Equal(*p, *q.(*[]Source))
	case *[]AccountGroup:
		return slices.Equal(*p, *q.(*[]AccountGroup))
	case *[]LoginGroup:
		return slices.Equal(*p, *q.(*[]LoginGroup))
	case *[]policy.Reason:
		return slices.Equal(*p, *q.(*[]policy.Reason))
	case *policy.Permissions:
		return maps.EqualFunc(*p, *q.(*policy.Permissions), samePermission)
	case *Attributes:
		return maps.EqualFunc(*p, *q.(*Attributes), func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
	case **LoginFacts:
		return sameLogin(*p, *q.(**LoginFacts))
	}
	panic(fmt.Sprintf("store: a field is a %T", p))
}

func samePermission(a, b *bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameLogin(a, b *LoginFacts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return nextDifference(loginFields, 0, a, b) == len(loginFields)
}

// isEmpty reports whether a field that a host sees says nothing.
func isEmpty(p any) bool {
	if s, ok := p.(*string); ok {
		return *s == ""
	}
	switch p := p.(type) {
	case *bool:
		return !*p
	case *[]string:
		return len(*p) == 0
	case *[]AccountGroup:
		return len(*p) == 0
	case *Attributes:
		return len(*p) == 0
	case *policy.Permissions:
		for _, allowed := range *p {
			if allowed != nil {
				return false
			}
		}
		return true
	}
	panic(fmt.Sprintf("store: a host sees a %T", p))
}

// cloneValue gives a field a copy of its value. It returns false for one whose value
// shares no memory.
func cloneValue(p any) bool {
	switch p := p.(type) {
	case *[]string:
		*p = slices.Clone(*p)
	case *[]Source:
		*p = slices.Clone(*p)
	case *[]AccountGroup:
		*p = slices.Clone(*p)
	case *[]LoginGroup:
		*p = slices.Clone(*p)
	case *[]policy.Reason:
		*p = slices.Clone(*p)
	case *policy.Permissions:
		*p = maps.Clone(*p)
	case *Attributes:
		*p = maps.Clone(*p)
	case **LoginFacts:
		if *p == nil {
			return true
		}
		c := **p
		*p = &c
		for i := range loginFields {
			cloneValue(loginFields[i].At(&c))
		}
	default:
		return false
	}
	return true
}

// appendJSON appends a field as encoding/json writes it, which takes several times as
// long.
func appendJSON(text []byte, p any) []byte {
	switch p := p.(type) {
	case *string:
		if isPlain(*p) {
			return append(append(append(slices.Grow(text, len(*p)+2), '"'), *p...), '"')
		}
	case *bool:
		return strconv.AppendBool(text, *p)
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("store: encoding a %T: %v", p, err)) // no field has a type that cannot be encoded
	}
	return append(text, b...)
}

// isPlain reports whether encoding/json writes a text as it is. Those that need a
// closer look are not plain.
func isPlain(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			return false
		}
	}
	return true
}
