package scim

import (
	"errors"
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

// draftMembers lets a PATCH change the members of a draft. Who all are it says
// only of few: others are asked for before the transaction (memberEdits).
type draftMembers struct {
	draft     *provision.Draft
	attribute *schema.Attribute
	all       bool // there are few
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
	return memberValue(m.attribute, member), true, nil
}

func (m draftMembers) Each(fn func(schema.Value) error) error {
	if !m.all {
		return errAhead
	}
	list, err := m.draft.Members()
	if err != nil {
		return err
	}
	for _, member := range reported(list) {
		if err := fn(memberValue(m.attribute, member)); err != nil {
			return err
		}
	}
	return nil
}

// memberValue returns a member as an element of its attribute.
func memberValue(attribute *schema.Attribute, member store.Membership) schema.Value {
	v := schema.Value{Kind: schema.ObjectValue, Object: make(schema.Object, 0, 3)}
	set := func(name, text string) {
		if a := attribute.Lookup(name); a != nil && text != "" {
			v.Object.Set(a, schema.Value{Kind: schema.Text, Text: text})
		}
	}
	set("value", member.Member)
	set("display", member.Display)
	set("type", member.Kind)
	return v
}

// memberEdits are what a PATCH does to the members of a version of a group before
// its transaction.
type memberEdits struct {
	exchange  *exchange
	attribute *schema.Attribute
	group     *store.Resource
	stored    []store.Membership // as clients read them, each member once
	listed    map[string]bool    // the members in stored: true where SCIM has written that they are

	cleared bool
	pending map[string]bool // true adds, false removes
	order   []string        // the keys of pending in the order of their first change

	// What they come to: added are all members, or these and removed are the difference.
	all            bool
	added, removed []string
}

var _ patch.Members = (*memberEdits)(nil)

// readMembers reads the members of a version of a group, page by page. They are of that
// version only if the group has it still in the end. Names are those of the moment at
// which they are read: that of a member may change without a new version of the group.
func (x *exchange) readMembers(t *schema.ResourceType, group *store.Resource) (*memberEdits, error) {
	m := &memberEdits{exchange: x, attribute: t.Members, group: group, listed: map[string]bool{}, pending: map[string]bool{}}
	after := ""
	for more := true; more; x.pace.GiveWay() {
		var page []store.Membership
		var err error
		if page, more, err = x.directory.Members(x.request.Context(), group.ID, after); err != nil {
			return nil, err
		}
		for _, member := range page {
			after = member.Member
			if fromProvider(member.Source) {
				m.listed[after] = m.listed[after] || member.Source == store.SourceSCIM
			}
		}
		m.stored = append(m.stored, reported(page)...)
	}
	return m, nil
}

func (m *memberEdits) set(id string, member bool) error {
	if _, known := m.pending[id]; !known {
		m.order = append(m.order, id)
	}
	m.pending[id] = member
	return nil
}

func (m *memberEdits) Add(id string) error    { return m.set(id, true) }
func (m *memberEdits) Remove(id string) error { return m.set(id, false) }

func (m *memberEdits) Clear() error {
	m.cleared, m.order = true, nil
	clear(m.pending)
	return nil
}

func (m *memberEdits) Member(id string) (v schema.Value, is bool, err error) {
	is, changed := m.pending[id]
	if !changed && !m.cleared {
		_, is = m.listed[id]
	}
	if !is {
		return v, false, nil
	}
	r, err := m.exchange.directory.Get(m.exchange.request.Context(), "", id, 0)
	if errors.Is(err, store.ErrNotFound) {
		err = &provision.MemberError{ID: id}
	}
	if err != nil {
		return v, false, err
	}
	return memberValue(m.attribute, store.Membership{Member: id, Kind: r.Type, Display: r.Display}), true, nil
}

// memberPiece is how many members are made values until a request may rest.
const memberPiece = 256

func (m *memberEdits) Each(fn func(schema.Value) error) error {
	for i, member := range m.stored {
		if i%memberPiece == 0 {
			m.exchange.pace.GiveWay()
		}
		keep, changed := m.pending[member.Member]
		if changed && !keep || !changed && m.cleared {
			continue
		}
		if err := fn(memberValue(m.attribute, member)); err != nil {
			return err
		}
	}
	for _, id := range m.order {
		if _, stored := m.listed[id]; stored || !m.pending[id] {
			continue
		}
		v, _, err := m.Member(id)
		if err == nil {
			err = fn(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle notes what the edits come to: only what makes a difference, so that a list that
// is sent again costs nothing inside the transaction. A group that logins have made is
// taken over as a whole.
func (m *memberEdits) settle() {
	whole := m.group.Source != store.SourceSCIM
	if m.all = whole && m.cleared; !whole && m.cleared {
		for _, member := range m.stored {
			if !m.pending[member.Member] {
				m.removed = append(m.removed, member.Member)
			}
		}
	}
	for _, id := range m.order {
		byUs, stored := m.listed[id]
		switch {
		case m.pending[id] && (whole || !byUs):
			m.added = append(m.added, id)
		case !m.pending[id] && (whole || stored):
			m.removed = append(m.removed, id)
		}
	}
}

// replay does to a draft of the same version what was done.
func (m *memberEdits) replay(d *provision.Draft) {
	if m.all {
		d.SetMembers(m.added)
		return
	}
	for _, id := range m.removed {
		d.RemoveMember(id)
	}
	for _, id := range m.added {
		d.AddMember(id)
	}
}
