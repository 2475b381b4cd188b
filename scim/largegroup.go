package scim

import (
	"bytes"
	"io"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// single returns the parts to load for an answer about one resource, of whose
// members only the first are loaded at once.
func single(parts store.Parts) store.Parts {
	if parts&store.WithMembers != 0 {
		parts = parts&^store.WithMembers | provision.FirstMembers
	}
	return parts
}

// largeGroup answers with a group that has more members than are read at once.
func (x *exchange) largeGroup(status int, t *schema.ResourceType, r *store.Resource, p projection) (*response, error) {
	buffer := newBuffer(0)
	b, rest, err := x.openGroup(*buffer, t, r, p)
	if err != nil {
		return nil, err
	}
	resp := built(status, buffer, b)
	resp.etag, resp.version, resp.rest = p.entityTag(r), r.Version, rest
	return resp, nil
}

// openGroup writes a group with its first members. The others, and its end, are
// written by rest while the answer is sent: they are read page by page, so that they
// take little memory and a client that is slow holds no snapshot.
//
// When the group changes meanwhile, the answer has everybody who is a member all the
// while, and of the others some. Its version is that of the beginning: a write that
// is conditional on it is refused, and a later GET is answered anew. When the group
// or the store goes away, rest fails: the answer must end before it is whole.
func (x *exchange) openGroup(b []byte, t *schema.ResourceType, r *store.Resource, p projection) (opened []byte, rest func(io.Writer) error, err error) {
	if b, err = appendDocument(b, t, r, p); err != nil {
		return nil, nil, err
	}
	first := withoutLast(r.Members[:min(len(r.Members), provision.MembersPage+1)])
	b = append(b, `,"members":[`...)
	begin := len(b)
	if b, err = x.appendMemberPage(b, begin, t, first, p); err != nil {
		return nil, nil, err
	}
	g := *r // without what has been read of its members
	g.Members = nil
	m := &memberWriter{exchange: x, resourceType: t, group: &g, projection: p, empty: len(b) == begin}
	if len(first) > 0 {
		m.after = first[len(first)-1].Member
	}
	return b, m.write, nil
}

// memberWriter writes the members of a group behind the first ones.
type memberWriter struct {
	*exchange
	resourceType *schema.ResourceType
	group        *store.Resource
	projection   projection
	after        string // the last member that was written
	empty        bool   // none was
}

func (m *memberWriter) write(w io.Writer) error {
	var b []byte
	for more := true; more; {
		var page []store.Membership
		var err error
		if page, more, err = m.directory.Members(m.request.Context(), m.group.ID, m.after); err != nil {
			return err
		}
		if len(page) > 0 {
			m.after = page[len(page)-1].Member
		}
		begin := len(",")
		if b, err = m.appendMemberPage(append(b[:0], ','), begin, m.resourceType, page, m.projection); err != nil {
			return err
		}
		if len(b) == begin {
			continue
		}
		part := b
		if m.empty {
			part = b[begin:]
		}
		m.pace.GiveWay()
		if _, err := w.Write(part); err != nil {
			return nil //nolint:nilerr // the client is gone: there is nobody to tell
		}
		m.pace.waited()
		m.empty = false
	}
	b, err := m.appendEnd(b[:0], m.resourceType, m.group, m.projection)
	if err == nil {
		_, _ = w.Write(b)
	}
	return err
}

// withoutLast returns memberships without those of the last member, who may have
// more.
func withoutLast(ms []store.Membership) []store.Membership {
	end := len(ms)
	for last := ms[end-1].Member; end > 0 && ms[end-1].Member == last; {
		end--
	}
	return ms[:end]
}

// appendMemberPage writes members, with commas between them, behind what b has up to
// an index.
func (x *exchange) appendMemberPage(b []byte, begin int, t *schema.ResourceType, page []store.Membership, p projection) ([]byte, error) {
	members := reported(page)
	if len(members) == 0 {
		return b, nil
	}
	const key = `,"members":`
	b = x.appendMembers(append(b, key...), members)
	b, err := p.trim(t, b, begin)
	if err != nil || len(b) == begin {
		return b, err
	}
	inner := b[begin+len(key)+len("[") : len(b)-len("]")]
	return append(b[:begin], bytes.TrimSpace(inner)...), nil
}

// appendEnd writes what follows the last member.
func (x *exchange) appendEnd(b []byte, t *schema.ResourceType, r *store.Resource, p projection) ([]byte, error) {
	b = append(b, ']')
	made := len(b)
	groups := reported(r.Groups)
	if p.parts&store.WithGroups != 0 && len(groups) > 0 {
		b = x.appendGroups(append(b, `,"groups":`...), groups)
	}
	if p.returns(t.Root.Lookup("meta")) {
		b = x.appendMeta(append(b, `,"meta":`...), t, r, p)
	}
	b, err := p.trim(t, b, made)
	return append(b, '}'), err
}
