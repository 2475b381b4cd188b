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

// largeGroup encodes a group with more members than are read at once. It has the
// first ones; the others are read while the answer is written, page by page, so that
// it takes little memory and a client that is slow holds no snapshot.
//
// When the group changes meanwhile, the answer has everybody who is a member all the
// while, and of the others some. Its version is that of the beginning: a write that
// is conditional on it is refused, and a later GET is answered anew. When the group
// or the store goes away, the connection ends before the answer does.
func (x *exchange) largeGroup(status int, t *schema.ResourceType, r *store.Resource, p projection) (*response, error) {
	buffer := newBuffer(len(r.Document) + 512 + store.MembershipSize*len(r.Members))
	b, err := appendDocument(*buffer, t, r, p)
	if err != nil {
		return nil, err
	}
	first := withoutLast(r.Members)
	b = append(b, `,"members":[`...)
	begin := len(b)
	if b, err = x.appendMemberPage(b, begin, t, first, p); err != nil {
		return nil, err
	}
	resp := built(status, buffer, b)
	resp.etag, resp.version = p.entityTag(r), r.Version
	empty := len(b) == begin
	after := first[len(first)-1].Member
	resp.rest = func(w io.Writer) error {
		var b []byte
		for more := true; more; {
			var page []store.Membership
			var err error
			if page, more, err = x.directory.Members(x.request.Context(), r.ID, after); err != nil {
				return err
			}
			if len(page) > 0 {
				after = page[len(page)-1].Member
			}
			begin := len(",")
			if b, err = x.appendMemberPage(append(b[:0], ','), begin, t, page, p); err != nil {
				return err
			}
			if len(b) == begin {
				continue
			}
			if empty {
				b = b[begin:]
			}
			if _, err := w.Write(b); err != nil {
				return nil //nolint:nilerr // the client is gone: there is nobody to tell
			}
			empty = false
		}
		b, err := x.appendEnd(b[:0], t, r, p)
		if err == nil {
			_, _ = w.Write(b)
		}
		return err
	}
	return resp, nil
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
