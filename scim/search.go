package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const searchSchema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// searchRequest is the body of POST .search (RFC 7644 section 3.4.3, and RFC
// 9865 for cursor).
type searchRequest struct {
	Schemas            []string `json:"schemas"`
	Attributes         []string `json:"attributes"`
	ExcludedAttributes []string `json:"excludedAttributes"`
	Filter             string   `json:"filter"`
	SortBy             string   `json:"sortBy"`
	SortOrder          string   `json:"sortOrder"`
	StartIndex         *int     `json:"startIndex"`
	Count              *int     `json:"count"`
	Cursor             *string  `json:"cursor"`
}

// search answers POST .search on a resource type, or on the root, as the list
// request with the same parameters.
func (x *exchange) search(segments []string) (*response, error) {
	data, err := x.body(x.handler.Limits.body(false))
	if err != nil {
		return nil, err
	}
	if err := x.checkMessage(data); err != nil {
		return nil, err
	}
	var req searchRequest
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, badRequest("invalidSyntax", "the search request has a value of the wrong type")
	}
	if !listed(req.Schemas, searchSchema) && !x.dialect.LooseFilters {
		return nil, badRequest("invalidSyntax", "schemas must list %s", searchSchema)
	}
	x.values = req.values()
	x.method = http.MethodGet
	return x.list(segments[:len(segments)-1])
}

// values returns the query parameters that mean the same.
func (req *searchRequest) values() url.Values {
	v := url.Values{}
	set := func(name, text string) {
		if text != "" {
			v.Set(name, text)
		}
	}
	number := func(name string, n *int) {
		if n != nil {
			v.Set(name, strconv.Itoa(*n))
		}
	}
	set("attributes", strings.Join(req.Attributes, ","))
	set("excludedAttributes", strings.Join(req.ExcludedAttributes, ","))
	set("filter", req.Filter)
	set("sortBy", req.SortBy)
	set("sortOrder", req.SortOrder)
	number("startIndex", req.StartIndex)
	number("count", req.Count)
	if req.Cursor != nil {
		v.Set("cursor", *req.Cursor)
	}
	return v
}

func listed(schemas []string, urn string) bool {
	for _, s := range schemas {
		if strings.EqualFold(s, urn) {
			return true
		}
	}
	return false
}
