package sqlstore

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// coder writes the JSON of an account or reads it: one list of fields serves
// both. It writes byte for byte what encoding/json writes for accountData, and
// reads nothing else, such as what another version wrote: then unknown is set,
// and it is for encoding/json to read. That takes several times as long, which
// counts where all accounts are derived again.
type coder struct {
	reading bool
	out     []byte // written so far
	in      string // still to read
	unknown bool   // what is read is not what this coder writes
	err     error  // why something cannot be written
}

// readAccount reads an account, if it is known how.
func readAccount(data string) (a *store.Account, known bool) {
	a, c := new(store.Account), coder{reading: true, in: data}
	c.account(a)
	return a, !c.unknown && c.in == ""
}

func (c *coder) account(a *store.Account) {
	c.mark(`{"id":`)
	text(c, &a.ID)
	c.mark(`,"connection":`)
	text(c, &a.Connection)
	c.mark(`,"userName":`)
	text(c, &a.UserName)
	c.mark(`,"externalId":`)
	text(c, &a.ExternalID)
	c.mark(`,"email":`)
	text(c, &a.Email)
	c.mark(`,"emailVerified":`)
	c.flag(&a.EmailVerified)
	c.mark(`,"name":`)
	text(c, &a.Name)
	c.mark(`,"displayName":`)
	text(c, &a.DisplayName)
	c.mark(`,"status":`)
	text(c, &a.Status)
	c.mark(`,"authentication":`)
	text(c, &a.Authentication)
	c.mark(`,"siteAdmin":`)
	c.flag(&a.SiteAdmin)
	c.mark(`,"readOnlySiteAdmin":`)
	c.flag(&a.ReadOnlySiteAdmin)
	c.mark(`,"roles":`)
	list(c, &a.Roles, text)
	c.mark(`,"groups":`)
	list(c, &a.Groups, group)
	c.mark(`,"twoFactor":`)
	text(c, &a.TwoFactor)
	c.mark(`,"permissions":`)
	dictionary(c, &a.Permissions, permission)
	c.mark(`,"company":`)
	text(c, &a.Company)
	c.mark(`,"timeZone":`)
	text(c, &a.TimeZone)
	c.mark(`,"pending":`)
	c.flag(&a.Pending)
	c.mark(`,"held":`)
	c.flag(&a.Held)
	c.optional(`,"hostId":`, &a.HostID)
	c.mark(`,"version":`)
	c.number(&a.Version)
	c.mark(`,"reasons":`)
	list(c, &a.Reasons, reason)
	c.mark(`,"attributes":`)
	dictionary(c, &a.Attributes, func(c *coder, v *json.RawMessage) { c.value(v) })
	c.optional(`,"resourceId":`, &a.ResourceID)
	c.mark(`,"created":`)
	c.instant(&a.Created)
	c.mark(`,"modified":`)
	c.instant(&a.Modified)
	c.mark(`,"facts":`)
	c.facts(&a.Facts)
	c.mark(`}`)
}

func group(c *coder, g *store.AccountGroup) {
	c.mark(`{"id":`)
	text(c, &g.ID)
	c.mark(`,"name":`)
	text(c, &g.Name)
	c.mark(`,"admin":`)
	c.flag(&g.Admin)
	c.mark(`,"source":`)
	text(c, &g.Source)
	c.mark(`}`)
}

func reason(c *coder, r *policy.Reason) {
	c.mark(`{"option":`)
	text(c, &r.Option)
	c.optional(`,"pattern":`, &r.Pattern)
	c.optional(`,"group":`, &r.Group)
	c.mark(`,"effect":`)
	text(c, &r.Effect)
	c.optional(`,"value":`, &r.Value)
	c.mark(`}`)
}

func permission(c *coder, allowed **bool) {
	switch {
	case !c.reading && *allowed == nil:
		c.mark("null")
	case !c.reading:
		c.flag(*allowed)
	case !c.next("null"):
		*allowed = new(bool)
		c.flag(*allowed)
	}
}

// facts reads by itself what nearly all accounts have, and no more, so that a
// new field needs no change here.
func (c *coder) facts(f *store.Facts) {
	in, usual := c.in, store.Facts{}
	if c.reading && c.next("{") && c.usualFacts(&usual) {
		*f = usual
		return
	}
	c.in = in
	c.value(f)
}

func (c *coder) usualFacts(f *store.Facts) bool {
	next := func(name string) bool {
		c.next(",")
		return c.next(name)
	}
	if next(`"company":`) {
		text(c, &f.Company)
	}
	if next(`"timeZone":`) {
		text(c, &f.TimeZone)
	}
	f.WasActive = next(`"wasActive":true`)
	f.LoggedIn = next(`"loggedIn":true`)
	return c.next("}")
}

// mark writes a text that is always the same, or reads over it.
func (c *coder) mark(text string) {
	if !c.reading {
		c.out = append(c.out, text...)
		return
	}
	if !c.next(text) {
		c.give()
	}
}

// next reads over a text if it comes next.
func (c *coder) next(text string) (found bool) {
	c.in, found = strings.CutPrefix(c.in, text)
	return found
}

