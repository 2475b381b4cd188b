package patch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

const defaultElements = 1_000_000

// Apply applies the operations in order and returns the document after them;
// doc is not changed. The result may share memory with doc and with the body of
// the request, so neither may be changed later. It equals doc where nothing
// changed.
//
// On an error nothing of the request counts, and what members received must be
// discarded. Members may be nil for a type that has none.
//
// The error is a [*schema.Error] or what members returned: "invalidPath" for a
// path that does not parse or names an unknown attribute, "invalidFilter" for a
// value filter that its attribute does not have, "noTarget", "mutability",
// "invalidValue", or "tooMany" (RFC 7644 section 3.12).
//
// A document that lacks a required attribute before the request may lack it
// afterwards: a later schema must not make old resources unchangeable.
func (r *Request) Apply(d *schema.Decoder, t *schema.ResourceType, doc schema.Object, members Members) (schema.Object, error) {
	p := patcher{decoder: d, resource: t, members: members, limits: r.limits, doc: doc}
	for i := range r.Operations {
		if r.Rests != nil {
			r.Rests.GiveWay()
		}
		if err := p.operation(&r.Operations[i]); err != nil {
			return nil, r.placed(i, err)
		}
	}
	if err := p.close(nil); err != nil {
		return nil, err
	}
	if err := p.sweep(); err != nil {
		return nil, err
	}
	if !p.owned {
		return doc, nil
	}
	if err := t.Validate(p.doc); err != nil && t.Validate(doc) == nil {
		return nil, err
	}
	return p.doc, nil
}

// placed says in which operation an error is, where there are several.
func (r *Request) placed(i int, err error) error {
	if len(r.Operations) == 1 {
		return err
	}
	return inOperation(i, err)
}

// patcher is one run of Apply. Values are never changed in place: a change
// builds a new value for an attribute, and new values for those around it.
type patcher struct {
	decoder  *schema.Decoder
	resource *schema.ResourceType
	members  Members
	limits   Limits

	doc    schema.Object
	owned  bool // the fields of doc, though not what is in them, are ours
	looked int  // elements looked at

	lists   []*list             // those that are open; what they hold counts
	touched []*schema.Attribute // see touch

	roster *list    // the members, once an operation had to ask for all; see loadMembers
	unseen []string // members added since, as far as they are new

	op       string // of the current operation
	path     string // of it
	pathless bool   // the current operation has no path

	buffer []byte // JSON of one element
}

func (p *patcher) operation(o *Operation) error {
	p.op, p.path, p.pathless = o.Op, o.Path, o.Path == ""
	if p.pathless {
		return p.change(target{attribute: p.resource.Root}, o.Value)
	}
	t, err := p.target(o.Path)
	if err != nil || t.attribute == nil {
		return err
	}
	return p.change(t, o.Value)
}

// change applies the current operation to a target.
func (p *patcher) change(t target, raw []byte) error {
	raw = p.plain(t, raw)
	if t.attribute == p.resource.Root {
		if p.op == remove {
			return &schema.Error{Type: "noTarget", Code: schema.CodeNoTarget, Detail: "a remove needs the path of an attribute"}
		}
		return p.object(raw)
	}
	if t.attribute.Kept == schema.InMembers {
		return p.membership(t, raw)
	}
	if ok, err := p.writable(t.leaf()); !ok {
		return err
	}
	switch {
	case t.selects():
		return p.elements(t, raw)
	case t.attribute.MultiValued && p.op == add:
		return p.added(t.attribute, raw)
	}
	if err := p.close(t.attribute); err != nil {
		return err
	}
	old := p.get(t.attribute)
	var v schema.Value
	var err error
	if p.op == remove {
		v, err = p.removed(t.attribute, old, raw)
	} else {
		v, err = p.merged(t.attribute, old, raw)
	}
	if err != nil || v.Equal(old) || v.Kind == schema.Unassigned && t.attribute.Lasting {
		return err
	}
	return p.set(t.attribute, old, v)
}

// added adds values to a multi-valued attribute.
func (p *patcher) added(a *schema.Attribute, raw []byte) error {
	values, err := p.values(a, raw, p.pathless)
	if err != nil {
		return err
	}
	l, err := p.open(a)
	if err != nil {
		return err
	}
	return p.add(l, values)
}

// plain returns the JSON that a text holds where an object or a list is expected.
func (p *patcher) plain(t target, raw []byte) []byte {
	if kind(raw) != '"' || !t.leaf().Structured() {
		return raw
	}
	text := store.Raw(raw).Text()
	if simple := t.leaf().Type != schema.Complex; simple && strings.HasPrefix(strings.TrimSpace(text), "{") {
		return raw // an element that is a text
	}
	if text, ok := p.decoder.Embedded(text); ok {
		return []byte(text)
	}
	return raw
}

