package store

import "github.com/scimjit/provision/internal/naming"

// NameKey returns the form of a user name, an e-mail or the name of a group by
// which names clash: two of them may not both exist in a connection where their
// keys are the same bytes. It is the form of Key.Value for attributes that ignore
// case, and a store finds accounts by it.
//
// A name is trimmed, decomposed (NFD) and folded by [policy.Fold]. Names that
// clash need not be the same name: whoever looks somebody up by a key compares
// with [SameName] who that is.
func NameKey(s string) string { return naming.Key(s) }

// SameName reports whether two names are the same: equal after normalization
// (NFC) and simple lower-casing, where no letter outside ASCII becomes one inside
// (see [policy.Lower]). White space at the ends counts.
func SameName(a, b string) bool { return naming.Match(a, b) }
