package httpscript

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	errorURN = "urn:ietf:params:scim:api:messages:2.0:Error"
	listURN  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
)

// faults says what is wrong with a SCIM answer, whatever was asked.
func (a *answer) faults() []string {
	if len(a.body) == 0 {
		if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
			return nil
		}
		return []string{"no body"}
	}
	var faults []string
	if got := a.header.Get("Content-Type"); got != "application/scim+json" {
		faults = append(faults, fmt.Sprintf("Content-Type %q", got))
	}
	object, ok := a.value.(map[string]any)
	if !ok {
		return append(faults, "not a JSON object")
	}
	if hasNull(object) {
		faults = append(faults, "a value is null")
	}
	if schemas, _ := object["schemas"].([]any); len(schemas) == 0 {
		faults = append(faults, "no schemas")
	} else if schemas[0] == listURN {
		faults = append(faults, listFaults(object)...)
	}
	meta, _ := object["meta"].(map[string]any)
	if version, ok := meta["version"]; ok && version != a.header.Get("Etag") {
		faults = append(faults, fmt.Sprintf("ETag %q with version %v", a.header.Get("Etag"), version))
	}
	if location := a.header.Get("Location"); location != "" && meta["location"] != nil && meta["location"] != location {
		faults = append(faults, fmt.Sprintf("Location %q with meta.location %v", location, meta["location"]))
	}
	return faults
}

// endsInCode matches the detail of a refusal, which ends in its code.
var endsInCode = regexp.MustCompile(` \[[a-z_0-9]+\]$`)

// errorFaults compares an error with what a step says (RFC 7644 section 3.12).
func (a *answer) errorFaults(s *Step) []string {
	if a.status < http.StatusBadRequest {
		return nil
	}
	object, _ := a.value.(map[string]any)
	var faults []string
	if diff := differences([]any{errorURN}, object["schemas"], true); diff != nil {
		faults = append(faults, "schemas of the error: "+diff[0])
	}
	if got := object["status"]; got != strconv.Itoa(a.status) {
		faults = append(faults, fmt.Sprintf("status in the body is %v", got))
	}
	if detail, _ := object["detail"].(string); !endsInCode.MatchString(detail) || !strings.Contains(detail, s.Detail) {
		faults = append(faults, fmt.Sprintf("detail %q, want one with %q and a code at its end", detail, s.Detail))
	}
	if got, _ := object["scimType"].(string); s.ScimType != "" && got != s.ScimType {
		faults = append(faults, fmt.Sprintf("scimType %q, want %q", got, s.ScimType))
	}
	return faults
}

// listFaults checks a list (RFC 7644 section 3.4.2).
func listFaults(object map[string]any) []string {
	list, ok := object["Resources"].([]any)
	if !ok {
		return []string{"Resources is not an array"}
	}
	var faults []string
	if got := object["itemsPerPage"]; got != json.Number(strconv.Itoa(len(list))) {
		faults = append(faults, fmt.Sprintf("itemsPerPage %v with %d resources", got, len(list)))
	}
	if _, ok := object["totalResults"].(json.Number); !ok {
		faults = append(faults, "totalResults is not a number")
	}
	return faults
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return slices.ContainsFunc(v, hasNull)
	case map[string]any:
		for _, e := range v {
			if hasNull(e) {
				return true
			}
		}
	}
	return false
}

// differences compares a body with what is expected of it; see [Step].
func differences(want, got any, whole bool) []string {
	return compare("", want, got, whole)
}

func compare(path string, want, got any, whole bool) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want an object", path, got)}
		}
		return compareObjects(path, w, g, whole)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
		}
		var faults []string
		for i := range w {
			faults = append(faults, compare(path+"/"+strconv.Itoa(i), w[i], g[i], whole)...)
		}
		return faults
	case string:
		if matches(w, got) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s is %#v, want %#v", path, got, want)}
}

func compareObjects(path string, want, got map[string]any, whole bool) []string {
	var faults []string
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			faults = append(faults, path+"/"+key+" is missing")
			continue
		}
		faults = append(faults, compare(path+"/"+key, w, g, whole)...)
	}
	for key, g := range got {
		if _, ok := want[key]; whole && !ok {
			faults = append(faults, fmt.Sprintf("%s/%s is there: %v", path, key, g))
		}
	}
	slices.Sort(faults)
	return faults
}

// matches compares a value with an expected text or what stands for one.
func matches(want string, got any) bool {
	text, isText := got.(string)
	switch want {
	case "<any>":
		return true
	case "<text>":
		return text != ""
	case "<time>":
		_, err := time.Parse(time.RFC3339, text)
		return err == nil
	}
	return isText && text == want
}

// at returns the value at a JSON pointer (RFC 6901). In an array, a reference
// token may be a condition such as "userName=bjensen", for the first object that
// meets it.
func at(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, v != nil
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch value := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = value[token]; !ok {
				return nil, false
			}
		case []any:
			i := index(value, token)
			if i < 0 || i >= len(value) {
				return nil, false
			}
			v = value[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func index(list []any, token string) int {
	name, want, isCondition := strings.Cut(token, "=")
	if !isCondition {
		i, err := strconv.Atoi(token)
		if err != nil {
			return -1
		}
		return i
	}
	return slices.IndexFunc(list, func(e any) bool {
		object, _ := e.(map[string]any)
		return object[name] == want
	})
}