// object adds or replaces the attributes that an object names.
func (p *patcher) object(raw []byte) error {
	if kind(raw) != '{' {
		return &schema.Error{
			Type: "invalidValue", Code: schema.CodeWrongType,
			Detail: "value " + schema.Quoted(string(raw)) + ": without a path it must be an object of attributes",
		}
	}
	var seen []*schema.Attribute
	for key, v := range store.Document(raw).Fields() {
		t := p.key(string(key))
		if t.attribute == nil {
			if err := p.unknown("invalidValue", "value: the key %s names no attribute of %s", string(key)); err != nil {
				return err
			}
			continue
		}
		if !t.selects() {
			if slices.Contains(seen, t.attribute) {
				return refusal("invalidSyntax", schema.CodeDuplicateKey, t.attribute, "is given twice")
			}
			seen = append(seen, t.attribute)
		}
		if err := p.change(t, v); err != nil {
			return err
		}
	}
	return nil
}

// unknown ignores what names an unknown attribute, or refuses it. The text has
// places for the name and the resource type.
func (p *patcher) unknown(scimType, detail, name string) error {
	if p.decoder.Ignore(name) {
		return nil
	}
	return &schema.Error{
		Type: scimType, Code: schema.CodeUnknownAttribute,
		Detail: fmt.Sprintf(detail, schema.QuotedText(name), p.resource.Name),
	}
}

// writable reports whether an attribute may change. Read-only ones and those
// that are kept elsewhere do not; the error says that the client must not try.
func (p *patcher) writable(a *schema.Attribute) (bool, error) {
	switch {
	case a.Mutability == schema.ReadOnly:
		if p.decoder.Use(schema.ReadOnlyIgnored) {
			return false, nil
		}
		return false, refusal("mutability", schema.CodeReadOnly, a, "is read-only")
	case a.Kept == schema.InServer || a.Kept == schema.Nowhere:
		return false, nil
	}
	return true, nil
}

// allowed checks a change of one attribute: RFC 7644 section 3.5.2 on
// immutable attributes, section 3.5.2.2 on required ones.
func (p *patcher) allowed(a *schema.Attribute, old, v schema.Value) error {
	switch {
	case a.Mutability == schema.Immutable && old.Kind != schema.Unassigned:
		return refusal("mutability", schema.CodeImmutable, a, "is immutable and has a value")
	case !a.Required || !v.IsEmpty():
		return nil
	case p.op == remove:
		return refusal("mutability", schema.CodeRequired, a, "is required")
	}
	return refusal("invalidValue", schema.CodeRequired, a, "is required")
}

// get returns the value of an attribute that is in no multi-valued one.
func (p *patcher) get(a *schema.Attribute) schema.Value {
	if a.Parent == p.resource.Root {
		return p.doc.Get(a)
	}
	return p.get(a.Parent).Object.Get(a)
}

// set changes the value of such an attribute from old to v.
func (p *patcher) set(a *schema.Attribute, old, v schema.Value) error {
	if err := p.allowed(a, old, v); err != nil {
		return err
	}
	if a.Parent == p.resource.Root {
		if !p.owned {
			p.doc, p.owned = slices.Clone(p.doc), true
		}
		p.doc.Set(a, v)
		return nil
	}
	outer := p.get(a.Parent)
	return p.set(a.Parent, outer, with(outer, a, v))
}

// with returns a complex value with one sub-attribute changed.
func with(v schema.Value, sub *schema.Attribute, w schema.Value) schema.Value {
	o := slices.Clone(v.Object)
	o.Set(sub, w)
	return complexValue(o)
}

// complexValue returns a complex value, unassigned where nothing is left in it
// (RFC 7643 section 2.5).
func complexValue(o schema.Object) schema.Value {
	if len(o) == 0 {
		return schema.Value{}
	}
	return schema.Value{Kind: schema.ObjectValue, Object: o}
}

func arrayValue(values []schema.Value) schema.Value {
	if len(values) == 0 {
		return schema.Value{}
	}
	return schema.Value{Kind: schema.ArrayValue, Array: values}
}

// look counts elements that are about to be looked at.
func (p *patcher) look(n int) error {
	limit := cmp.Or(p.limits.Elements, defaultElements)
	if p.looked += n; p.looked > limit {
		return &schema.Error{Type: "tooMany", Code: schema.CodeTooManyElements, Detail: fmt.Sprintf("the operations look at more than %d elements", limit)}
	}
	return nil
}
