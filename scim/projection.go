package scim

import (
	"regexp"
	"strings"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// projection says which attributes an answer has: the parameters attributes and
// excludedAttributes of RFC 7644 section 3.9, resolved.
type projection struct {
	// asked says that the request named attributes at all.
	asked bool

	// whole says that the document is returned as it is stored.
	whole bool

	// included is what attributes named; nil means the default set.
	included map[*schema.Attribute]bool

	// excluded is what excludedAttributes named.
	excluded map[*schema.Attribute]bool

	// written is what the request wrote of the attributes that are returned
	// only on request.
	written map[*schema.Attribute]bool

	// inner says that the answer has only some sub-attributes of what the
	// server makes: meta, groups or members.
	inner bool

	parts store.Parts
}

// projection reads the parameters. An attribute that the type does not have is
// ignored (RFC 7644 section 3.9 asks for no error).
func (x *exchange) projection(t *schema.ResourceType) (projection, error) {
	p := projection{
		included: x.named(t, x.unselected(x.values["attributes"])),
		excluded: x.named(t, x.values["excludedAttributes"]),
	}
	p.asked = p.included != nil || p.excluded != nil
	if p.included != nil && p.excluded != nil {
		return p, refuse(codeBadParameter, "attributes and excludedAttributes exclude each other")
	}
	p.whole = p.included == nil
	if t.Members != nil && p.returns(t.Members) {
		p.parts |= store.WithMembers
	}
	if t.Groups != nil && p.returns(t.Groups) {
		p.parts |= store.WithGroups
	}
	for a := range p.excluded {
		if a.Kept == schema.InDocument {
			p.whole = false
		}
	}
	for _, named := range []map[*schema.Attribute]bool{p.included, p.excluded} {
		for a := range named {
			p.inner = p.inner || a.Kept != schema.InDocument && a.Parent != t.Root
		}
	}
	p.whole = p.whole && !t.RequestOnly
	return p, nil
}

// selection is a value filter in an attribute path.
var selection = regexp.MustCompile(`\[[^\]]*\]`)

// unselected takes the value filters out of attribute paths, so that
// emails[type eq "work"] asks for all emails. RFC 7644 section 3.9 has no value
// filters there; Microsoft's reference server takes them. A client that sends
// one and finds no attribute would take it for unassigned.
func (x *exchange) unselected(lists []string) []string {
	if !x.dialect.LooseFilters {
		return lists
	}
	whole := make([]string, len(lists))
	for i, list := range lists {
		whole[i] = list
		if strings.Contains(list, "[") {
			whole[i] = selection.ReplaceAllString(list, "")
		}
	}
	return whole
}

// named resolves comma-separated attribute paths; nil when there are none.
func (x *exchange) named(t *schema.ResourceType, lists []string) map[*schema.Attribute]bool {
	var set map[*schema.Attribute]bool
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if set == nil {
				set = map[*schema.Attribute]bool{}
			}
			if a, err := x.attribute(t, name); err == nil && a != nil {
				set[a] = true
			}
		}
	}
	return set
}

// returns reports whether an attribute, or something inside it, is in the
// answer (RFC 7643 section 2.2, "returned").
func (p projection) returns(a *schema.Attribute) bool {
	switch a.Returned {
	case schema.Always:
		return true
	case schema.Never:
		return false
	}
	for up := a; up != nil; up = up.Parent {
		if p.included[up] {
			return true
		}
	}
	if p.included != nil {
		return p.insideIncluded(a)
	}
	if a.Returned == schema.Request && !p.written[a] {
		return false
	}
	return !p.excluded[a]
}

// write records what a request wrote, before being what the document was. An
// attribute that is returned on request is also returned to who writes it (RFC
// 7643 section 7).
func (p *projection) write(before, after schema.Object) {
	for _, f := range after {
		old := before.Get(f.Attribute)
		if f.Attribute.Returned == schema.Request && !f.Value.Equal(old) {
			if p.written == nil {
				p.written = map[*schema.Attribute]bool{}
			}
			p.written[f.Attribute] = true
		}
		p.write(old.Object, f.Value.Object)
		for _, e := range f.Value.Array {
			p.write(nil, e.Object)
		}
	}
}

// insideIncluded reports whether the request named a sub-attribute of a.
func (p projection) insideIncluded(a *schema.Attribute) bool {
	for _, sub := range a.Sub {
		if p.included[sub] || p.insideIncluded(sub) {
			return true
		}
	}
	return false
}

// object returns the part of a document that is in the answer.
func (p projection) object(o schema.Object) schema.Object {
	out := make(schema.Object, 0, len(o))
	for _, f := range o {
		if !p.returns(f.Attribute) {
			continue
		}
		if v := p.value(f.Value); v.Kind != schema.Unassigned {
			out = append(out, schema.Field{Attribute: f.Attribute, Value: v})
		}
	}
	return out
}

func (p projection) value(v schema.Value) schema.Value {
	switch v.Kind {
	case schema.ObjectValue:
		v.Object = p.object(v.Object)
		if len(v.Object) == 0 {
			return schema.Value{}
		}
	case schema.ArrayValue:
		list := make([]schema.Value, 0, len(v.Array))
		for _, e := range v.Array {
			if e = p.value(e); e.Kind != schema.Unassigned {
				list = append(list, e)
			}
		}
		if len(list) == 0 {
			return schema.Value{}
		}
		v.Array = list
	}
	return v
}

// trim takes from the attributes that the server made, which b has from an
// index on, those sub-attributes that are not in the answer.
func (p projection) trim(t *schema.ResourceType, b []byte, from int) ([]byte, error) {
	if !p.inner || len(b) == from {
		return b, nil
	}
	made := append([]byte{'{'}, b[from+1:]...) // without the comma before them
	o, err := t.Document(append(made, '}'))
	if err != nil {
		return nil, err
	}
	b = b[:from]
	if made = p.object(o).AppendJSON(nil); len(made) > len("{}") {
		b = append(append(b, ','), made[1:len(made)-1]...)
	}
	return b, nil
}
