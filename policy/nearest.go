package policy

import "fmt"

// How far a word may be from what somebody wrote, in thirds of the longer one,
// to be what they meant. Where there are a few words, all of which the message
// names, a far one helps still. Among many a far one is as good as none.
const (
	nearOfFew  = 2
	nearOfMany = 1
)

// didYouMean is the end of a message about a word that is none of the right
// ones: the nearest of them, or nothing where none is near.
func didYouMean(text string, words []string, near int) string {
	if word, ok := nearest(text, words, near); ok {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return ""
}

// Nearest returns the word that a text most likely means, in any case, or "" where
// it is like none: up to a third of the letters may be added, left out, changed, or
// swapped with their neighbors. Of words that are equally near, it is the first.
func Nearest(text string, words []string) string {
	word, _ := nearest(text, words, nearOfMany)
	return word
}

// nearest returns the word that takes the fewest edits to come from text, and
// whether they are few enough. Case does not count. The first of several is
// taken.
func nearest(text string, words []string, near int) (word string, ok bool) {
	const longest = 64 // bytes; the time grows with the product of the lengths
	if text == "" || len(text) > longest {
		return "", false
	}
	from, fewest := []rune(Fold(text)), 0
	for _, w := range words {
		to := []rune(Fold(w))
		n := edits(from, to)
		if n*3 <= near*max(len(from), len(to)) && (!ok || n < fewest) {
			word, fewest, ok = w, n, true
		}
	}
	return word, ok
}

// edits counts the steps that lead from one word to another: a character added,
// left out, changed, or swapped with its neighbor. None is moved twice.
func edits(a, b []rune) int {
	// Three rows of the table in which at[j] is the distance of the first i
	// characters of a and the first j of b.
	before, last, at := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range at {
		at[j] = j
	}
	for i := range a {
		before, last, at = last, at, before
		at[0] = i + 1
		for j := range b {
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
