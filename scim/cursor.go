package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// cursor is a place in the results of one query (RFC 9865). Clients see it
// signed: it is bound to the connection, the query and a time, so that nobody
// reads or writes places that were not given to them. A clock that is set back lets one
// count for longer, so that a walk goes on: it opens nothing that its reader could not
// ask for anew. One that jumps ahead ends it, and the client begins again.
type cursor struct {
	Connection string        `json:"c"`
	Query      []byte        `json:"q"`
	Key        store.SortKey `json:"k"`
	Backward   bool          `json:"b,omitempty"`
	Expires    int64         `json:"e"`
}

var (
	errInvalidCursor = refuse(codeInvalidCursor, "the cursor is not one of this query")
	errExpiredCursor = refuse(codeExpiredCursor, "the cursor is too old, start again with an empty one")
)

// readCursor moves a query to the place of the cursor parameter, and reports
// whether there is one. An empty cursor starts at the beginning.
func (x *exchange) readCursor(q *store.Query) (bool, error) {
	if !x.values.Has("cursor") {
		return false, nil
	}
	q.Offset = 0
	text := x.values.Get("cursor")
	if text == "" {
		return true, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false, errInvalidCursor
	}
	payload, ok, err := x.handler.Engine.Plumbing().Verify(x.request.Context(), "scim cursor", sealed)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, errInvalidCursor
	}
	var c cursor
	if err := json.Unmarshal(payload, &c); err != nil {
		return false, errInvalidCursor
	}
	switch {
	case c.Connection != x.principal.Connection || string(c.Query) != string(x.queryDigest(q)):
		return false, errInvalidCursor
	case x.handler.now().Unix() >= c.Expires:
		return false, errExpiredCursor
	}
	q.From, q.Backward = &c.Key, c.Backward
	return true, nil
}

// queryDigest names what must not change between the pages of a walk. The count
// may.
func (x *exchange) queryDigest(q *store.Query) []byte {
	h := sha256.New()
	for _, part := range []string{strings.Join(q.Types, ","), x.values.Get("filter"), x.values.Get("sortBy"), strings.ToLower(x.values.Get("sortOrder"))} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)[:12]
}

// pageCursors returns the place of a page of a walk. One resource more than asked
// for was read, which tells whether the results go on; page is without it.
func (x *exchange) pageCursors(q *store.Query, page []*store.Resource, more bool) (at place, err error) {
	if len(page) == 0 {
		return at, nil
	}
	hasPrevious, hasNext := q.From != nil, more
	if q.Backward {
		hasPrevious, hasNext = more, true
	}
	if hasPrevious {
		if at.previous, err = x.seal(q, page[0], true); err != nil {
			return at, err
		}
	}
	if hasNext {
		at.next, err = x.seal(q, page[len(page)-1], false)
	}
	return at, err
}

// seal makes the cursor of the page that ends before, or starts behind, a
// resource.
func (x *exchange) seal(q *store.Query, r *store.Resource, backward bool) (string, error) {
	payload, err := json.Marshal(cursor{
		Connection: x.principal.Connection,
		Query:      x.queryDigest(q),
		Key:        q.Sort.Key(r),
		Backward:   backward,
		Expires:    x.handler.now().Add(x.handler.Limits.cursor()).Unix(),
	})
	if err != nil {
		return "", err
	}
	sealed, err := x.handler.Engine.Plumbing().Sign(x.request.Context(), "scim cursor", payload)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// now is the engine's time.
func (h *Handler) now() time.Time {
	if h.Engine.Now != nil {
		return h.Engine.Now()
	}
	return time.Now()
}
