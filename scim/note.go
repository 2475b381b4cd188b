package scim

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/mount"
)

// noteAnswer tells the request log of a request that was answered as asked. What has only
// read is counted. Of a bulk request the operations are told.
func (x *exchange) noteAnswer(resp *response, began time.Time) {
	segments, method := x.answered, x.request.Method
	last := len(segments) - 1
	switch {
	case last >= 0 && segments[0] == "Bulk":
	case method == http.MethodGet, method == http.MethodHead, last >= 0 && segments[last] == searchEndpoint:
		x.handler.Engine.Plumbing().CountRead(x.principal.Connection)
	default:
		r := x.asked(method, segments, x.resourceID(segments, resp), began)
		r.Status = resp.status
		if resp.status == http.StatusCreated {
			x.name(&r)
		}
		x.handler.Engine.Plumbing().NoteRequest(x.principal.Connection, r)
	}
}

// noteRefusal tells the request log of a request that was answered with an error, of which
// err is the cause.
func (x *exchange) noteRefusal(e *Error, err error, began time.Time) {
	segments := x.answered
	if segments == nil {
		segments = x.segments
	}
	r := x.asked(x.request.Method, segments, "", began)
	x.refused(&r, e)
	connection := x.principal.Connection
	if r.Stranger = connection == ""; r.Stranger {
		connection = x.tenant // as far as the client says
	}
	if known := (*provision.UnauthenticatedError)(nil); errors.As(err, &known) {
		connection, r.Code, r.Credential = known.Connection, known.Cause, known.Credential
	}
	x.handler.Engine.Plumbing().NoteRequest(connection, r)
}

// noteOperation tells the request log of an operation of a bulk request that has come to
// its end.
func (b *bulkRun) noteOperation(op *bulkOperation, x *exchange) {
	var r provision.Request
	segments := mount.Split(b.resolvePath(op.Path))
	if op.err == nil {
		r = x.asked(op.Method, segments, op.id, op.began)
		r.Status = op.response.status
		if op.Method == http.MethodPost {
			x.name(&r)
		}
	} else {
		r = x.asked(op.Method, segments, "", op.began)
		x.refused(&r, op.reported)
	}
	x.handler.Engine.Plumbing().NoteRequest(x.principal.Connection, r)
}

// asked returns what the request log keeps of a request in any case. The id is that of the
// resource, where it is known.
func (x *exchange) asked(method string, segments []string, id string, began time.Time) provision.Request {
	r := provision.Request{
		Protocol: "scim", Credential: x.principal.Credential, Method: method, Path: x.path(segments, id),
		Resource: id, Tolerances: x.decoder.Used.Names(),
	}
	if !began.IsZero() {
		r.Microseconds = time.Since(began).Microseconds()
	}
	return r
}

// refused adds why a request was refused, and whom it was about.
func (x *exchange) refused(r *provision.Request, e *Error) {
	r.Status, r.Type, r.Code, r.Detail, r.Refusal = e.Status, e.Type, string(e.Code), e.Detail, e.id
	x.name(r)
	if i := strings.LastIndexByte(r.Path, '/'); i > 0 && isServerID(r.Path[i+1:]) {
		r.Resource = r.Path[i+1:]
	}
}

// name adds by which names of the provider the request is found.
func (x *exchange) name(r *provision.Request) {
	for _, f := range x.written {
		switch f.Attribute.String() {
		case "externalId":
			r.ExternalID = f.Value.Text
		case "userName":
			r.UserName = f.Value.Text
		}
	}
}

// resourceID returns the id of the resource that a write was about.
func (x *exchange) resourceID(segments []string, resp *response) string {
	switch {
	case len(segments) == 2:
		return segments[1]
	case resp.location != "":
		return responseID(resp)
	}
	return ""
}

// maskedSegment stands for a segment of a path, or a value of a query, that a client may
// have chosen.
const maskedSegment = "…"

// path returns the path of a request below the service root as the request log keeps it:
// endpoints, ids of resources, and the names of parameters that mean something. Of an
// address that is none, it has what may be an endpoint.
func (x *exchange) path(segments []string, id string) string {
	if len(segments) == 2 && segments[1] == id && x.request.URL.RawQuery == "" {
		return "/" + segments[0] + "/" + id // it was answered: most of them are
	}
	if i := slices.IndexFunc(segments, x.isKnownEndpoint); i > 0 {
		segments = segments[i:]
	}
	var b strings.Builder
	for i, segment := range segments {
		if !x.isKnownEndpoint(segment) && (segment != id || id == "") && !isServerID(segment) {
			segment = maskedSegment
		}
		b.WriteString("/" + segment)
		if i == mostSegments {
			break
		}
	}
	if len(segments) == 0 {
		b.WriteByte('/')
	}
	x.maskQuery(&b)
	return b.String()
}

// mostSegments is how many segments of a path are kept: no address has more.
const mostSegments = 3

// maskQuery writes the parameters of the request, without their values.
func (x *exchange) maskQuery(b *strings.Builder) {
	sent, err := url.ParseQuery(x.request.URL.RawQuery)
	if len(sent) == 0 && err == nil {
		return
	}
	var names []string
	for name := range sent {
		if name = parameters[strings.ToLower(name)]; name == "" {
			name = maskedSegment
		}
		names = append(names, name+"="+maskedSegment)
	}
	slices.Sort(names)
	b.WriteString("?" + strings.Join(slices.Compact(names), "&"))
}

// isKnownEndpoint is isEndpoint for a request of which the schemas may not be known yet,
// and for the endpoint of searches.
func (x *exchange) isKnownEndpoint(segment string) bool {
	set := x.set
	if set == nil {
		set = standardSet
	}
	return fixedEndpoints[segment] || set.Endpoint("/"+segment) != nil
}

// serverIDLength is how long ids are that the engine makes.
const serverIDLength = 26

// isServerID reports whether a text has the form of an id that the engine makes.
func isServerID(s string) bool {
	if len(s) != serverIDLength {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') })
}
