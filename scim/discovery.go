package scim

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/scimjit/provision/scim/schema"
)

// serviceProviderConfig answers RFC 7643 section 5. It claims only what works.
func (x *exchange) serviceProviderConfig([]string) (*response, error) {
	b := []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],` +
		`"patch":{"supported":true},` +
		`"bulk":{"supported":true,"maxOperations":` + strconv.Itoa(x.handler.Limits.bulkOperations()) +
		`,"maxPayloadSize":` + strconv.FormatInt(x.handler.Limits.bulkBody(), 10) + `},` +
		`"filter":{"supported":true,"maxResults":` + strconv.Itoa(x.handler.Limits.count()) + `},` +
		`"changePassword":{"supported":false},` +
		`"sort":{"supported":true},` +
		`"etag":{"supported":true},` +
		`"pagination":{"cursor":true,"index":true,"defaultPaginationMethod":"index","defaultPageSize":` + strconv.Itoa(x.handler.Limits.pageSize()) +
		`,"maxPageSize":` + strconv.Itoa(x.handler.Limits.count()) + `,"cursorTimeout":` + strconv.Itoa(int(x.handler.Limits.cursor().Seconds())) + `},` +
		`"authenticationSchemes":[` +
		`{"type":"oauthbearertoken","name":"Bearer token","description":"A token of the connection in the Authorization header","specUri":"https://www.rfc-editor.org/info/rfc6750","primary":true},` +
		`{"type":"httpbasic","name":"HTTP Basic","description":"A user name and password of the connection","specUri":"https://www.rfc-editor.org/info/rfc7617"}],` +
		`"meta":{"resourceType":"ServiceProviderConfig","location":`)
	b = appendText(b, x.address("ServiceProviderConfig"))
	return &response{status: http.StatusOK, body: append(b, '}', '}')}, nil
}

// resourceTypes answers RFC 7643 section 6.
func (x *exchange) resourceTypes([]string) (*response, error) {
	if x.values.Has("filter") {
		return nil, &Error{Status: http.StatusForbidden, Detail: "this endpoint does not support filter"}
	}
	var list [][]byte
	for _, t := range x.set.Types() {
		list = append(list, x.resourceTypeJSON(t))
	}
	return discoveryList(list), nil
}

func (x *exchange) resourceType(segments []string) (*response, error) {
	t := x.set.Type(segments[1])
	if t == nil {
		return nil, &Error{Status: http.StatusNotFound, Detail: "there is no such resource type"}
	}
	return &response{status: http.StatusOK, body: x.resourceTypeJSON(t)}, nil
}

func (x *exchange) resourceTypeJSON(t *schema.ResourceType) []byte {
	b := []byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":`)
	b = appendText(b, t.Name)
	b = append(b, `,"name":`...)
	b = appendText(b, t.Name)
	b = append(b, `,"endpoint":`...)
	b = appendText(b, t.Endpoint)
	if t.Description != "" {
		b = append(b, `,"description":`...)
		b = appendText(b, t.Description)
	}
	b = append(b, `,"schema":`...)
	b = appendText(b, t.Schema)
	b = append(b, `,"schemaExtensions":[`...)
	for i, e := range t.Extensions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"schema":`...)
		b = appendText(b, e.Name)
		b = append(b, `,"required":`...)
		b = strconv.AppendBool(b, t.RequiredExtensions[e.Name])
		b = append(b, '}')
	}
	b = append(b, `],"meta":{"resourceType":"ResourceType","location":`...)
	b = appendText(b, x.address("ResourceTypes/"+t.Name))
	return append(b, '}', '}')
}

// schemas answers RFC 7643 section 7.
func (x *exchange) schemas([]string) (*response, error) {
	if x.values.Has("filter") {
		return nil, &Error{Status: http.StatusForbidden, Detail: "this endpoint does not support filter"}
	}
	var list [][]byte
	for _, s := range x.set.SchemasJSON() {
		list = append(list, x.schemaJSON(s))
	}
	return discoveryList(list), nil
}

func (x *exchange) schema(segments []string) (*response, error) {
	for _, s := range x.set.SchemasJSON() {
		if s.ID == segments[1] {
			return &response{status: http.StatusOK, body: x.schemaJSON(s)}, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Detail: "there is no such schema"}
}

func (x *exchange) schemaJSON(s schema.NamedJSON) []byte {
	text := s.JSON
	if s.ID == schema.GroupURN && !x.dialect.UniqueGroupNames {
		// The name is all that a group has to be unique.
		text = bytes.ReplaceAll(text, []byte(`"uniqueness":"server"`), []byte(`"uniqueness":"none"`))
	}
	b := append([]byte(nil), text[:len(text)-1]...)
	b = append(b, `,"meta":{"resourceType":"Schema","location":`...)
	b = appendText(b, x.address("Schemas/"+s.ID))
	return append(b, '}', '}')
}

// address returns the address of a discovery resource.
func (x *exchange) address(path string) string {
	if x.base == "" {
		return path
	}
	return x.base + "/" + path
}

func discoveryList(list [][]byte) *response {
	n := strconv.Itoa(len(list))
	b := append([]byte(listSchema), n...)
	b = append(b, `,"startIndex":1,"itemsPerPage":`+n+`,"Resources":[`...)
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
	}
	return &response{status: http.StatusOK, body: append(b, ']', '}')}
}
