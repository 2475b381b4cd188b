package elimity

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	server "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/optional"
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
)

// body returns the attributes as a resource. The server has checked "schemas"
// and taken it away.
func (h *Handler) body(attributes server.ResourceAttributes) map[string]any {
	schemas := []string{h.schema}
	out := make(map[string]any, len(attributes)+1)
	for name, v := range attributes {
		if strings.Contains(name, ":") {
			schemas = append(schemas, name)
		}
		out[name] = withList(v)
	}
	out["schemas"] = schemas
	return out
}

// withList returns v, and an empty list as such: the server makes a nil slice of
// it, which would be written as null. PUT of no members is not PUT without
// members, and a remove of none is not one of all.
func withList(v any) any {
	if list, ok := v.([]any); ok && list == nil {
		return []any{}
	}
	return v
}

// patchRequest is the body of RFC 7644 section 3.5.2.
type patchRequest struct {
	Schemas    []string         `json:"schemas"`
	Operations []patchOperation `json:"Operations"`
}

type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

func patchMessage(operations []server.PatchOperation) patchRequest {
	m := patchRequest{Schemas: []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}}
	for _, o := range operations {
		out := patchOperation{Op: o.Op, Value: withList(o.Value)}
		if o.Path != nil {
			path := *o.Path
			path.ValueExpression = unescaped(path.ValueExpression)
			out.Path = filter.FormatPath(path)
		}
		m.Operations = append(m.Operations, out)
	}
	return m
}

// filterText writes a filter that the server has parsed.
func filterText(e ast.Expression) string { return filter.Format(unescaped(e)) }

// unescaped returns an expression with its strings as they are meant: the
// parser of the server keeps the escapes of JSON in them.
func unescaped(e ast.Expression) ast.Expression {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		return &ast.LogicalExpression{Left: unescaped(e.Left), Right: unescaped(e.Right), Operator: e.Operator}
	case *ast.NotExpression:
		return &ast.NotExpression{Expression: unescaped(e.Expression)}
	case *ast.ValuePath:
		return &ast.ValuePath{AttributePath: e.AttributePath, ValueFilter: unescaped(e.ValueFilter)}
	case *ast.AttributeExpression:
		out := *e
		if s, ok := e.CompareValue.(string); ok && strings.Contains(s, `\`) {
			var text string
			if json.Unmarshal([]byte(`"`+s+`"`), &text) == nil {
				out.CompareValue = text
			}
		}
		return &out
	}
	return e
}

// decodePage decodes a ListResponse.
func decodePage(data []byte) (server.Page, error) {
	var list struct {
		TotalResults int
		Resources    []json.RawMessage
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return server.Page{}, err
	}
	page := server.Page{TotalResults: list.TotalResults, Resources: []server.Resource{}}
	for _, data := range list.Resources {
		r, err := decodeResource(data)
		if err != nil {
			return server.Page{}, err
		}
		page.Resources = append(page.Resources, r)
	}
	return page, nil
}

// decodeResource decodes a resource. Numbers keep their text, as json.Number.
func decodeResource(data []byte) (server.Resource, error) {
	var attributes server.ResourceAttributes
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&attributes); err != nil {
		return server.Resource{}, err
	}
	id, ok := attributes["id"].(string)
	if !ok {
		return server.Resource{}, errors.New("elimity: the resource has no id")
	}
	r := server.Resource{ID: id, Attributes: attributes}
	if text, ok := attributes["externalId"].(string); ok {
		r.ExternalID = optional.NewString(text)
	}
	if meta, ok := attributes["meta"].(map[string]any); ok {
		r.Meta.Created, r.Meta.LastModified = timeOf(meta["created"]), timeOf(meta["lastModified"])
		r.Meta.Version, _ = meta["version"].(string)
	}
	// What the server writes by itself.
	for _, name := range []string{"schemas", "id", "externalId", "meta"} {
		delete(attributes, name)
	}
	return r, nil
}

func timeOf(v any) *time.Time {
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	return &t
}
