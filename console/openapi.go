package console

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object of the description.
type object = map[string]any

func readOpenAPI(c *call) (any, error) {
	return openAPI(c.api.rows), nil
}

// openAPI describes the rows of the table (OpenAPI 3.1.0).
func openAPI(rows []route) object {
	schemas := schemas{components: object{}}
	paths := map[string]object{}
	for i := range rows {
		r := &rows[i]
		at := paths[r.path]
		if at == nil {
			at = object{}
			paths[r.path] = at
		}
		at[strings.ToLower(r.method)] = schemas.operation(r)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "provision", "version": "1",
			"description": "Connections to identity providers, their people and groups, what happened and what waits for a decision. " +
				"An operation says in x-roles who may ask for it. The application says how one signs in.",
		},
		"paths":      paths,
		"components": object{"schemas": schemas.components},
	}
}

// placeholder finds the parameters of a path.
var placeholder = regexp.MustCompile(`{(\w+)}`)

// operation describes a row.
func (s *schemas) operation(r *route) object {
	group, _, _ := strings.Cut(r.name, ".")
	o := object{
		"operationId": r.name, "summary": r.summary, "tags": []string{group}, "x-roles": r.roles(), "x-audited": r.audited,
		"responses": object{strconv.Itoa(r.success()): s.success(r), "default": s.failure()},
	}
	if parameters := r.describeParameters(); len(parameters) > 0 {
		o["parameters"] = parameters
	}
	if r.body != nil {
		media, schema := "application/json", s.of(r.body, true)
		if r.media != "" {
			media = r.media
		}
		content := object{media: object{"schema": schema}}
		if r.media != "" {
			content["text/csv"] = object{"schema": schema}
		}
		o["requestBody"] = object{"required": r.media == "", "content": content}
	}
	return o
}

// roles are the roles that may, the customer's where it was chosen for them.
func (r *route) roles() []Role {
	roles := []Role{RoleOperator}
	if r.support || r.everyone {
		roles = append(roles, RoleSupport)
	}
	if r.customer || r.everyone {
		roles = append(roles, RoleCustomer)
	}
	return roles
}

func (r *route) describeParameters() []object {
	var out []object
	add := func(name, in, help string, required bool, schema object) {
		p := object{"name": name, "in": in, "required": required, "schema": schema}
		if help != "" {
			p["description"] = help
		}
		out = append(out, p)
	}
	for _, m := range placeholder.FindAllStringSubmatch(r.path, -1) {
		add(m[1], "path", "", true, object{"type": "string"})
	}
	for _, p := range r.parameters() {
		schema := object{"type": p.kind}
		if p.kind == "time" {
			schema = object{"type": "string", "format": "date-time"}
		}
		add(p.name, "query", p.help, false, schema)
	}
	if r.ifMatch {
		add("If-Match", "header", "The ETag of what the request was made from.", true, object{"type": "string"})
	}
	return out
}

// success describes the answer that is no problem.
func (s *schemas) success(r *route) object {
	if r.answer == nil {
		return object{"description": http.StatusText(http.StatusNoContent)}
	}
	schema := s.of(r.answer, false)
	if r.list {
		schema = object{"type": "array", "items": schema}
	}
	out := object{"description": r.summary, "content": object{"application/json": object{"schema": schema}}}
	headers := object{}
	if r.list && !r.whole {
		headers["Link"] = object{"description": `The next page, with rel="next"; not there on the last one.`, "schema": object{"type": "string"}}
	}
	if _, ok := r.answer.(Settings); ok {
		headers["ETag"] = object{"description": "The version, for If-Match.", "schema": object{"type": "string"}}
	}
	if len(headers) > 0 {
		out["headers"] = headers
	}
	return out
}

// failure describes every other answer.
func (s *schemas) failure() object {
	return object{
		"description": "A problem (RFC 9457), whose code docs/troubleshooting.md explains.",
		"content":     object{"application/problem+json": object{"schema": s.of(Problem{}, false)}},
	}
}

// clone copies what was decoded from JSON.
func clone(data []byte) object {
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err) // a constant of this module
	}
	return out
}

// text is a schema of these words.
func words[T ~string](list ...T) object {
	slices.Sort(list)
	return object{"type": "string", "enum": list}
}
