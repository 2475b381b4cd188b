package scim

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// list answers GET of a resource type, and of the root for all types (RFC 7644
// section 3.4.2).
func (x *exchange) list(segments []string) (*response, error) {
	types := x.set.Types()
	if len(segments) > 0 {
		t, err := x.resourceTypeOf(segments)
		if err != nil {
			return nil, err
		}
		types = []*schema.ResourceType{t}
	}
	q, start, err := x.query(types)
	if err != nil {
		return nil, err
	}
	shapes := make([]shape, len(types))
	for i, t := range types {
		p, err := x.projection(t)
		if err != nil {
			return nil, err
		}
		shapes[i] = shape{t, p}
		q.With |= p.parts
	}
	walks, err := x.readCursor(&q)
	if err != nil {
		return nil, err
	}
	if !walks {
		page, err := x.pageOf(q, types)
		if err != nil {
			return nil, err
		}
		list, err := x.encodeList(page.Resources, false, shapes)
		if err != nil {
			return nil, err
		}
		return list.response(page.Total, place{start: start}), nil
	}
	return x.walk(q, types, shapes)
}

// walk answers a list request with a cursor.
func (x *exchange) walk(q store.Query, types []*schema.ResourceType, shapes []shape) (*response, error) {
	size := q.Limit
	if size > 0 {
		q.Limit++ // one more tells whether the results go on
	}
	page, err := x.pageOf(q, types)
	if err != nil {
		return nil, err
	}
	more := len(page.Resources) > size
	switch {
	case more && q.Backward:
		page.Resources = page.Resources[1:]
	case more:
		page.Resources = page.Resources[:size]
	}
	list, err := x.encodeList(page.Resources, q.Backward, shapes)
	if err != nil {
		return nil, err
	}
	more = more || page.Cut || len(list.resources) < len(page.Resources)
	at, err := x.pageCursors(&q, list.resources, more)
	if err != nil {
		return nil, err
	}
	return list.response(page.Total, at), nil
}

// query reads the parameters of a list request. Unknown ones are ignored.
func (x *exchange) query(types []*schema.ResourceType) (store.Query, int, error) {
	limits := x.handler.Limits
	q := store.Query{ScanRows: limits.ScanRows, ScanTime: limits.ScanTime, Bytes: limits.answer()}
	start, err := intParam(x.values, "startIndex", 1)
	if err != nil {
		return q, 0, err
	}
	count, err := intParam(x.values, "count", limits.pageSize())
	if err != nil {
		return q, 0, err
	}
	start = max(start, 1)
	q.Offset = start - 1
	q.Limit = min(max(count, 0), limits.count())
	if q.Types, q.Filter, err = x.filter(types); err != nil {
		return q, 0, x.inFilter(err)
	}
	q.Sort, err = x.sort(types)
	return q, start, err
}

// inFilter names the filter in an error about it.
func (x *exchange) inFilter(err error) error {
	var wrong *filter.Error
	if !errors.As(err, &wrong) {
		return err
	}
	return refuse(schema.CodeBadFilter, "filter %s: %s", schema.QuotedText(x.values.Get("filter")), wrong.Detail)
}

// filter compiles the filter for each type. Across types, an attribute that a
// type does not have counts as one without a value there (RFC 7644 section
// 3.4.2.1); one that no type has is an error.
func (x *exchange) filter(types []*schema.ResourceType) ([]string, store.Filter, error) {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	if x.values.Get("filter") == "" {
		return names, nil, nil
	}
	parse := filter.Parse
	if x.dialect.LooseFilters {
		parse = filter.ParseLoose
	}
	expr, err := parse(x.values.Get("filter"), x.handler.Limits.Filter)
	if err != nil {
		return nil, nil, err
	}
	options := filter.Options{Loose: x.dialect.LooseFilters}
	if len(types) == 1 {
		f, err := filter.Compile(types[0], expr, options)
		return names, f, err
	}
	missing := map[string]int{}
	each := make(store.Or, len(types))
	for i, t := range types {
		here := map[string]bool{}
		options.Unknown = func(attribute string) { here[attribute] = true }
		if each[i], err = filter.Compile(t, expr, options); err != nil {
			return nil, nil, err
		}
		for attribute := range here {
			if missing[attribute]++; missing[attribute] == len(types) {
				return nil, nil, refuse(schema.CodeBadFilter, "filter: unknown attribute %q", attribute)
			}
		}
	}
	for i, f := range each {
		each[i] = store.And{store.Compare{
			Path: store.Path{Keys: []string{"meta", "resourceType"}, Type: store.Exact}, Op: store.EQ, Value: names[i],
		}, f}
	}
	return names, each, nil
}

// sort reads sortBy and sortOrder (RFC 7644 section 3.4.2.3).
func (x *exchange) sort(types []*schema.ResourceType) (*store.Sort, error) {
	by := x.values.Get("sortBy")
	if by == "" {
		return nil, nil
	}
	a := x.sortAttribute(types, by)
	if a == nil {
		return nil, refuse(codeBadParameter, "sortBy %s: cannot sort by it", schema.QuotedText(by))
	}
	s := &store.Sort{Path: a.Path()}
	switch order := x.values.Get("sortOrder"); {
	case order == "" || strings.EqualFold(order, "ascending"):
	case strings.EqualFold(order, "descending"):
		s.Descending = true
	default:
		return nil, refuse(codeBadParameter, "sortOrder %s: must be ascending or descending", schema.QuotedText(order))
	}
	return s, nil
}

// sortAttribute returns the simple attribute that a path names in the first type
// that has it, or nil. A complex attribute is sorted by its value.
func (x *exchange) sortAttribute(types []*schema.ResourceType, path string) *schema.Attribute {
	for _, t := range types {
		a, err := x.attribute(t, path)
		if err != nil || a == nil {
			continue
		}
		if a.Type == schema.Complex {
			a = a.Lookup("value")
		}
		if a == nil || !sortable(a) {
			return nil
		}
		return a
	}
	return nil
}

// sortable reports whether stores can order by an attribute: it is in the
// document, or one of those that they keep beside it.
func sortable(a *schema.Attribute) bool {
	switch a.String() {
	case "id", "meta.resourceType", "meta.created", "meta.lastModified", "meta.version":
		return true
	}
	return a.Kept == schema.InDocument && a.Returned != schema.Never
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
		return 0, refuse(codeBadParameter, "%s %s: must be a whole number", name, schema.QuotedText(text))
	}
	return min(max(n, -1<<31), 1<<31-1), nil
}
