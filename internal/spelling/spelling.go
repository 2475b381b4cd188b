// Package spelling says how an error about a word of a short list goes on: names
// of dialects, presets and the like, which people type.
package spelling

import (
	"fmt"
	"strings"

	"github.com/scimjit/provision/policy"
)

// Hint is how the text of an error about an unknown word goes on: it lists all
// words, and says which is the nearest, where one is near.
func Hint(words []string, text string) string {
	hint := "it must be one of " + strings.Join(words, ", ")
	if word := policy.Nearest(text, words); word != "" {
		hint += fmt.Sprintf("; did you mean %q?", word)
	}
	return hint
}
