package scim

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// list answers GET of a resource type (RFC 7644 section 3.4.2).
func (x *exchange) list(segments []string) (*response, error) {
	t, err := x.resourceTypeOf(segments[0])
	if err != nil {
		return nil, err
	}
	p, err := x.projection(t)
	if err != nil {
		return nil, err
	}
	q, start, err := x.query(t, p)
	if err != nil {
		return nil, err
	}
	page, err := x.directory.Query(x.request.Context(), q)
	if err != nil {
		return nil, err
	}
	return x.listResponse(t, page, start, p)
}

// query reads the parameters of a list request. Unknown ones are ignored.
func (x *exchange) query(t *schema.ResourceType, p projection) (store.Query, int, error) {
	params := x.params()
	limits := x.handler.Limits
	q := store.Query{Types: []string{t.Name}, With: p.parts, ScanRows: limits.ScanRows}
	start, err := intParam(params, "startIndex", 1)
	if err != nil {
		return q, 0, err
	}
	count, err := intParam(params, "count", limits.pageSize())
	if err != nil {
		return q, 0, err
	}
	start = max(start, 1)
	q.Offset = start - 1
	q.Limit = min(max(count, 0), limits.count())
	if text := params.Get("filter"); text != "" {
		expr, err := filter.Parse(text, limits.Filter)
		if err != nil {
			return q, 0, err
		}
		if q.Filter, err = filter.Compile(t, expr, filter.Options{Loose: x.dialect.LooseFilters}); err != nil {
			return q, 0, err
		}
	}
	if q.Sort, err = x.sort(t, params); err != nil {
		return q, 0, err
	}
	return q, start, nil
}

// sort reads sortBy and sortOrder (RFC 7644 section 3.4.2.3).
func (x *exchange) sort(t *schema.ResourceType, params url.Values) (*store.Sort, error) {
	by := params.Get("sortBy")
	if by == "" {
		return nil, nil
	}
	a, err := x.attribute(t, by)
	if err == nil && a != nil && a.Type == schema.Complex {
		a = a.Lookup("value")
	}
	if err != nil || a == nil || a.Kept == schema.Nowhere || a.Kept == schema.InMembers {
		return nil, badRequest("invalidValue", "cannot sort by %q", by)
	}
	s := &store.Sort{Path: a.Path()}
	switch order := params.Get("sortOrder"); {
	case order == "" || strings.EqualFold(order, "ascending"):
	case strings.EqualFold(order, "descending"):
		s.Descending = true
	default:
		return nil, badRequest("invalidValue", "sortOrder must be ascending or descending")
	}
	return s, nil
}

// attribute resolves an attribute path such as "name.familyName".
func (x *exchange) attribute(t *schema.ResourceType, path string) (*schema.Attribute, error) {
	p, err := filter.ParsePath(path, x.handler.Limits.Filter)
	if err != nil {
		return nil, err
	}
	if p.ValueExpression != nil || p.SubAttribute != nil {
		return nil, errors.New("not an attribute path")
	}
	ap := p.AttributePath
	return t.Resolve(ap.URI(), ap.AttributeName, ap.SubAttributeName(), x.dialect.LooseFilters), nil
}

// params returns the query parameters. A malformed pair is left out, and an
// address without parameters costs nothing.
func (x *exchange) params() url.Values {
	if x.request.URL.RawQuery == "" {
		return nil
	}
	return x.request.URL.Query()
}

func intParam(params url.Values, name string, def int) (int, error) {
	text := params.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if errors.Is(err, strconv.ErrRange) {
		// Atoi has set n to the nearest value that fits.
		return min(max(n, -1<<31), 1<<31-1), nil
	}
	if err != nil {
		return 0, badRequest("invalidValue", "%s must be a whole number", name)
	}
	return min(max(n, -1<<31), 1<<31-1), nil
}

// etag returns the entity tag of a version (RFC 7644 section 3.14).
func etag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// matchesETag reports whether a list of entity tags names a version; they are
// compared weakly, and "*" names every one (RFC 9110 section 13.1).
func matchesETag(headers []string, version int64) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag(version), "W/") {
				return true
			}
		}
	}
	return false
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return badRequest("invalidSyntax", "the request body ended early")
}
