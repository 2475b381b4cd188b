package scim

import (
	"io"
	"net/http"
	"strconv"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

const listSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// place says where a page is in the results.
type place struct {
	start          int    // of its first resource, from 1; 0 in a walk with cursors
	previous, next string // the cursors of the pages around it, if any
}

// append writes the place as members of a list response (RFC 7644 section
// 3.4.2.4, RFC 9865).
func (p place) append(b []byte) []byte {
	if p.start > 0 {
		b = append(b, `,"startIndex":`...)
		b = strconv.AppendInt(b, int64(p.start), 10)
	}
	if p.previous != "" {
		b = append(b, `,"previousCursor":`...)
		b = appendText(b, p.previous)
	}
	if p.next != "" {
		b = append(b, `,"nextCursor":`...)
		b = appendText(b, p.next)
	}
	return b
}

// encodedPage is a page of resources as clients get it (RFC 7644 section 3.4.2).
type encodedPage struct {
	resources []*store.Resource // those of the page that fit
	buffer    *[]byte
	encoded   []byte // they, with commas between them

	rest func(io.Writer) error // of the only one, a group with many members; or nil
	pace *pace                 // of the request
}

// encodeList encodes the resources of a page, as many as [Limits.Answer] has room
// for: the first ones, or the last ones. There is always room for one.
func (x *exchange) encodeList(page []*store.Resource, backward bool, shapes []shape) (*encodedPage, error) {
	most, size := x.handler.Limits.answer(), 0
	if len(page) == 1 && len(page[0].Members) > most/store.MembershipSize {
		if s := shapeOf(shapes, page[0].Type); s.projection.parts&store.WithMembers != 0 {
			buffer := newBuffer(0)
			b, rest, err := x.openGroup(*buffer, s.resourceType, page[0], s.projection)
			return &encodedPage{page, buffer, b, rest, x.pace}, err
		}
	}
	for _, r := range page {
		if size += store.EnvelopeSize; shapeOf(shapes, r.Type).projection.whole {
			size += r.Size()
		}
	}
	if size > piece {
		x.pace.GiveWay()
	}
	buffer := newBuffer(size)
	b, ends, looked := *buffer, make([]int, 0, len(page)), 0
	for i, r := range page {
		if i > 0 {
			b = append(b, ',')
		}
		if len(b)-looked >= piece {
			looked = len(b)
			x.pace.GiveWay()
		}
		var err error
		s := shapeOf(shapes, r.Type)
		if b, err = x.appendResource(b, s.resourceType, r, s.projection); err != nil {
			return nil, err
		}
		if !backward && i > 0 && len(b) > most {
			return &encodedPage{page[:i], buffer, b[:ends[i-1]], nil, x.pace}, nil
		}
		ends = append(ends, len(b))
	}
	first, start := 0, 0
	for first < len(page)-1 && len(b)-start > most {
		start = ends[first] + len(",")
		first++
	}
	return &encodedPage{page[first:], buffer, b[start:], nil, x.pace}, nil
}

// response is the list response: how many resources match in all, where the page
// is among them, and the page.
func (p *encodedPage) response(total int, at place) *response {
	head := append(make([]byte, 0, 256), `{"schemas":["`+listSchema+`"],"totalResults":`...)
	head = strconv.AppendInt(head, int64(total), 10)
	head = at.append(head)
	head = append(head, `,"itemsPerPage":`...)
	head = strconv.AppendInt(head, int64(len(p.resources)), 10)
	head = append(head, `,"Resources":[`...)
	if p.rest == nil {
		resp := built(http.StatusOK, p.buffer, append(p.encoded, ']', '}'))
		resp.head, resp.pace = head, p.pace
		return resp
	}
	resp := built(http.StatusOK, p.buffer, p.encoded)
	resp.head, resp.rest = head, func(w io.Writer) error {
		err := p.rest(w)
		if err == nil {
			_, _ = io.WriteString(w, "]}") // the client is gone: there is nobody to tell
		}
		return err
	}
	return resp
}

// shape is how the resources of a type look in a page.
type shape struct {
	resourceType *schema.ResourceType
	projection   projection
}

// shapeOf returns the shape of a type, which is one of the few that were asked
// for.
func shapeOf(shapes []shape, typ string) *shape {
	for i := range shapes {
		if shapes[i].resourceType.Name == typ {
			return &shapes[i]
		}
	}
	return &shapes[0]
}
