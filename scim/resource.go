package scim

import (
	"net/http"
	"strings"

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
	r, err := x.directory.Get(x.request.Context(), t.Name, segments[1], p.parts)
	if err != nil {
		return nil, err
	}
	// The groups of a user change without the user's version.
	if p.parts&store.WithGroups == 0 && matchesETag(x.ifNoneMatch, r.Version) {
		return &response{status: http.StatusNotModified, etag: etag(r.Version)}, nil
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
	activate(t, &doc)
	content, err := x.content(t, doc)
	if err != nil {
		return nil, err
	}
	ids, err := memberIDs(members)
	if err != nil {
		return nil, err
	}
	r, err := x.directory.Create(x.request.Context(), t.Name, p.parts, func(d *provision.Draft) error {
		d.Write(content)
		for _, id := range ids {
			d.AddMember(id)
		}
		d.Tolerated(x.decoder.Used.Names()...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	resp, err := x.resourceResponse(http.StatusCreated, t, r, p)
	if err != nil {
		return nil, err
	}
	resp.location = x.location(t, r.ID)
	return resp, nil
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
	ids, err := memberIDs(members)
	if err != nil {
		return nil, err
	}
	setsMembers := t.Members != nil && (!x.dialect.KeepOmitted || namesMembers(body))
	r, err := x.directory.Update(x.request.Context(), t.Name, segments[1], p.parts, func(d *provision.Draft) error {
		if err := x.checkVersion(d.Version()); err != nil {
			return err
		}
		before, err := t.Document(d.Resource().Document)
		if err != nil {
			return err
		}
		after := append(schema.Object(nil), doc...)
		if x.dialect.KeepOmitted {
			x.keepOmitted(t, before, &after)
		}
		activate(t, &after)
		if err := x.keepImmutable(before, &after); err != nil {
			return err
		}
		content, err := x.content(t, after)
		if err != nil {
			return err
		}
		d.Write(content)
		if setsMembers {
			d.ClearMembers()
			for _, id := range ids {
				d.AddMember(id)
			}
		}
		d.Tolerated(x.decoder.Used.Names()...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return x.resourceResponse(http.StatusOK, t, r, p)
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
	silent := t.Members != nil && !p.asked
	parts := p.parts
	if silent {
		parts = 0
	}
	r, err := x.directory.Update(x.request.Context(), t.Name, segments[1], parts, func(d *provision.Draft) error {
		if err := x.checkVersion(d.Version()); err != nil {
			return err
		}
		before, err := t.Document(d.Resource().Document)
		if err != nil {
			return err
		}
		after, err := req.Apply(&x.decoder, t, before, draftMembers{draft: d, attribute: t.Members})
		if err != nil {
			return err
		}
		d.Tolerated(x.decoder.Used.Names()...)
		if x.dialect.KeepOmitted {
			// An empty active says nothing: it must not let anybody in again.
			x.keepActive(t, before, &after)
		}
		activate(t, &after)
		if t.RequestOnly {
			p.write(before, after)
		}
		if sameDocument(before, after) {
			return nil
		}
		content, err := x.content(t, after)
		if err != nil {
			return err
		}
		d.Write(content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if silent {
		return &response{status: http.StatusNoContent, etag: etag(r.Version)}, nil
	}
	return x.resourceResponse(http.StatusOK, t, r, p)
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
	body, err := x.body(x.handler.Limits.body(t.Members != nil))
	return t, p, body, err
}

// document decodes the body of POST or PUT, apart from the members, and tells the
// projection what the request wrote.
func (x *exchange) document(t *schema.ResourceType, p *projection, body []byte) (doc schema.Object, members schema.Value, err error) {
	if doc, err = x.decoder.Resource(t, body); err != nil {
		return nil, members, err
	}
	members = takeMembers(t, &doc)
	if t.RequestOnly {
		p.write(nil, doc)
	}
	return doc, members, nil
}

// documentSize is room for the document of nearly every user.
const documentSize = 2048

// content checks a document and puts it into the form that a store keeps.
func (x *exchange) content(t *schema.ResourceType, doc schema.Object) (provision.Content, error) {
	if err := t.Validate(doc); err != nil {
		return provision.Content{}, err
	}
	keys := t.Keys(doc)
	if t.Name == provision.TypeGroup && !x.dialect.UniqueGroupNames {
		for i := range keys {
			keys[i].Unique = false
		}
	}
	if keys == nil {
		keys = []store.Key{}
	}
	return provision.Content{Document: doc.AppendJSON(make([]byte, 0, documentSize)), Keys: keys, Display: t.Display(doc)}, nil
}

// sameDocument reports whether a PATCH changed nothing.
func sameDocument(a, b schema.Object) bool {
	return schema.Value{Kind: schema.ObjectValue, Object: a}.Equal(schema.Value{Kind: schema.ObjectValue, Object: b})
}

// activate writes the default of active, which is true, into a user that does
// not say.
func activate(t *schema.ResourceType, doc *schema.Object) {
	if t.Name != provision.TypeUser {
		return
	}
	active := t.Root.Lookup("active")
	if active != nil && doc.Get(active).Kind == schema.Unassigned {
		doc.Set(active, schema.Value{Kind: schema.Literal, Text: "true"})
	}
}

// keepOmitted copies externalId and active from the stored user where the
// request does not name them.
func (x *exchange) keepOmitted(t *schema.ResourceType, before schema.Object, after *schema.Object) {
	if a := t.Root.Lookup("externalId"); a != nil && after.Get(a).Kind == schema.Unassigned {
		after.Set(a, before.Get(a))
	}
	x.keepActive(t, before, after)
}

// keepActive copies active from the stored user where nothing is left of it.
func (x *exchange) keepActive(t *schema.ResourceType, before schema.Object, after *schema.Object) {
	if t.Name != provision.TypeUser {
		return
	}
	if a := t.Root.Lookup("active"); a != nil && after.Get(a).Kind == schema.Unassigned {
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
			return badRequest("mutability", "%s cannot be changed", f.Attribute)
		}
		after.Set(f.Attribute, f.Value)
	}
	return nil
}

// checkVersion refuses a write whose If-Match names another version, or whose
// If-None-Match names this one (RFC 7644 section 3.14, RFC 9110 section 13.1).
func (x *exchange) checkVersion(version int64) error {
	if len(x.ifMatch) > 0 && !matchesETag(x.ifMatch, version) || matchesETag(x.ifNoneMatch, version) {
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
