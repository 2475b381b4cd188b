// Package advice says where in an identity provider something is changed: in the words of
// that provider's own pages. Which kind of change mends a refusal is one table, and where a
// provider has it another; both are data.
package advice

import (
	_ "embed" // the tables
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

//go:embed places.json
var placesData []byte

//go:embed codes.json
var codesData []byte

// Generic is the name of the provider whose texts hold for every other one.
const Generic = "generic"

// Here is the kind of what is changed in the application, and Wait of what passes.
const (
	Here = "here"
	Wait = "wait"
)

type tables struct {
	places map[string]map[string]string // by provider and kind
	kinds  map[string]string            // by code
}

var read = sync.OnceValue(func() (t tables) {
	var codes map[string]string // codes by kind, with spaces between them
	for data, into := range map[*[]byte]any{&placesData: &t.places, &codesData: &codes} {
		if err := json.Unmarshal(*data, into); err != nil {
			panic(err) // they are part of the program
		}
	}
	t.kinds = map[string]string{}
	for kind, list := range codes {
		for code := range strings.FieldsSeq(list) {
			t.kinds[code] = kind
		}
	}
	return t
})

// Kind returns what kind of change mends a refusal, or "" for a code that is not known.
func Kind(code string) string { return read().kinds[code] }

// Place says where a provider has a kind of change. One that is not known has the texts of
// [Generic], as has what is said of no provider.
func Place(provider, kind string) string {
	t := read()
	if text := t.places[provider][kind]; text != "" {
		return text
	}
	return t.places[Generic][kind]
}

// Providers returns those that have texts of their own, and Kinds all kinds of changes.
func Providers() (list []string) {
	for name := range read().places {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Kinds returns the kinds of changes.
func Kinds() (list []string) {
	for kind := range read().places[Generic] {
		list = append(list, kind)
	}
	slices.Sort(list)
	return list
}
