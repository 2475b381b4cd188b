package patch

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/schema"
)

// membership applies the current operation to the members of a group.
func (p *patcher) membership(t target, raw []byte) error {
	switch {
	case t.sub != nil:
		return p.memberDetail(t.sub)
	case t.filter != nil:
		return p.selectedMembers(t, raw)
	case p.op == remove && raw != nil && kind(raw) == 'n' && p.decoder.Use(schema.RemoveListed):
		return nil // a list that came out as null names nobody: a group is not emptied by it
	case p.op == remove && !p.listed(raw):
		return p.clearMembers()
	}
	ids, err := p.memberIDs(t.attribute, raw, p.op == replace || p.op == add && p.pathless)
	if err != nil {
		return err
	}
	if p.op == remove {
		return each(ids, p.removeMember)
	}
	if p.op == replace {
		if err := p.clearMembers(); err != nil {
			return err
		}
	}
	return each(ids, p.addMember)
}

// memberDetail refuses or ignores a change inside a member. Its value is
// immutable, and the rest is made by the server.
func (p *patcher) memberDetail(sub *schema.Attribute) error {
	if sub.Name != "value" && p.decoder.Use(schema.ReadOnlyIgnored) {
		return nil
	}
	if sub.Mutability == schema.ReadOnly {
		return refusal("mutability", schema.CodeReadOnly, sub, "is made by the server")
	}
	return refusal("mutability", schema.CodeImmutable, sub, "cannot be changed: add and remove members instead")
}

// memberIDs decodes a list of members to their ids, each once, in order.
func (p *patcher) memberIDs(a *schema.Attribute, raw []byte, strict bool) ([]string, error) {
	list, err := p.values(a, raw, strict)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for i, v := range list {
		id := memberID(a, v)
		if id == "" {
			return nil, &schema.Error{
				Type: "invalidValue", Code: schema.CodeEmptyMember, Attribute: a.String(),
				Detail: fmt.Sprintf("%s[%d]: has no value", a, i),
			}
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func memberID(a *schema.Attribute, v schema.Value) string {
	return v.Object.Get(a.Lookup("value")).Text
}

// selectedMembers applies the current operation to the members that a value
// filter selects.
func (p *patcher) selectedMembers(t target, raw []byte) error {
	ids, listed := idsOf(nil, t.filter)
	if listed && p.op == remove {
		return each(ids, p.removeMember)
	}
	id := ""
	if p.op != remove {
		v, err := p.element(t.attribute, raw)
		if err != nil {
			return err
		}
		id = memberID(t.attribute, v)
	}
	if listed && p.op == add && len(ids) == 1 && (id == "" || id == ids[0]) {
		return p.addMember(ids[0])
	}
	selected, err := p.membersOf(t, ids, listed)
	if err != nil {
		return err
	}
	switch {
	case len(selected) == 0:
		return p.missingMember(t, ids, id)
	case p.op == remove:
		return each(selected, p.removeMember)
	case p.op == add || id == "":
		return nil // a member has nothing to merge into but its id
	}
	return p.replaceMembers(selected, id)
}

// membersOf returns the ids of the members that match a value filter: those of a
// list of ids without loading the others.
func (p *patcher) membersOf(t target, ids []string, listed bool) (selected []string, err error) {
	if listed {
		for _, id := range ids {
			v, is, err := p.member(id)
			if err != nil {
				return nil, err
			}
			if is && !slices.Contains(selected, memberID(t.attribute, v)) {
				selected = append(selected, memberID(t.attribute, v))
			}
		}
		return selected, nil
	}
	selection, err := p.compiled(t)
	if err != nil {
		return nil, err
	}
	if err := p.loadMembers(t.attribute); err != nil {
		return nil, err
	}
	found, err := p.selected(p.roster, selection)
	for _, i := range found {
		selected = append(selected, memberID(t.attribute, p.roster.elements.List[i]))
	}
	return selected, err
}

// member asks for one member.
func (p *patcher) member(id string) (v schema.Value, is bool, err error) {
	if err := p.look(1); err != nil {
		return v, false, err
	}
	return p.members.Member(id)
}

// loadMembers makes the roster what the members are now. They are loaded once; of
// those that were added since, each is asked for.
func (p *patcher) loadMembers(a *schema.Attribute) error {
	if p.roster == nil {
		var all []schema.Value
		err := p.members.Each(func(v schema.Value) error {
			all = append(all, v)
			return p.look(1)
		})
		p.roster, p.unseen = &list{attribute: a, elements: a.Elements(all)}, nil
		return err
	}
	for _, id := range p.unseen {
		v, is, err := p.member(id)
		if err != nil {
			return err
		}
		if is && len(p.places(id)) == 0 {
			p.roster.elements.Append(v)
		}
	}
	p.unseen = nil
	return nil
}

// places returns the places of a member in the roster.
func (p *patcher) places(id string) (places []int) {
	for _, i := range p.roster.elements.With(p.roster.attribute.Lookup("value"), id) {
		if memberID(p.roster.attribute, p.roster.elements.List[i]) == id {
			places = append(places, i)
		}
	}
	return places
}

func (p *patcher) addMember(id string) error {
	if p.roster != nil && len(p.places(id)) == 0 {
		p.unseen = append(p.unseen, id) // what it shows is not known yet
	}
	return p.members.Add(id)
}

func (p *patcher) removeMember(id string) error {
	if p.roster != nil {
		for _, i := range p.places(id) {
			p.roster.elements.Remove(i)
		}
	}
	return p.members.Remove(id)
}

func (p *patcher) clearMembers() error {
	p.roster = nil
	return p.members.Clear()
}

// missingMember is the membership side of missing.
func (p *patcher) missingMember(t target, ids []string, id string) error {
	switch {
	case p.op == remove && p.decoder.Use(schema.UnknownIgnored):
		return nil
	case p.op == replace && len(ids) == 1 && (id == "" || id == ids[0]) && p.decoder.Use(schema.ReplaceCreates):
		return p.addMember(ids[0])
	}
	return p.noTarget(t)
}

// replaceMembers puts one member in the place of others.
func (p *patcher) replaceMembers(old []string, id string) error {
	others := slices.DeleteFunc(slices.Clone(old), func(s string) bool { return s == id })
	if err := each(others, p.removeMember); err != nil || len(others) < len(old) {
		return err
	}
	return p.addMember(id)
}

// idsOf returns the ids of a filter that is a comparison of "value" with eq, or
// several joined by "or". Such a filter needs no members to be loaded.
func idsOf(ids []string, e ast.Expression) ([]string, bool) {
	switch e := e.(type) {
	case *ast.AttributeExpression:
		id, ok := e.CompareValue.(string)
		ok = ok && id != "" && e.Operator == ast.EQ && strings.EqualFold(e.AttributePath.AttributeName, "value")
		return append(ids, id), ok
	case *ast.LogicalExpression:
		if e.Operator != ast.OR {
			return nil, false
		}
		ids, ok := idsOf(ids, e.Left)
		if !ok {
			return nil, false
		}
		return idsOf(ids, e.Right)
	}
	return nil, false
}

// each calls fn with each id until it fails.
func each(ids []string, fn func(string) error) error {
	for _, id := range ids {
		if err := fn(id); err != nil {
			return err
		}
	}
	return nil
}
