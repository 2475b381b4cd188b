package scim

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/patch"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// get answers GET of one resource (RFC 7644 section 3.4.1).
func (x *exchange) get(segments []string) (*response, error) {
	t, err := x.resourceTypeOf(segments)
	if err != nil {
		return nil, err
	}
	p, err := x.projection(t)
	if err != nil {
		return nil, err
	}
	r, err := x.directory.Get(x.request.Context(), t.Name, segments[1], single(p.parts))
	if err != nil {
		return nil, err
	}
	if len(x.ifNoneMatch) > 0 {
		if tag := p.entityTag(r); matchesTag(x.ifNoneMatch, tag) {
			return &response{status: http.StatusNotModified, etag: tag}, nil
		}
	}
	return x.resourceResponse(http.StatusOK, t, r, p)
}

// create answers POST (RFC 7644 section 3.3).
func (x *exchange) create(segments []string) (*response, error) {
	t, p, body, err := x.input(segments)
	if err != nil {
		return nil, err
	}
	doc, members, err := x.document(t, &p, body)
	if err != nil {
		return nil, err
	}
	x.settleActive(t, nil, &doc)
	content, err := x.content(t, doc)
	if err != nil {
		return nil, err
	}
	setsMembers := x.setsMembers(t, body)
	r, err := x.directory.Create(x.request.Context(), t.Name, single(p.parts), func(d *provision.Draft) error {
		d.Write(content)
		if setsMembers {
			d.SetMembers(members) // also of a group that logins have made
		}
		d.Tolerated(x.decoder.Used.Names()...)
		return nil
	})
	if err != nil {
		return nil, x.placed(t, err, func(id string) string { return listedMember(members, id) })
	}
	x.countIgnored(t, r.ID)
	resp, err := x.answerWrite(http.StatusCreated, t, r, p)
	if err != nil {
		return nil, err
	}
	resp.location = x.location(t, r.ID)
	return resp, nil
}

// answerWrite answers a write. What an operation of a bulk request is told is the
// location and the version (RFC 7644 section 3.7.3): then nothing else is made.
func (x *exchange) answerWrite(status int, t *schema.ResourceType, r *store.Resource, p projection) (*response, error) {
	if x.bare {
		return &response{status: status, version: r.Version, location: x.location(t, r.ID)}, nil
	}
	return x.resourceResponse(status, t, r, p)
}

// replace answers PUT (RFC 7644 section 3.5.1).
func (x *exchange) replace(segments []string) (*response, error) {
	t, p, body, err := x.input(segments)
	if err != nil {
		return nil, err
	}
	doc, members, err := x.document(t, &p, body)
	if err != nil {
		return nil, err
	}
	change := edit{whole: true, sets: x.setsMembers(t, body), members: members}
	change.apply = func(_ patch.Members, before schema.Object) (schema.Object, bool, error) {
		after := slices.Clone(doc)
		if x.dialect.KeepOmitted {
			keepOmitted(t.Root.Lookup("externalId"), before, &after)
		}
		x.settleActive(t, before, &after)
		if err := x.keepImmutable(before, &after); err != nil {
			return nil, false, err
		}
		return after, true, nil
	}
	r, err := x.update(t, segments[1], single(p.parts), len(body), change)
	if err != nil {
		return nil, x.placed(t, err, func(id string) string { return listedMember(members, id) })
	}
	return x.answerWrite(http.StatusOK, t, r, p)
}

// patch answers PATCH (RFC 7644 section 3.5.2). A group is answered with 204
// unless the request asks for attributes: its members may be many.
func (x *exchange) patch(segments []string) (*response, error) {
	t, p, body, err := x.input(segments)
	if err != nil {
		return nil, err
	}
	req, err := patch.Parse(&x.decoder, body, x.handler.Limits.patch())
	if err != nil {
		return nil, err
	}
	req.Rests = x.pace
	silent := t.Members != nil && !p.asked
	if silent {
		p.parts = 0
	}
	apply := func(members patch.Members, before schema.Object) (schema.Object, bool, error) {
		after, err := req.Apply(&x.decoder, t, before, members)
		if err != nil {
			return nil, false, err
		}
		x.settleActive(t, before, &after)
		if t.RequestOnly {
			p.write(before, after)
		}
		return after, !before.Equal(after), nil
	}
	r, err := x.update(t, segments[1], single(p.parts), len(body), edit{apply: apply})
	if err != nil {
		return nil, x.placed(t, err, req.Place)
	}
	if silent {
		return &response{status: http.StatusNoContent, etag: etag(r.Version), version: r.Version}, nil
	}
	return x.answerWrite(http.StatusOK, t, r, p)
}

