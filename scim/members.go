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

// draftMembers lets a PATCH change the members of a draft without loading them,
// unless it asks what they are: then it loads them once.
type draftMembers struct {
	draft     *provision.Draft
	attribute *schema.Attribute

	values []schema.Value // what Each has loaded; unassigned for a member removed since
	index  map[string]int // their places by id; nil where nothing is loaded
}

var _ patch.Members = (*draftMembers)(nil)

func (m *draftMembers) Add(id string) error {
	if i, known := m.index[id]; !known || m.values[i].Kind == schema.Unassigned {
		m.values, m.index = nil, nil // what it shows is not known yet
	}
	m.draft.AddMember(id)
	return nil
}

func (m *draftMembers) Remove(id string) error {
	if i, known := m.index[id]; known {
		m.values[i] = schema.Value{}
	}
	m.draft.RemoveMember(id)
	return nil
}

func (m *draftMembers) Clear() error {
	m.values, m.index = nil, nil
	m.draft.ClearMembers()
	return nil
}

func (m *draftMembers) Each(fn func(schema.Value) error) error {
	if m.index == nil {
		if err := m.load(); err != nil {
			return err
		}
	}
	for _, v := range m.values {
		if v.Kind == schema.Unassigned {
			continue
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

func (m *draftMembers) load() error {
	list, err := m.draft.Members()
	if err != nil {
		return err
	}
	list = reported(list)
	m.values, m.index = make([]schema.Value, len(list)), make(map[string]int, len(list))
	for i, member := range list {
		v := schema.Value{Kind: schema.ObjectValue}
		set := func(name, text string) {
			if a := m.attribute.Lookup(name); a != nil && text != "" {
				v.Object.Set(a, schema.Value{Kind: schema.Text, Text: text})
			}
		}
		set("value", member.Member)
		set("display", member.Display)
		set("type", member.Kind)
		m.values[i], m.index[member.Member] = v, i
	}
	return nil
}
