package scim

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// contentType is what every answer with a body has: Entra needs it.
const contentType = "application/scim+json"

// response is a complete answer. Nothing is written to the client before it is
// whole.
type response struct {
	status   int
	body     []byte
	etag     string
	location string
}

// write is the one place that writes an answer.
func (resp *response) write(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	if resp.etag != "" {
		header.Set("Etag", resp.etag)
	}
	if resp.location != "" {
		header.Set("Location", resp.location)
	}
	if resp.body != nil {
		header.Set("Content-Type", contentType)
		header.Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	w.WriteHeader(resp.status)
	if resp.body != nil {
		_, _ = w.Write(resp.body) // the client is gone: there is nobody to tell
	}
}

const listSchema = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":`

// listResponse encodes a page (RFC 7644 section 3.4.2). place says where the page
// is, as members of the JSON object.
func (x *exchange) listResponse(page store.Page, place string, projections map[string]projection) (*response, error) {
	size := 256
	for _, r := range page.Resources {
		size += len(r.Document) + 512
	}
	b := append(make([]byte, 0, size), listSchema...)
	b = strconv.AppendInt(b, int64(page.Total), 10)
	b = append(b, place...)
	b = append(b, `,"itemsPerPage":`...)
	b = strconv.AppendInt(b, int64(len(page.Resources)), 10)
	b = append(b, `,"Resources":[`...)
	for i, r := range page.Resources {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = x.appendResource(b, x.set.Type(r.Type), r, projections[r.Type]); err != nil {
			return nil, err
		}
	}
	return &response{status: http.StatusOK, body: append(b, ']', '}')}, nil
}

// resourceResponse encodes one resource.
func (x *exchange) resourceResponse(status int, t *schema.ResourceType, r *store.Resource, p projection) (*response, error) {
	b, err := x.appendResource(make([]byte, 0, len(r.Document)+512), t, r, p)
	if err != nil {
		return nil, err
	}
	return &response{status: status, body: b, etag: etag(r.Version)}, nil
}

// appendResource writes a resource around its stored document, which is copied
// as it is unless the projection takes something away.
func (x *exchange) appendResource(b []byte, t *schema.ResourceType, r *store.Resource, p projection) ([]byte, error) {
	doc := r.Document
	if !p.whole {
		o, err := t.Document(doc)
		if err != nil {
			return nil, err
		}
		doc = p.object(o).AppendJSON(nil)
	}
	b = append(b, '{')
	b = appendSchemas(b, t, doc)
	b = append(b, `,"id":`...)
	b = appendText(b, r.ID)
	if inner := bytes.TrimSuffix(bytes.TrimPrefix(doc, []byte("{")), []byte("}")); len(inner) > 0 {
		b = append(b, ',')
		b = append(b, inner...)
	}
	if p.parts&store.WithGroups != 0 && len(r.Groups) > 0 {
		b = append(b, `,"groups":`...)
		b = x.appendGroups(b, r.Groups)
	}
	if p.parts&store.WithMembers != 0 && len(r.Members) > 0 {
		b = append(b, `,"members":`...)
		b = x.appendMembers(b, r.Members)
	}
	if p.returns(t.Root.Lookup("meta")) {
		b = append(b, `,"meta":`...)
		b = x.appendMeta(b, t, r)
	}
	return append(b, '}'), nil
}

// appendSchemas lists the core schema and the extensions that the document has
// values of.
func appendSchemas(b []byte, t *schema.ResourceType, doc store.Document) []byte {
	b = append(b, `"schemas":[`...)
	b = appendText(b, t.Schema)
	if len(t.Extensions) > 0 {
		for key := range doc.Fields() {
			if len(key) < 4 || string(key[:4]) != "urn:" {
				continue
			}
			b = append(b, ',')
			b = appendText(b, key)
		}
	}
	return append(b, ']')
}

func (x *exchange) appendMeta(b []byte, t *schema.ResourceType, r *store.Resource) []byte {
	b = append(b, `{"resourceType":`...)
	b = appendText(b, t.Name)
	b = append(b, `,"created":"`...)
	b = appendTime(b, r.Created)
	b = append(b, `","lastModified":"`...)
	b = appendTime(b, r.Modified)
	b = append(b, `","location":`...)
	b = appendText(b, x.location(t, r.ID))
	b = append(b, `,"version":"W/\"`...)
	b = strconv.AppendInt(b, r.Version, 10)
	return append(b, `\""}`...)
}

// appendTime writes an instant in UTC with milliseconds.
func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendGroups writes the groups of a user, each once however many sources know
// the membership.
func (x *exchange) appendGroups(b []byte, groups []store.Membership) []byte {
	b = append(b, '[')
	for i, g := range groups {
		if i > 0 {
			if groups[i-1].Group == g.Group {
				continue
			}
			b = append(b, ',')
		}
		b = x.appendReference(b, "Group", g.Group, g.Display)
		b = append(b, `,"type":"direct"}`...)
	}
	return append(b, ']')
}

func (x *exchange) appendMembers(b []byte, members []store.Membership) []byte {
	b = append(b, '[')
	for i, m := range members {
		if i > 0 {
			if members[i-1].Member == m.Member {
				continue
			}
			b = append(b, ',')
		}
		b = x.appendReference(b, m.Kind, m.Member, m.Display)
		b = append(b, `,"type":`...)
		b = appendText(b, m.Kind)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendReference begins a complex value that refers to a resource.
func (x *exchange) appendReference(b []byte, kind, id, display string) []byte {
	b = append(b, `{"value":`...)
	b = appendText(b, id)
	if t := x.set.Type(kind); t != nil {
		b = append(b, `,"$ref":`...)
		b = appendText(b, x.location(t, id))
	}
	if display != "" {
		b = append(b, `,"display":`...)
		b = appendText(b, display)
	}
	return b
}

// appendText writes a JSON string. Stored text is valid UTF-8, which is all
// that quoting can refuse.
func appendText[T ~[]byte | ~string](b []byte, s T) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
