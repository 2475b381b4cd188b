package scim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// defaultContentType is what every answer with a body has (RFC 7644 section
// 3.1): Entra needs it.
const defaultContentType = "application/scim+json"

// response is a complete answer. Nothing is written to the client before it is
// whole, but of a group with many members: see [exchange.largeGroup].
type response struct {
	status   int
	head     []byte // comes before body
	body     []byte
	etag     string
	version  int64 // of the resource alone, for a bulk response; 0 where there is none
	location string

	rest func(io.Writer) error // writes what follows body and is too large to be kept; or nil
	pace *pace                 // by which a large body is written; or nil

	buffer *[]byte // where body was built, to be used again; nil for others
}

// Buffers keep the memory of written answers for the next ones: those of large pages
// apart, so that small answers do not hold them.
var (
	buffers      = sync.Pool{New: func() any { return new([]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([]byte) }}
)

// Buffers are large from smallBuffer on, and kept up to largeBuffer.
const (
	smallBuffer = 1 << 20
	largeBuffer = 16 << 20
)

// newBuffer returns an empty buffer with room for an answer.
func newBuffer(size int) *[]byte {
	kept := &buffers
	if size > smallBuffer {
		kept = &largeBuffers
	}
	b := kept.Get().(*[]byte)
	if cap(*b) < size {
		*b = make([]byte, 0, size)
	}
	*b = (*b)[:0]
	return b
}

// keepBuffer takes a buffer back, of which nothing is used any more.
func keepBuffer(buffer *[]byte) {
	switch size := cap(*buffer); {
	case size <= smallBuffer:
		buffers.Put(buffer)
	case size <= largeBuffer:
		largeBuffers.Put(buffer)
	}
}

// built is the answer whose body was built in a buffer.
func built(status int, buffer *[]byte, body []byte) *response {
	*buffer = body
	return &response{status: status, body: body, buffer: buffer}
}

// write is the one place that writes an answer. The error is why it could not be
// written to the end; that the client is gone is none.
func (resp *response) write(w http.ResponseWriter, contentType string) (err error) {
	header := w.Header()
	if resp.etag != "" {
		header.Set("Etag", resp.etag)
	}
	if resp.location != "" {
		header.Set("Location", resp.location)
	}
	if resp.body != nil {
		header.Set("Content-Type", contentType)
		if resp.rest == nil {
			header.Set("Content-Length", strconv.Itoa(len(resp.head)+len(resp.body)))
		}
	}
	w.WriteHeader(resp.status)
	if resp.head != nil {
		_, _ = w.Write(resp.head)
	}
	resp.writeBody(w)
	if resp.rest != nil {
		err = resp.rest(w)
	}
	if resp.buffer != nil {
		keepBuffer(resp.buffer)
		resp.buffer, resp.body = nil, nil
	}
	return err
}

// piece is how many bytes are made or written until a request may rest.
const piece = 256 << 10

// writeBody writes the body, a large one piece by piece.
func (resp *response) writeBody(w io.Writer) {
	body := resp.body
	for resp.pace != nil && len(body) > piece {
		if _, err := w.Write(body[:piece]); err != nil {
			return // the client is gone: there is nobody to tell
		}
		body = body[piece:]
		resp.pace.GiveWay()
	}
	if resp.body != nil {
		_, _ = w.Write(body) // as above
	}
}

// jsonResponse is an answer that is not about stored resources, written by
// encoding/json. Those are written by [exchange.resourceResponse] and
// [exchange.encodeList], around the stored bytes.
func jsonResponse(status int, v any) (*response, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a text is written as in resources
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return &response{status: status, body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}, nil
}

// resourceResponse encodes one resource.
func (x *exchange) resourceResponse(status int, t *schema.ResourceType, r *store.Resource, p projection) (*response, error) {
	if len(r.Members) > provision.MembersPage {
		return x.largeGroup(status, t, r, p)
	}
	buffer := newBuffer(len(r.Document) + 512)
	b, err := x.appendResource(*buffer, t, r, p)
	if err != nil {
		return nil, err
	}
	resp := built(status, buffer, b)
	resp.etag, resp.version = p.entityTag(r), r.Version
	return resp, nil
}

// appendResource writes a resource around its stored document, which is copied
// as it is unless the projection takes something away.
func (x *exchange) appendResource(b []byte, t *schema.ResourceType, r *store.Resource, p projection) ([]byte, error) {
	b, err := appendDocument(b, t, r, p)
	if err != nil {
		return nil, err
	}
	made := len(b)
	if groups := reported(r.Groups); p.parts&store.WithGroups != 0 && len(groups) > 0 {
		b = append(b, `,"groups":`...)
		b = x.appendGroups(b, groups)
	}
	members := reported(r.Members)
	if p.parts&store.WithMembers != 0 && len(members) > 0 {
		b = append(b, `,"members":`...)
		b = x.appendMembers(b, members)
	}
	if p.returns(t.Root.Lookup("meta")) {
		b = append(b, `,"meta":`...)
		b = x.appendMeta(b, t, r, p)
	}
	b, err = p.trim(t, b, made)
	if p.parts&store.WithMembers != 0 && len(members) == 0 && x.dialect.EmptyMembers {
		b = append(b, `,"members":[]`...)
	}
	return append(b, '}'), err
}

// appendDocument begins a resource with its document.
func appendDocument(b []byte, t *schema.ResourceType, r *store.Resource, p projection) ([]byte, error) {
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
	return b, nil
}

// appendSchemas lists the core schema and the extensions that the document has
// values of. An extension is looked for by the text of its key, which cannot
// stand inside a JSON string: there its quote would be escaped.
func appendSchemas(b []byte, t *schema.ResourceType, doc store.Document) []byte {
	b = append(b, `"schemas":[`...)
	b = appendText(b, t.Schema)
	for _, e := range t.Extensions {
		var space [128]byte
		key := append(append(space[:0], e.Name...), `":`...)
		// Without its first quote the key is found by its rarer first letter.
		if i := bytes.Index(doc, key); i > 0 && doc[i-1] == '"' {
			b = append(b, ',')
			b = appendText(b, e.Name)
		}
	}
	return append(b, ']')
}

func (x *exchange) appendMeta(b []byte, t *schema.ResourceType, r *store.Resource, p projection) []byte {
	b = append(b, `{"resourceType":`...)
	b = appendText(b, t.Name)
	b = append(b, `,"created":"`...)
	b = appendTime(b, r.Created)
	b = append(b, `","lastModified":"`...)
	b = appendTime(b, r.Modified)
	b = append(b, `","location":`...)
	b = appendText(b, x.location(t, r.ID))
	b = append(b, `,"version":`...)
	return append(p.appendTag(b, r), '}')
}

// appendTime writes an instant in UTC with milliseconds, as AppendFormat with
// "2006-01-02T15:04:05.000Z" does at several times the cost.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

// appendDigits writes the last digits of a number, with leading zeros.
func appendDigits(b []byte, n, digits int) []byte {
	at := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := at + digits - 1; i >= at; i-- {
		b[i] += byte(n % 10)
		n /= 10
	}
	return b
}

// reported returns the memberships that the identity provider knows of, each
// once however many sources know it: it must read back what it wrote, not what
// an operator or a default added.
func reported(ms []store.Membership) []store.Membership {
	clean := true
	for i, m := range ms {
		if !fromProvider(m.Source) || i > 0 && samePair(ms[i-1], m) {
			clean = false
			break
		}
	}
	if clean {
		return ms
	}
	var out []store.Membership
	for _, m := range ms {
		if fromProvider(m.Source) && (len(out) == 0 || !samePair(out[len(out)-1], m)) {
			out = append(out, m)
		}
	}
	return out
}

func fromProvider(s store.Source) bool {
	return s != store.SourceDefault && s != store.SourceOperator
}

func samePair(a, b store.Membership) bool { return a.Group == b.Group && a.Member == b.Member }

// appendGroups writes the groups of a user.
func (x *exchange) appendGroups(b []byte, groups []store.Membership) []byte {
	b = append(b, '[')
	for i, g := range groups {
		if i > 0 {
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
