// Package spelling finds the word of a short list that somebody meant: names of
// dialects, presets and the like, which people type. The words of a list are
// ASCII.
package spelling

import (
	"fmt"
	"strings"
)

// Nearest returns the word that a text is most like, in any case, or "" where it
// is like none: up to a third of the letters may be added, left out, changed, or
// swapped with their neighbors. Of words that are equally near, it is the first.
func Nearest(words []string, text string) string {
	nearest, least := "", 0
	text = strings.ToLower(text)
	for _, word := range words {
		// A text whose length alone says no may be long: it is not compared.
		most := (len(word) + 1) / 3
		if len(text) > len(word)+most {
			continue
		}
		if d := distance(strings.ToLower(word), text); d <= most && (nearest == "" || d < least) {
			nearest, least = word, d
		}
	}
	return nearest
}

// Hint is how the text of an error about an unknown word goes on, such as `did
// you mean "okta"?`. Where no word is near, it lists all.
func Hint(words []string, text string) string {
	if word := Nearest(words, text); word != "" {
		return fmt.Sprintf("did you mean %q?", word)
	}
	return "it must be one of " + strings.Join(words, ", ")
}

// distance is how many single steps lead from one text to another: a byte added,
// left out, changed, or swapped with its neighbor. No byte is moved twice.
func distance(a, b string) int {
	// Three rows of the table in which at[j] is the distance of the first i
	// bytes of a and the first j bytes of b.
	before, last, at := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range at {
		at[j] = j
	}
	for i := range len(a) {
		before, last, at = last, at, before
		at[0] = i + 1
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			at[j+1] = min(changed, last[j+1]+1, at[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				at[j+1] = min(at[j+1], before[j-1]+1)
			}
		}
	}
	return at[len(b)]
}
