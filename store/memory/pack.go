package memory

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Accounts and events are kept packed: as structs with their own strings and
// slices they would take three times the memory. Reading one shares its texts
// with what is packed and costs two or three allocations.

// packAccount packs an account.
func packAccount(buffer []byte, a *store.Account) person {
	c := coder{out: buffer[:0]}
	c.account(a)
	return person(c.out)
}

func unpackAccount(packed person) *store.Account {
	a := &store.Account{}
	(&coder{reading: true, in: string(packed)}).account(a)
	a.Complete()
	return a
}

// unpackBare unpacks an account without its groups.
func unpackBare(packed person) *store.Account {
	a := &store.Account{}
	c := coder{reading: true, in: string(packed)}
	c.begin(a)
	c.readPresent(a, len(accountFields)-1)
	a.Complete()
	return a
}

// unpackIndexed unpacks into a no more than what [indexedPerson] looks at.
func unpackIndexed(packed person, a *store.Account) {
	*a = store.Account{}
	c := coder{reading: true, in: string(packed)}
	c.begin(a)
	c.readPresent(a, indexedFields)
}

// packEvent packs an event without its sequence.
func packEvent(buffer []byte, e *store.Event) string {
	c := coder{out: buffer[:0]}
	c.event(e)
	return string(c.out)
}

func unpackEvent(packed string, sequence int64) *store.Event {
	e := &store.Event{Sequence: sequence}
	(&coder{reading: true, in: packed}).event(e)
	return e
}

// coder writes or reads fields, one after the other: the same list of fields
// serves both directions, and writing changes none. It reads only what it
// wrote, in the same process.
type coder struct {
	reading bool
	out     []byte // written so far
	in      string // still to read
}

// The tables of fields, never changed. An account begins with its id and its
// resource, which are looked at without unpacking the rest; what follows says in a
// word which of the other fields it holds.
var (
	accountFields = slices.DeleteFunc(store.AccountFields(), func(f store.Field[store.Account]) bool {
		return f.Name == "id" || f.Name == "resourceId"
	})
	groupFields      = store.AccountGroupFields()
	reasonFields     = store.ReasonFields()
	loginFields      = store.LoginFields()
	loginGroupFields = store.LoginGroupFields()
)

// indexedFields is how many fields of the table are up to the last one that
// [indexedPerson] looks at.
var indexedFields = func() (n int) {
	for i, f := range accountFields {
		if slices.Contains([]string{"userName", "externalId", "email", "siteAdmin"}, f.Name) {
			n = i + 1
		}
	}
	return n
}()

// begin codes what an account begins with.
func (c *coder) begin(a *store.Account) {
	text(c, &a.ID)
	text(c, &a.ResourceID)
}

func (c *coder) account(a *store.Account) {
	c.begin(a)
	if c.reading {
		c.readPresent(a, len(accountFields))
	} else {
		c.writePresent(a)
	}
}

// wordSize is how many bytes say which fields follow.
const wordSize = 8

// writePresent writes the fields that are not empty. Empty is what takes one zero
// byte.
func (c *coder) writePresent(a *store.Account) {
	word := len(c.out)
	c.out = append(c.out, make([]byte, wordSize)...)
	present := uint64(0)
	for i := range accountFields {
		start := len(c.out)
		c.value(accountFields[i].At(a))
		if len(c.out) == start+1 && c.out[start] == 0 {
			c.out = c.out[:start]
			continue
		}
		present |= 1 << i
	}
	binary.LittleEndian.PutUint64(c.out[word:], present)
}

// readPresent reads the fields that were not empty, of the first n.
func (c *coder) readPresent(a *store.Account, n int) {
	present := uint64(0)
	for i := range wordSize {
		present |= uint64(c.in[i]) << (8 * i)
	}
	present &= 1<<n - 1
	for c.in = c.in[wordSize:]; present != 0; present &= present - 1 {
		c.value(accountFields[bits.TrailingZeros64(present)].At(a))
	}
}

// value codes a field. Most are texts: they come first because a switch of so many
// types takes its time.
func (c *coder) value(p any) {
	if s, ok := p.(*string); ok {
		text(c, s)
		return
	}
	switch p := p.(type) {
	case *bool:
		flag(c, p)
	case *int64:
		number(c, p)
	case *uint8:
		*p = uint8(c.size(int(*p))) //nolint:gosec // it was one
	case *time.Time:
		instant(c, p)
	case *[]string:
		list(c, p, text)
	case *[]store.Source:
		list(c, p, text)
	case *[]store.AccountGroup:
		list(c, p, accountGroup)
	case *[]store.LoginGroup:
		list(c, p, func(c *coder, g *store.LoginGroup) { record(c, loginGroupFields, g) })
	case *[]policy.Reason:
		list(c, p, reason)
	case *policy.Permissions:
		dictionary(c, (*map[string]*bool)(p), func(c *coder, allowed **bool) { pointer(c, allowed, flag) })
	case *store.Attributes:
		dictionary(c, (*map[string]json.RawMessage)(p), blob)
	case **store.LoginFacts:
		pointer(c, p, func(c *coder, l *store.LoginFacts) { record(c, loginFields, l) })
	default:
		panic(fmt.Sprintf("memory: a field is a %T", p))
	}
}

