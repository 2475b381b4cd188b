package store

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/naming"
)

// The meaning of filters, written as a walk over the document for each term. It is
// what [Match] is compared with.

// WalkMatch is [Match] by walking.
func WalkMatch(f Filter, r *Resource, rel Relations) (bool, error) {
	return walker{doc: r.Document, resource: r, relations: rel}.match(f)
}

// WalkMatchElement is [MatchElement] by walking.
func WalkMatchElement(f Filter, element Document) bool {
	ok, _ := walker{doc: element}.match(f) // only relations can fail
	return ok
}

// walker is what a filter is evaluated on: a resource, an element of it, or
// its meta attribute.
type walker struct {
	doc       Document
	resource  *Resource // nil for an element
	relations Relations // nil for an element
	meta      bool      // paths are relative to meta
}

func (s walker) match(f Filter) (bool, error) {
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
func (s walker) matchAll(filters []Filter, whole bool) (bool, error) {
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

func (s walker) matchAny(f Any) bool {
	if s.resource != nil && !s.meta && len(f.Path.Keys) == 1 && f.Path.Keys[0] == "meta" {
		ok, _ := walker{resource: s.resource, meta: true}.match(f.Filter)
		return ok
	}
	return !walk(Raw(s.doc), f.Path.Keys, func(v Raw) bool {
		return v[0] != '{' || !WalkMatchElement(f.Filter, v.Document())
	})
}

func (s walker) present(keys []string) bool {
	if s.resource != nil && !s.meta && len(keys) == 1 && keys[0] == "meta" {
		return true
	}
	if text, instant, ok := s.own(keys); ok {
		return text != "" || !instant.IsZero()
	}
	return !walk(Raw(s.doc), keys, func(v Raw) bool { return !v.Present() })
}

func (s walker) compare(c *Compare) bool {
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

func (s walker) in(f *In) bool {
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
func (s walker) own(keys []string) (text string, instant time.Time, ok bool) {
	if s.resource == nil || len(keys) == 0 {
		return "", time.Time{}, false
	}
	switch {
	case s.meta && len(keys) == 1:
		return s.resource.walkMeta(keys[0])
	case s.meta:
		return "", time.Time{}, false
	case len(keys) == 1 && keys[0] == "id":
		return s.resource.ID, time.Time{}, true
	case len(keys) == 2 && keys[0] == "meta":
		return s.resource.walkMeta(keys[1])
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

func (r *Resource) walkMeta(name string) (text string, instant time.Time, ok bool) {
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
