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

// edits counts the characters to insert, delete or replace to make one word of
// the other (Levenshtein distance).
func edits(a, b []rune) int {
	row := make([]int, len(b)+1) // edits from what was read of a to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i, r := range a {
		corner := row[0]
		row[0] = i + 1
		for j, q := range b {
			replaced := corner
			if r != q {
				replaced++
			}
			corner = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