// give gives the reading up.
func (c *coder) give() { c.unknown, c.in = true, "" }

// optional codes a text with its name, which are left out when it is empty.
func (c *coder) optional(name string, s *string) {
	switch {
	case c.reading:
		if c.next(name) {
			text(c, s)
		}
	case *s != "":
		c.mark(name)
		text(c, s)
	}
}

func text[T ~string](c *coder, s *T) {
	if c.reading {
		*s = T(c.readText())
	} else if t := string(*s); isPlain(t) {
		c.out = append(append(append(c.out, '"'), t...), '"')
	} else {
		c.value(s)
	}
}

// isPlain reports whether a text is written as it is.
func isPlain(s string) bool {
	ascii := true
	for i := range len(s) {
		switch b := s[i]; {
		case b < ' ' || b == '"' || b == '\\':
			return false
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s) && !strings.ContainsAny(s, "\u2028\u2029")
}

func (c *coder) readText() (s string) {
	if !c.next(`"`) {
		c.give()
		return ""
	}
	end := strings.IndexByte(c.in, '"')
	if end >= 0 && strings.IndexByte(c.in[:end], '\\') < 0 {
		s, c.in = c.in[:end], c.in[end+1:]
		return s
	}
	end = textEnd(c.in)
	if end == 0 || json.Unmarshal([]byte(`"`+c.in[:end]), &s) != nil {
		c.give()
		return ""
	}
	c.in = c.in[end:]
	return s
}

// textEnd returns where a text ends whose opening quote was read, after its
// closing quote, or 0.
func textEnd(in string) int {
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func (c *coder) flag(b *bool) {
	switch {
	case !c.reading:
		c.out = strconv.AppendBool(c.out, *b)
	case c.next("true"):
		*b = true
	case !c.next("false"):
		c.give()
	}
}

func (c *coder) number(n *int64) {
	if !c.reading {
		c.out = strconv.AppendInt(c.out, *n, 10)
		return
	}
	end := valueEnd(c.in)
	read, err := strconv.ParseInt(c.in[:end], 10, 64)
	if err != nil {
		c.give()
		return
	}
	*n, c.in = read, c.in[end:]
}

func (c *coder) instant(t *time.Time) {
	if !c.reading {
		var err error
		c.mark(`"`)
		if c.out, err = t.AppendText(c.out); err != nil {
			c.err = err
		}
		c.mark(`"`)
		return
	}
	if err := t.UnmarshalText([]byte(c.readText())); err != nil {
		c.give()
	}
}

// list codes a slice. Nil and empty stay apart.
func list[T any](c *coder, values *[]T, each func(*coder, *T)) {
	if c.reading {
		readList(c, values, each)
		return
	}
	if *values == nil {
		c.mark("null")
		return
	}
	c.mark("[")
	for i := range *values {
		if i > 0 {
			c.mark(",")
		}
		each(c, &(*values)[i])
	}
	c.mark("]")
}

func readList[T any](c *coder, values *[]T, each func(*coder, *T)) {
	if c.next("null") {
		return
	}
	c.mark("[")
	read := []T{}
	for !c.unknown && !c.next("]") {
		if len(read) > 0 {
			c.mark(",")
		}
		var value T
		each(c, &value)
		read = append(read, value)
	}
	*values = read
}

// dictionary codes a map. Nil and empty stay apart.
func dictionary[M ~map[string]V, V any](c *coder, m *M, each func(*coder, *V)) {
	switch {
	case c.reading:
		readDictionary(c, m, each)
		return
	case *m == nil:
		c.mark("null")
		return
	}
	c.mark("{")
	for i, key := range slices.Sorted(maps.Keys(*m)) {
		if i > 0 {
			c.mark(",")
		}
		text(c, &key)
		c.mark(":")
		value := (*m)[key]
		each(c, &value)
	}
	c.mark("}")
}

func readDictionary[M ~map[string]V, V any](c *coder, m *M, each func(*coder, *V)) {
	if c.next("null") {
		return
	}
	c.mark("{")
	read := M{}
	for !c.unknown && !c.next("}") {
		if len(read) > 0 {
			c.mark(",")
		}
		var (
			key   string
			value V
		)
		text(c, &key)
		c.mark(":")
		each(c, &value)
		read[key] = value
	}
	*m = read
}

// value leaves a value to encoding/json.
func (c *coder) value(v any) {
	if !c.reading {
		buf := bytes.NewBuffer(c.out)
		encoder := json.NewEncoder(buf)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			c.err = err
			return
		}
		c.out = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
		return
	}
	end := valueEnd(c.in)
	if end == 0 || json.Unmarshal([]byte(c.in[:end]), v) != nil {
		c.give()
		return
	}
	c.in = c.in[end:]
}

// valueEnd returns where the value ends with which a text begins, or 0.
func valueEnd(in string) int {
	if in == "" || in[0] != '{' && in[0] != '[' && in[0] != '"' {
		return max(strings.IndexAny(in, ",}]"), 0)
	}
	depth := 0
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			n := textEnd(in[i+1:])
			if n == 0 {
				return 0
			}
			i += n
		}
		if depth <= 0 {
			return i + 1
		}
	}
	return 0
}
