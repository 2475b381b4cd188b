package scim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// scanRetry is when a client may come again whose connection has as many scans as
// it may: when one of them has surely ended.
const scanRetry = 2 * time.Second

// pageOf asks the directory for a page. Where that takes too much, the error says
// what the client can do: which attributes an index has.
func (x *exchange) pageOf(q store.Query, types []*schema.ResourceType) (store.Page, error) {
	page, err := x.directory.Query(x.request.Context(), q)
	var spent *store.ScanError
	if !errors.As(err, &spent) {
		return page, err
	}
	narrow := "a filter that joins to it, by and, an eq of " + indexed(types)
	if q.Filter != nil {
		return page, refuse(codeFilterTooWide, "filter %s: %s; ask with %s",
			schema.QuotedText(x.values.Get("filter")), spentBound(spent), narrow)
	}
	return page, refuse(codeFilterTooWide, "sortBy %s: %s; ask with a filter that has an eq of %s, or without sortBy",
		schema.QuotedText(x.values.Get("sortBy")), spentBound(spent), indexed(types))
}

// spentBound says which bound of a query is spent.
func spentBound(spent *store.ScanError) string {
	if spent.Time > 0 {
		return fmt.Sprintf("it takes longer than %s", spent.Time)
	}
	return fmt.Sprintf("there are more than %d resources to look at", spent.Rows)
}

// indexed lists the attributes of which an index finds the resources that have a
// value.
func indexed(types []*schema.ResourceType) string {
	names := []string{"id"}
	for _, t := range types {
		for _, a := range t.Indexed() {
			if name := a.String(); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
