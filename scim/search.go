package scim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

var searchMessage = messageKind{"search request", "urn:ietf:params:scim:api:messages:2.0:SearchRequest"}

// searchRequest is the body of POST .search (RFC 7644 section 3.4.3, and RFC
// 9865 for cursor).
type searchRequest struct {
	message
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
	var req searchRequest
	if err := x.readMessage(searchMessage, x.handler.Limits.body(false), &req); err != nil {
		return nil, err
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
