package schema

import (
	"fmt"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/naming"
)

// Characters is which characters a text may have when a client sends it. Stored
// text is read as it is.
type Characters uint8

// The rules. A name by which people and machines know somebody must not have what
// nobody sees: two names that look the same would be two people.
const (
	Anything Characters = iota
	Visible             // no control and format characters, and what else nobody sees
	Joined              // the same, but for joiners and variation selectors: some scripts and emoji need them
)

// refused returns the first character of a text that it must not have, and how
// many characters stand before it.
func (c Characters) refused(text string) (r rune, before int, bad bool) {
	at := -1
	switch c {
	case Visible:
		at, r = naming.Hidden(text)
	case Joined:
		at, r = naming.HiddenInGroup(text)
	}
	if at < 0 {
		return 0, 0, false
	}
	return r, utf8.RuneCountInString(text[:at]), true
}

// invisible is the refusal of a character.
func invisible(a *Attribute, r rune, before int) *Error {
	return invalidValue(a, CodeBadCharacter, fmt.Sprintf("has the character %U, which nobody sees, after %d others", r, before))
}
