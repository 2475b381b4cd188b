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
	stateFields  = fieldsWith(inside, shown)
	sharedFields = slices.DeleteFunc(fieldsWith(inside, shown, stamp), func(f Field[Account]) bool {
		var a, b Account
		return !cloneValue(f.At(&a), f.At(&b))
	})
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
	for i := range shownFields {
		f := &shownFields[i]
		was, is := f.At(before), f.At(after)
		if sameValue(was, is) || after.Status == policy.StatusDeleted && f.Name != "status" {
			continue
		}
		out = append(out, Change{Attribute: f.Name, Before: appendJSON(nil, was), After: appendJSON(nil, is)})
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

// SameAccount reports whether two states of an account are the same, facts and
// reasons included. When they were written, as which version, and Pending do not
// count.
func SameAccount(a, b *Account) bool {
	for i := range stateFields {
		if !sameValue(stateFields[i].At(a), stateFields[i].At(b)) {
			return false
		}
	}
	return true
}

// Clone returns a copy of a that shares no memory that a caller may change.
func (a *Account) Clone() *Account {
	c := *a
	for i := range sharedFields {
		cloneValue(sharedFields[i].At(a), sharedFields[i].At(&c))
	}
	return &c
}

// sameValue compares two values of a field. Nil and empty are the same.
func sameValue(p, q any) bool {
	if p, ok := p.(*string); ok { // most are: a switch of so many types takes its time
		return *p == *q.(*string)
	}
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
	for i := range loginFields {
		if !sameValue(loginFields[i].At(a), loginFields[i].At(b)) {
			return false
		}
	}
	return true
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

// cloneValue sets a field, which has the value of another, to a copy. It returns
// false for one whose value shares no memory.
func cloneValue(from, to any) bool {
	switch p := from.(type) {
	case *[]string:
		*to.(*[]string) = slices.Clone(*p)
	case *[]Source:
		*to.(*[]Source) = slices.Clone(*p)
	case *[]AccountGroup:
		*to.(*[]AccountGroup) = slices.Clone(*p)
	case *[]LoginGroup:
		*to.(*[]LoginGroup) = slices.Clone(*p)
	case *[]policy.Reason:
		*to.(*[]policy.Reason) = slices.Clone(*p)
	case *policy.Permissions:
		*to.(*policy.Permissions) = maps.Clone(*p)
	case *Attributes:
		*to.(*Attributes) = maps.Clone(*p)
	case **LoginFacts:
		if *p == nil {
			return true
		}
		c := **p
		for _, f := range loginFields {
			cloneValue(f.At(*p), f.At(&c))
		}
		*to.(**LoginFacts) = &c
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
