package policy_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// jsonSchema is a schema, of which accepts knows every keyword that it has.
type jsonSchema map[string]any

func readSchema(t *testing.T) jsonSchema {
	t.Helper()
	var s jsonSchema
	if err := json.Unmarshal(policy.JSONSchema(), &s); err != nil {
		t.Fatal(err)
	}
	if dialect := s["$schema"]; dialect != "https://json-schema.org/draft/2020-12/schema" {
		t.Fatalf("a schema of %v", dialect)
	}
	return s
}

// accepts reports whether v is right (JSON Schema draft 2020-12, validation
// section 6 and core section 10). A keyword that it does not know panics.
func (s jsonSchema) accepts(v any) bool {
	for keyword, argument := range s {
		if !assertion(s, keyword, argument, v) {
			return false
		}
	}
	return true
}

func assertion(s jsonSchema, keyword string, argument, v any) bool {
	text, isText := v.(string)
	number, isNumber := v.(float64)
	list, isList := v.([]any)
	object, isObject := v.(map[string]any)
	switch keyword {
	case "$schema", "title", "description", "default":
		return true
	case "type":
		types, several := argument.([]any)
		if !several {
			types = []any{argument}
		}
		return slices.ContainsFunc(types, func(name any) bool { return isType(name.(string), v) })
	case "enum":
		return slices.ContainsFunc(argument.([]any), func(one any) bool { return cmp.Equal(one, v) })
	case "minimum":
		return !isNumber || number >= argument.(float64)
	case "maximum":
		return !isNumber || number <= argument.(float64)
	case "maxLength":
		return !isText || utf8.RuneCountInString(text) <= int(argument.(float64))
	case "pattern":
		return !isText || regexp.MustCompile(argument.(string)).MatchString(text)
	case "items":
		wrong := func(item any) bool { return !jsonSchema(argument.(map[string]any)).accepts(item) }
		return !isList || !slices.ContainsFunc(list, wrong)
	case "maxItems":
		return !isList || len(list) <= int(argument.(float64))
	case "maxProperties":
		return !isObject || len(object) <= int(argument.(float64))
	case "required":
		missing := func(name any) bool { _, ok := object[name.(string)]; return !ok }
		return !isObject || !slices.ContainsFunc(argument.([]any), missing)
	case "propertyNames":
		for name := range object {
			if !jsonSchema(argument.(map[string]any)).accepts(name) {
				return false
			}
		}
		return true
	case "properties", "additionalProperties":
		return keyword != "properties" && s["properties"] != nil || s.acceptsMembers(object)
	}
	panic("unknown keyword " + keyword)
}

// acceptsMembers checks each member by properties, or else by
// additionalProperties.
func (s jsonSchema) acceptsMembers(object map[string]any) bool {
	properties, _ := s["properties"].(map[string]any)
	for name, v := range object {
		rule, known := properties[name]
		if !known {
			rule = s["additionalProperties"]
		}
		switch rule := rule.(type) {
		case bool:
			if !rule {
				return false
			}
		case map[string]any:
			if !jsonSchema(rule).accepts(v) {
				return false
			}
		}
	}
	return true
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case bool:
		return name == "boolean"
	case float64:
		return name == "integer" && v == math.Trunc(v)
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

// acceptsText is accepts for a document.
func (s jsonSchema) acceptsText(t *testing.T, document string) bool {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	return s.accepts(v)
}

// The schema takes what a policy takes.
func TestSchemaAccepts(t *testing.T) {
	s := readSchema(t)
	documents := []string{`{}`, defaultJSON}
	for _, o := range policy.Options() {
		right, _ := examplesOf(o)
		for _, value := range right {
			documents = append(documents, fmt.Sprintf(`{%q: %s}`, o.Key, value))
		}
		if len(o.Choices) > 0 && tryOption(o.Key, `""`) == nil {
			documents = append(documents, fmt.Sprintf(`{%q: ""}`, o.Key))
		}
	}
	for _, block := range jsonBlock.FindAllStringSubmatch(readDocument(t), -1) {
		documents = append(documents, block[1])
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		data, err := json.Marshal(randomConfig(random))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(data))
	}
	for _, document := range documents {
		if !s.acceptsText(t, document) {
			t.Errorf("refused: %s", document)
		}
	}
}

// The schema refuses what a policy refuses, but for what its documentation says
// that it does not know.
func TestSchemaRefuses(t *testing.T) {
	beyond := map[string]bool{
		"duplicate option": true, "duplicate option, escaped": true, "duplicate permission": true, "duplicate permission, other case": true,
		"wrong pattern of a role": true, "unknown escape": true, "escape at the end": true, "id of nothing": true,
		"unbalanced quote": true, "quote in the middle": true, "text after a quote": true, "wildcard domain": true,
		"time zone": true, "time zone of a city": true, "unknown permission": true, "permission that looks like another": true,
		"everyone an admin": true, "everyone an admin, in disguise": true, "everyone a read-only admin": true,
	}
	s := readSchema(t)
	var tests []struct {
		Name, JSON, Hex, Option, Value, Code, Error string
		Offset                                      int
		Document                                    bool
	}
	readData(t, "testdata/errors.json", &tests)
	for _, test := range tests {
		if !json.Valid([]byte(test.JSON)) {
			continue
		}
		if got := s.acceptsText(t, test.JSON); got != beyond[test.Name] {
			t.Errorf("%s: accepted %v: %s", test.Name, got, test.JSON)
		}
		delete(beyond, test.Name)
	}
	for name := range beyond {
		t.Errorf("no test %q", name)
	}
}

// The limits are those of Compile.
func TestSchemaLimits(t *testing.T) {
	s := readSchema(t)
	long := strings.Repeat("ä", policy.MaxPatternLength)
	list := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	for _, key := range []string{"requiredGroups", "defaultGroups", "emailDomains", "roles", "permissions"} {
		item, name := `"x"`, `["%s"]`
		switch key {
		case "roles":
			item, name = `{"role":"x"}`, `[{"role":"%s"}]`
		case "permissions":
			name = `{"%s":true}`
		}
		documents := map[string]bool{
			fmt.Sprintf(name, long):     true,
			fmt.Sprintf(name, long+"x"): false,
		}
		if key != "permissions" {
			documents[list(policy.MaxPatterns, item)] = true
			documents[list(policy.MaxPatterns+1, item)] = false
		}
		for value, right := range documents {
			if err := tryOption(key, value); (err == nil) != right {
				t.Errorf("%s: %.40s... (%d bytes): %v", key, value, len(value), err)
			}
			if got := s.acceptsText(t, fmt.Sprintf(`{%q: %s}`, key, value)); got != right {
				t.Errorf("%s: %.40s... (%d bytes): the schema accepts it: %v", key, value, len(value), got)
			}
		}
	}
}

// A form that is made from the schema says what one made from Options says.
func TestSchemaDescribes(t *testing.T) {
	s := readSchema(t)
	properties := s["properties"].(map[string]any)
	for _, o := range policy.Options() {
		property := properties[o.Key].(map[string]any)
		value, err := json.Marshal(property["default"])
		if err != nil {
			t.Fatal(err)
		}
		want := [3]string{o.Label, o.Help, string(o.Default)}
		if got := [3]any{property["title"], property["description"], string(value)}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", o.Key, got, want)
		}
		delete(properties, o.Key)
	}
	if len(properties) > 0 {
		t.Errorf("no options: %v", properties)
	}
}
