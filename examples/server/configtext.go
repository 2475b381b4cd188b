package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/policy"
)

// expiry is when a credential ends: a time (RFC 3339), or a date, which means the
// end of that day in UTC. Whoever writes a date means that the day still counts.
type expiry struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (e *expiry) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return &expiryError{string(data)}
	}
	at, err := parseExpiry(text)
	e.Time = at
	return err
}

// parseExpiry reads when a credential ends.
func parseExpiry(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Add(24*time.Hour - time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, &expiryError{fmt.Sprintf("%q", text)}
	}
	return at.UTC(), nil
}

// expiryError is a text that is no expiry.
type expiryError struct{ value string }

// Error implements error.
func (e *expiryError) Error() string {
	return e.value + ` is neither a date, such as "2030-01-01", nor a time, such as "2030-01-01T12:00:00Z"`
}

// keyHint lists the right keys of an object, and says which is the nearest to a
// wrong one.
func keyHint(t reflect.Type, wrong string) string {
	words := keysOf(t)
	return "there are " + strings.Join(words, ", ") + near(wrong, words)
}

// near says which word may be meant, as the end of a message.
func near(wrong string, words []string) string {
	if word := policy.Nearest(wrong, words); word != "" {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return ""
}

// keysOf returns the JSON keys of a struct, in order.
func keysOf(t reflect.Type) []string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []string
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// kindName names a JSON value for people.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	return "something"
}

// typeName names what a key must have for people.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a number"
}
