package store

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/naming"
)

// Relations answers the membership terms of a filter. A [Reader] is one.
type Relations interface {
	IsMember(group, member string) (bool, error)
}

// Match reports whether r matches f. It defines what a filter means, for every
// store. A nil filter matches everything, and nil relations hold no
// memberships. The error is one that rel returned.
//
// A value in the document that is not of the type that the path asks for never
// compares as true, and so does an operator that its type does not have: CO, SW
// and EW belong to text, the order operators to text, numbers and instants.
// The path {"meta", "version"} reads as the text that an entity tag has, such
// as W/"3".
func Match(f Filter, r *Resource, rel Relations) (bool, error) {
	return subject{doc: r.Document, resource: r, relations: rel}.match(f)
}

// MatchElement reports whether a complex value, given as canonical JSON,
// matches f. Membership terms and paths of the resource's own fields match
// nothing.
func MatchElement(f Filter, element Document) bool {
	ok, _ := subject{doc: element}.match(f) // only relations can fail
	return ok
}

// subject is what a filter is evaluated on: a resource, an element of it, or
// its meta attribute.
type subject struct {
	doc       Document
	resource  *Resource // nil for an element
	relations Relations // nil for an element
	meta      bool      // paths are relative to meta
}

func (s subject) match(f Filter) (bool, error) {
	switch f := f.(type) {
	case nil:
		return true, nil
	case And:
		return s.matchAll(f, true)
	case Or:
		return s.matchAll(f, false)
	case Not:
		ok, err := s.match(f.Filter)
		return !ok && err == nil, err
	case Compare:
		return s.compare(&f), nil
	case In:
		return s.in(&f), nil
	case Present:
		return s.present(f.Path.Keys), nil
	case Any:
		return s.matchAny(f), nil
	case MemberOf:
		if s.relations == nil {
			return false, nil
		}
		return s.relations.IsMember(f.Group, s.resource.ID)
	case HasMember:
		if s.relations == nil {
			return false, nil
		}
		return s.relations.IsMember(s.resource.ID, f.Member)
	}
	return false, nil
}

// matchAll evaluates an And (whole is true) or Or up to the first filter that
// decides it.
func (s subject) matchAll(filters []Filter, whole bool) (bool, error) {
	for _, f := range filters {
		ok, err := s.match(f)
		if err != nil {
			return false, err
		}
		if ok != whole {
			return ok, nil
		}
	}
	return whole, nil
}

func (s subject) matchAny(f Any) bool {
	if s.resource != nil && !s.meta && len(f.Path.Keys) == 1 && f.Path.Keys[0] == "meta" {
		ok, _ := subject{resource: s.resource, meta: true}.match(f.Filter)
		return ok
	}
	return !walk(Raw(s.doc), f.Path.Keys, func(v Raw) bool {
		return v[0] != '{' || !MatchElement(f.Filter, v.Document())
	})
}

func (s subject) present(keys []string) bool {
	if s.resource != nil && !s.meta && len(keys) == 1 && keys[0] == "meta" {
		return true
	}
	if text, instant, ok := s.own(keys); ok {
		return text != "" || !instant.IsZero()
	}
	return !walk(Raw(s.doc), keys, func(v Raw) bool { return !v.Present() })
}

func (s subject) compare(c *Compare) bool {
	if c.Op == NE {
		equal := *c
		equal.Op = EQ
		return !s.compare(&equal)
	}
	if text, instant, ok := s.own(c.Path.Keys); ok {
		return c.holdsOwn(text, instant)
	}
	return !walk(Raw(s.doc), c.Path.Keys, func(v Raw) bool { return !c.holds(v) })
}

func (s subject) in(f *In) bool {
	return !walk(Raw(s.doc), f.Path.Keys, func(v Raw) bool {
		if !v.isText() {
			return true
		}
		key := v.Text()
		switch f.Path.Type {
		case String:
			key = naming.Key(key)
		case Exact:
		default:
			return true
		}
		_, found := slices.BinarySearch(f.Keys, key)
		return !found
	})
}

// own reads a field of the resource itself: a text, or an instant.
func (s subject) own(keys []string) (text string, instant time.Time, ok bool) {
	if s.resource == nil || len(keys) == 0 {
		return "", time.Time{}, false
	}
	switch {
	case s.meta && len(keys) == 1:
		return s.resource.meta(keys[0])
	case s.meta:
		return "", time.Time{}, false
	case len(keys) == 1 && keys[0] == "id":
		return s.resource.ID, time.Time{}, true
	case len(keys) == 2 && keys[0] == "meta":
		return s.resource.meta(keys[1])
	}
	return "", time.Time{}, false
}

func (r *Resource) meta(name string) (text string, instant time.Time, ok bool) {
	switch name {
	case "resourceType":
		return r.Type, time.Time{}, true
	case "version":
		return `W/"` + strconv.FormatInt(r.Version, 10) + `"`, time.Time{}, true
	case "created":
		return "", r.Created, true
	case "lastModified":
		return "", r.Modified, true
	}
	return "", time.Time{}, false
}

// holds reports whether one value of a document compares with c.Value.
func (c *Compare) holds(v Raw) bool {
	switch c.Path.Type {
	case String, Exact:
		return v.isText() && c.holdsText(string(v.text()))
	case Number:
		have, ok := parseNumber(string(v))
		if !ok {
			return false
		}
		want, ok := parseNumber(c.Value)
		return ok && c.Op.holdsOrder(have.compare(want))
	case Boolean:
		return c.Op == EQ && (v[0] == 't' || v[0] == 'f') && string(v) == c.Value
	case DateTime:
		if !v.isText() {
			return false
		}
		have, ok := parseInstant(string(v.text()))
		return ok && c.holdsInstant(have)
	}
	return false
}

func (c *Compare) holdsOwn(text string, instant time.Time) bool {
	switch c.Path.Type {
	case String, Exact:
		return text != "" && c.holdsText(text)
	case DateTime:
		return text == "" && c.holdsInstant(instant)
	}
	return false
}

func (c *Compare) holdsInstant(have time.Time) bool {
	want, ok := parseInstant(c.Value)
	return ok && c.Op.holdsOrder(have.Compare(want))
}

// parseInstant reads a dateTime (RFC 7643 section 2.3.5). The time zone of an
// xsd:dateTime is optional; one without it is in UTC.
func parseInstant(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	return t, err == nil
}

func (c *Compare) holdsText(have string) bool {
	want := c.Value
	if c.Path.Type == String {
		if c.Op == EQ {
			return naming.Match(have, want)
		}
		have, want = naming.Form(have), naming.Form(want)
	}
	switch c.Op {
	case CO:
		return strings.Contains(have, want)
	case SW:
		return strings.HasPrefix(have, want)
	case EW:
		return strings.HasSuffix(have, want)
	}
	return c.Op.holdsOrder(strings.Compare(have, want))
}

// holdsOrder reports whether the operator holds for two values of which the
// first is less (-1), equal (0) or greater (+1).
func (o Operator) holdsOrder(order int) bool {
	switch o {
	case EQ:
		return order == 0
	case GT:
		return order > 0
	case GE:
		return order >= 0
	case LT:
		return order < 0
	case LE:
		return order <= 0
	}
	return false
}
