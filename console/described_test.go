package console_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/console"
)

// object is a JSON object.
type object = map[string]any

// description is what GET /openapi.json says.
var description = sync.OnceValue(func() object {
	api := &console.API{Who: func(*http.Request) (console.Viewer, error) { return operator, nil }}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var out object
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		panic(err)
	}
	return out
})

// described holds an answer against the description: every status, media type, key and
// value must be as it says.
func described(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	operation := operationOf(r)
	if operation == nil && w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
		t.Errorf("%s %s: %d, and the description does not have it", r.Method, r.URL, w.Code)
	}
	kind, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if w.Code >= 300 {
		if kind != "application/problem+json" {
			t.Errorf("%s %s: %d is of type %q", r.Method, r.URL, w.Code, kind)
		}
		valid(t, r, object{"$ref": "#/components/schemas/Problem"}, w.Body.Bytes())
		return
	}
	if operation == nil || strings.HasPrefix(r.URL.Path, "/openapi") {
		return
	}
	answer, ok := operation["responses"].(object)[strconv.Itoa(w.Code)].(object)
	if !ok {
		t.Errorf("%s %s: the description has no %d", r.Method, r.URL, w.Code)
		return
	}
	content, _ := answer["content"].(object)
	if content == nil {
		if w.Body.Len() > 0 {
			t.Errorf("%s %s: a body where there is none: %s", r.Method, r.URL, w.Body)
		}
		return
	}
	if kind == "application/x-ndjson" { // of the alias, which is described as its list
		for line := range bytes.Lines(w.Body.Bytes()) {
			valid(t, r, object{"$ref": "#/components/schemas/Event"}, line)
		}
		return
	}
	media, ok := content[kind].(object)
	if !ok {
		t.Errorf("%s %s: type %q is not described", r.Method, r.URL, kind)
		return
	}
	valid(t, r, media["schema"].(object), w.Body.Bytes())
}

// operationOf finds the operation of a request, at its address or its alias.
func operationOf(r *http.Request) object {
	path := ""
	for _, o := range console.Operations() {
		patterns := []string{o.Path}
		if o.Alias != "" && r.URL.Query().Has("connection") {
			patterns = append(patterns, o.Alias)
		}
		for _, pattern := range patterns {
			mux := http.NewServeMux()
			mux.HandleFunc(o.Method+" "+pattern, func(http.ResponseWriter, *http.Request) {})
			if _, at := mux.Handler(r); at != "" {
				path = o.Path
			}
		}
	}
	at, _ := description()["paths"].(object)[path].(object)
	operation, _ := at[strings.ToLower(r.Method)].(object)
	return operation
}

// valid reports where a JSON text is not as a schema says.
func valid(t *testing.T, r *http.Request, schema object, text []byte) {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Errorf("%s %s: no JSON: %v: %s", r.Method, r.URL, err, text)
		return
	}
	for _, fault := range faults("", schema, v) {
		t.Errorf("%s %s: the answer is not as described: %s: %.500s", r.Method, r.URL, fault, text)
	}
}

// keywords are those of JSON Schema that faults knows or need not know.
var keywords = []string{
	"$ref", "type", "enum", "format", "properties", "required", "additionalProperties", "items", "anyOf",
	"title", "description", "default", "minimum", "maximum", "maxLength", "pattern", "maxItems", "propertyNames", "maxProperties",
}

// faults says where a value is not as a schema says (JSON Schema 2020-12), as far as the
// description uses it: any other keyword is a fault itself. Bounds of lengths and numbers
// are of bodies, and not looked at.
func faults(at string, schema object, v any) []string {
	for key := range schema {
		if !slices.Contains(keywords, key) {
			return []string{"the schema has " + key}
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		target, ok := description()["components"].(object)["schemas"].(object)[name].(object)
		if !ok {
			return []string{"there is no " + ref}
		}
		return faults(at, target, v)
	}
	if any, ok := schema["anyOf"].([]any); ok {
		for _, one := range any {
			if len(faults(at, one.(object), v)) == 0 {
				return nil
			}
		}
		return []string{at + ": is none of several"}
	}
	if kind := schema["type"]; kind != nil && !typed(kind, v) {
		return []string{fmt.Sprintf("%s: %v is no %v", at, v, kind)}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.ContainsFunc(enum, func(one any) bool { return reflect.DeepEqual(one, v) }) {
		return []string{fmt.Sprintf("%s: %v is not one of %v", at, v, enum)}
	}
	if text, ok := v.(string); ok && schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return []string{at + ": " + err.Error()}
		}
	}
	return slices.Concat(faultsInside(at, schema, v)...)
}

// faultsInside looks at the elements of a list and the members of an object.
func faultsInside(at string, schema object, v any) (out [][]string) {
	if list, ok := v.([]any); ok && schema["items"] != nil {
		for i, e := range list {
			out = append(out, faults(fmt.Sprintf("%s[%d]", at, i), schema["items"].(object), e))
		}
	}
	members, ok := v.(object)
	if !ok {
		return out
	}
	properties, _ := schema["properties"].(object)
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, ok := members[key.(string)]; !ok {
			out = append(out, []string{fmt.Sprintf("%s: has no %s", at, key)})
		}
	}
	for key, member := range members {
		rule, named := properties[key].(object)
		if !named {
			rule, named = schema["additionalProperties"].(object)
		}
		switch {
		case named:
			out = append(out, faults(at+"."+key, rule, member))
		case schema["additionalProperties"] == false:
			out = append(out, []string{at + "." + key + ": is not described"})
		}
	}
	return out
}

// typed reports whether a value is of a type, or of one of several.
func typed(kind, v any) bool {
	if kinds, ok := kind.([]any); ok {
		return slices.ContainsFunc(kinds, func(one any) bool { return typed(one, v) })
	}
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case json.Number:
		_, err := v.Int64()
		return kind == "number" || kind == "integer" && err == nil
	case []any:
		return kind == "array"
	}
	return kind == "object"
}
