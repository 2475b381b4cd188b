package scim

import (
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// takeMembers removes the members from a decoded document and returns the ids
// that they name.
func takeMembers(t *schema.ResourceType, doc *schema.Object) ([]string, error) {
	if t.Members == nil {
		return nil, nil
	}
	members := doc.Get(t.Members).Array
	doc.Set(t.Members, schema.Value{})
	value := t.Members.Lookup("value")
	ids := make([]string, 0, len(members))
	for i, m := range members {
		id := m.Object.Get(value).Text
		if id == "" {
			return nil, refuse(schema.CodeEmptyMember, "members[%d]: has no value", i)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// setsMembers reports whether a POST or PUT says which members a group has: in
// some dialects an omitted list says nothing.
func (x *exchange) setsMembers(t *schema.ResourceType, body []byte) bool {
	return t.Members != nil && (!x.dialect.KeepOmitted || namesMembers(body))
}

// namesMembers reports whether the body of a POST or PUT has members, which may be an
// empty list; null is as if they were not named. The body has been decoded
// before, so it is valid.
func namesMembers(body []byte) bool {
	for key, value := range store.Document(body).Fields() {
		if strings.EqualFold(string(key), "members") {
			return value[0] != 'n'
		}
	}
	return false
}

// draftMembers lets a PATCH change the members of a draft. They are loaded only if it
// asks what all are.
type draftMembers struct {
	draft     *provision.Draft
	attribute *schema.Attribute
}

var _ patch.Members = draftMembers{}

func (m draftMembers) Add(id string) error {
	m.draft.AddMember(id)
	return nil
}

func (m draftMembers) Remove(id string) error {
	m.draft.RemoveMember(id)
	return nil
}

func (m draftMembers) Clear() error {
	m.draft.ClearMembers()
	return nil
}

func (m draftMembers) Member(id string) (v schema.Value, is bool, err error) {
	member, is, err := m.draft.Member(id)
	if err != nil || !is {
		return v, false, err
	}
	return m.value(member), true, nil
}

func (m draftMembers) Each(fn func(schema.Value) error) error {
	list, err := m.draft.Members()
	if err != nil {
		return err
	}
	for _, member := range reported(list) {
		if err := fn(m.value(member)); err != nil {
			return err
		}
	}
	return nil
}

// value returns a member as an element of its attribute.
func (m draftMembers) value(member store.Membership) schema.Value {
	v := schema.Value{Kind: schema.ObjectValue, Object: make(schema.Object, 0, 3)}
	set := func(name, text string) {
		if a := m.attribute.Lookup(name); a != nil && text != "" {
			v.Object.Set(a, schema.Value{Kind: schema.Text, Text: text})
		}
	}
	set("value", member.Member)
	set("display", member.Display)
	set("type", member.Kind)
	return v
}