// record codes all fields of a part of an account.
func record[T any](c *coder, table []store.Field[T], v *T) {
	for i := range table {
		c.value(table[i].At(v))
	}
}

func accountGroup(c *coder, g *store.AccountGroup) { record(c, groupFields, g) }

func reason(c *coder, r *policy.Reason) { record(c, reasonFields, r) }

func (c *coder) event(e *store.Event) {
	instant(c, &e.Time)
	text(c, &e.Type)
	text(c, &e.Connection)
	text(c, &e.Actor.Kind)
	text(c, &e.Actor.ID)
	pointer(c, &e.Resource, func(c *coder, r *store.ResourceRef) {
		text(c, &r.Type)
		text(c, &r.ID)
	})
	text(c, &e.AccountID)
	pointer(c, &e.Account, func(c *coder, a *store.EventAccount) {
		text(c, &a.ID)
		text(c, &a.HostID)
		text(c, &a.Status)
		number(c, &a.Version)
	})
	list(c, &e.Changes, func(c *coder, change *store.Change) {
		text(c, &change.Attribute)
		blob(c, &change.Before)
		blob(c, &change.After)
	})
	list(c, &e.Reasons, reason)
	list(c, &e.Tolerances, text)
}

func text[T ~string](c *coder, s *T) {
	if !c.reading {
		c.write(string(*s))
		return
	}
	*s = T(c.read())
}

func (c *coder) write(s string) {
	c.out = append(binary.AppendUvarint(c.out, uint64(len(s))), s...)
}

func (c *coder) read() string {
	n, in := cutUvarint(c.in)
	c.in = in[n:]
	return in[:n]
}

// size writes a small number and returns it, or reads one.
func (c *coder) size(n int) int {
	if !c.reading {
		c.out = binary.AppendUvarint(c.out, uint64(n))
		return n
	}
	n, c.in = cutUvarint(c.in)
	return n
}

func number(c *coder, n *int64) {
	if !c.reading {
		c.out = binary.AppendVarint(c.out, *n)
		return
	}
	var u int
	u, c.in = cutUvarint(c.in)
	*n = int64(uint64(u)>>1) ^ -int64(u&1)
}

func flag(c *coder, b *bool) {
	n := 0
	if *b {
		n = 1
	}
	*b = c.size(n) == 1
}

func instant(c *coder, t *time.Time) {
	seconds, nanoseconds := t.Unix(), int64(t.Nanosecond())
	number(c, &seconds)
	number(c, &nanoseconds)
	if c.reading {
		*t = time.Unix(seconds, nanoseconds).UTC()
	}
}

// list codes a slice. Nil and empty stay apart.
func list[T any](c *coder, values *[]T, each func(*coder, *T)) {
	n := 0
	if *values != nil {
		n = len(*values) + 1
	}
	n = c.size(n)
	if c.reading && n > 0 {
		*values = make([]T, n-1)
	}
	for i := range *values {
		each(c, &(*values)[i])
	}
}

func blob(c *coder, b *json.RawMessage) {
	n := 0
	if *b != nil {
		n = len(*b) + 1
	}
	n = c.size(n)
	switch {
	case !c.reading:
		c.out = append(c.out, *b...)
	case n > 0:
		*b, c.in = json.RawMessage(c.in[:n-1]), c.in[n-1:]
	}
}

func pointer[T any](c *coder, p **T, value func(*coder, *T)) {
	there := *p != nil
	flag(c, &there)
	if !there {
		return
	}
	if c.reading {
		*p = new(T)
	}
	value(c, *p)
}

// dictionary codes a map. Nil and empty stay apart.
func dictionary[V any](c *coder, m *map[string]V, value func(*coder, *V)) {
	n := 0
	if *m != nil {
		n = len(*m) + 1
	}
	n = c.size(n)
	if !c.reading {
		for key, v := range *m {
			text(c, &key)
			value(c, &v)
		}
		return
	}
	if n > 0 {
		*m = make(map[string]V, n-1)
	}
	for range n - 1 {
		var key string
		var v V
		text(c, &key)
		value(c, &v)
		(*m)[key] = v
	}
}
