package memory

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Accounts and events are kept packed: as structs with their own strings and
// slices they would take three times the memory. Reading one shares its texts
// with what is packed and costs two or three allocations.

// packAccount packs an account, its id and resource first.
func packAccount(buffer []byte, a *store.Account) string {
	c := coder{out: buffer[:0]}
	c.account(a)
	return string(c.out)
}

func unpackAccount(packed string) *store.Account {
	a := &store.Account{}
	(&coder{reading: true, in: packed}).account(a)
	return a
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

func (c *coder) account(a *store.Account) {
	text(c, &a.ID)
	text(c, &a.ResourceID)
	text(c, &a.Connection)
	text(c, &a.UserName)
	text(c, &a.ExternalID)
	text(c, &a.Email)
	flag(c, &a.EmailVerified)
	text(c, &a.Name)
	text(c, &a.DisplayName)
	text(c, &a.Status)
	text(c, &a.Authentication)
	flag(c, &a.SiteAdmin)
	flag(c, &a.ReadOnlySiteAdmin)
	list(c, &a.Roles, text)
	list(c, &a.Groups, accountGroup)
	text(c, &a.TwoFactor)
	dictionary(c, (*map[string]*bool)(&a.Permissions), func(c *coder, allowed **bool) { pointer(c, allowed, flag) })
	text(c, &a.Company)
	text(c, &a.TimeZone)
	dictionary(c, (*map[string]json.RawMessage)(&a.Attributes), blob)
	flag(c, &a.Pending)
	flag(c, &a.Held)
	number(c, &a.Version)
	list(c, &a.Reasons, reason)
	instant(c, &a.Created)
	instant(c, &a.Modified)
	text(c, &a.Facts.Company)
	text(c, &a.Facts.TimeZone)
	list(c, &a.Facts.Blocks, text)
	list(c, &a.Facts.Suppressed, text)
	flag(c, &a.Facts.WasActive)
	flag(c, &a.Facts.LoggedIn)
	list(c, &a.Facts.DefaultGroups, text)
	list(c, &a.Facts.HostGroups, accountGroup)
	flag(c, &a.Facts.AuthenticationSet)
	pointer(c, &a.Facts.Login, func(c *coder, login *store.LoginFacts) {
		list(c, &login.Keys, text)
		small(c, &login.Evidence)
		instant(c, &login.Known)
		list(c, &login.Groups, func(c *coder, g *store.LoginGroup) {
			text(c, &g.ID)
			text(c, &g.Value)
		})
	})
	text(c, &a.HostID)
}

func accountGroup(c *coder, g *store.AccountGroup) {
	text(c, &g.ID)
	text(c, &g.Name)
	flag(c, &g.Admin)
	text(c, &g.Source)
}

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

func reason(c *coder, r *policy.Reason) {
	text(c, &r.Option)
	text(c, &r.Pattern)
	text(c, &r.Group)
	text(c, &r.Effect)
	text(c, &r.Value)
}

func text[T ~string](c *coder, s *T) {
	n := c.size(len(*s))
	if !c.reading {
		c.out = append(c.out, *s...)
		return
	}
	*s, c.in = T(c.in[:n]), c.in[n:]
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

func small[T ~uint8](c *coder, v *T) { *v = T(c.size(int(*v))) }

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
