package scim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// conversationAnswer is an answer that has been read.
type conversationAnswer struct {
	status int
	header http.Header
	body   []byte
}

// faults says what is wrong with the answer, whatever was asked.
func (resp *conversationAnswer) faults() []string {
	body := resp.body
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if len(body) == 0 {
		if got := resp.header.Get("Content-Type"); got != "" {
			fault("Content-Type %q without a body", got)
		}
		if resp.status != http.StatusNoContent {
			fault("no body")
		}
		return faults
	}
	if got := resp.header.Get("Content-Type"); got != "application/scim+json" {
		fault("Content-Type %q", got)
	}
	for _, internal := range []string{"sql", "goroutine", "panic", ".go:"} {
		if bytes.Contains(bytes.ToLower(body), []byte(internal)) {
			fault("the body has %q", internal)
		}
	}
	object, ok := decodePlain(body).(map[string]any)
	if !ok || !json.Valid(body) {
		fault("not a JSON object")
		return faults
	}
	if resources, found := object["Resources"]; found {
		faults = append(faults, listFaults(object, resources)...)
	}
	walkJSON(object, func(key string, v any) {
		number, isNumber := v.(json.Number)
		switch {
		case v == nil:
			fault("%q is null", key)
		case isNumber && strings.ContainsAny(number.String(), ".eE"):
			fault("%q is not an integer: %s", key, number)
		}
	})
	if resp.status >= 400 {
		return append(faults, errorFaults(resp, object)...)
	}
	return append(faults, resourceFaults(resp, object)...)
}

// listFaults checks a ListResponse (RFC 7644 section 3.4.2).
func listFaults(object map[string]any, resources any) []string {
	var faults []string
	list, ok := resources.([]any)
	if !ok {
		faults = append(faults, "Resources is not an array")
	}
	for _, key := range []string{"totalResults", "startIndex", "itemsPerPage"} {
		if _, ok := object[key].(json.Number); !ok {
			faults = append(faults, key+" is not a number")
		}
	}
	if got := object["itemsPerPage"]; got != json.Number(strconv.Itoa(len(list))) {
		faults = append(faults, fmt.Sprintf("itemsPerPage %v with %d resources", got, len(list)))
	}
	return faults
}

// errorFaults checks an error (RFC 7644 section 3.12).
func errorFaults(resp *conversationAnswer, object map[string]any) []string {
	var faults []string
	want := []any{"urn:ietf:params:scim:api:messages:2.0:Error"}
	if diff := cmp.Diff(want, object["schemas"]); diff != "" {
		faults = append(faults, "schemas of the error (-want +got):\n"+diff)
	}
	if got := object["status"]; got != strconv.Itoa(resp.status) {
		faults = append(faults, fmt.Sprintf("status in the body is %v", got))
	}
	if detail, _ := object["detail"].(string); !endsInCode.MatchString(detail) {
		faults = append(faults, fmt.Sprintf("the detail %q does not end in a code", detail))
	}
	return faults
}

// resourceFaults checks a resource (RFC 7643 section 3, RFC 7644 section 3.14).
func resourceFaults(resp *conversationAnswer, object map[string]any) []string {
	var faults []string
	if schemas, _ := object["schemas"].([]any); len(schemas) == 0 {
		faults = append(faults, "no schemas")
	}
	meta, _ := object["meta"].(map[string]any)
	if version, ok := meta["version"]; ok && version != resp.header.Get("Etag") {
		faults = append(faults, fmt.Sprintf("ETag %q with version %v", resp.header.Get("Etag"), version))
	}
	if resp.status == http.StatusCreated && (meta["location"] == nil || meta["location"] != resp.header.Get("Location")) {
		faults = append(faults, fmt.Sprintf("Location %q with meta.location %v", resp.header.Get("Location"), meta["location"]))
	}
	return faults
}

// walkJSON calls fn with every member of every object and, under the key "",
// every element of every array.
func walkJSON(v any, fn func(key string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			fn(key, member)
			walkJSON(member, fn)
		}
	case []any:
		for _, element := range v {
			fn("", element)
			walkJSON(element, fn)
		}
	}
}
