// Package spelling says how an error about a word of a short list goes on: names
// of dialects, presets and the like, which people type.
package spelling

import (
	"fmt"
	"strings"

	"github.com/scimjit/provision/policy"
)

// Hint is how the text of an error about an unknown word goes on, such as `did
// you mean "okta"?`. Where no word is near, it lists all.
func Hint(words []string, text string) string {
	if word := policy.Nearest(text, words); word != "" {
		return fmt.Sprintf("did you mean %q?", word)
	}
	return "it must be one of " + strings.Join(words, ", ")
}