// delete answers DELETE (RFC 7644 section 3.6).
func (x *exchange) delete(segments []string) (*response, error) {
	t, err := x.resourceTypeOf(segments)
	if err != nil {
		return nil, err
	}
	err = x.directory.Delete(x.request.Context(), t.Name, segments[1], func(r *store.Resource) error {
		return x.checkVersion(r.Version)
	})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusNoContent}, nil
}

// input reads what POST, PUT and PATCH have in common.
func (x *exchange) input(segments []string) (*schema.ResourceType, projection, []byte, error) {
	t, err := x.resourceTypeOf(segments)
	if err != nil {
		return nil, projection{}, nil, err
	}
	p, err := x.projection(t)
	if err != nil {
		return nil, projection{}, nil, err
	}
	if x.bare {
		p.parts = 0
	}
	body, err := x.body(x.handler.Limits.body(t.Members != nil))
	return t, p, x.plain(body), err
}

// plain returns the object that a body holds as text, where that is tolerated, or
// the body.
func (x *exchange) plain(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '"' || !jsontext.Value(body).IsValid() {
		return body
	}
	if object, ok := x.decoder.Embedded(store.Raw(body).Text()); ok {
		return []byte(object)
	}
	return body
}

// document decodes the body of POST or PUT, with the ids of the members apart, and
// tells the projection what the request wrote.
func (x *exchange) document(t *schema.ResourceType, p *projection, body []byte) (doc schema.Object, members []string, err error) {
	if doc, err = x.decoder.Resource(t, body); err != nil {
		return nil, nil, err
	}
	if members, err = takeMembers(t, &doc); err != nil {
		return nil, nil, err
	}
	if t.RequestOnly {
		p.write(nil, doc)
	}
	return doc, members, nil
}

// settleActive says whether a user is active where the request does not, or says
// it in one of the disguises of nothing: as it was, which lets nobody in again,
// and else yes. A PATCH that removes it has left it as it was.
func (x *exchange) settleActive(t *schema.ResourceType, before schema.Object, after *schema.Object) {
	active := t.Root.Lookup("active")
	if t.Name != provision.TypeUser || active == nil {
		return
	}
	if x.dialect.KeepOmitted {
		keepOmitted(active, before, after)
	}
	if after.Get(active).Kind == schema.Unassigned {
		after.Set(active, schema.Value{Kind: schema.Literal, Text: "true"})
	}
}

// keepOmitted keeps the value of an attribute that the request leaves out. It may
// be nil: the type has no such attribute.
func keepOmitted(a *schema.Attribute, before schema.Object, after *schema.Object) {
	if a != nil && after.Get(a).Kind == schema.Unassigned {
		after.Set(a, before.Get(a))
	}
}

// keepImmutable keeps immutable attributes, and refuses another value for one
// that has a value (RFC 7644 section 3.5.1).
func (x *exchange) keepImmutable(before schema.Object, after *schema.Object) error {
	for _, f := range before {
		if f.Attribute.Mutability != schema.Immutable {
			continue
		}
		now := after.Get(f.Attribute)
		if now.Kind != schema.Unassigned && !now.Equal(f.Value) && !x.decoder.Use(schema.ReadOnlyIgnored) {
			return refuse(schema.CodeImmutable, "%s: cannot be changed", f.Attribute)
		}
		after.Set(f.Attribute, f.Value)
	}
	return nil
}

// checkVersion refuses a write whose If-Match names another version, or whose
// If-None-Match names this one (RFC 7644 section 3.14, RFC 9110 section 13.1).
func (x *exchange) checkVersion(version int64) error {
	if len(x.ifMatch) > 0 && !matchesVersion(x.ifMatch, version) || matchesVersion(x.ifNoneMatch, version) {
		return store.ErrVersion
	}
	return nil
}

// location returns the address of a resource.
func (x *exchange) location(t *schema.ResourceType, id string) string {
	path := strings.TrimPrefix(t.Endpoint, "/") + "/" + id
	if x.base == "" {
		return path
	}
	return x.base + "/" + path
}
