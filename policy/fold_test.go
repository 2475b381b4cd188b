package policy_test

import (
	"testing"
	"unicode"

	"github.com/scimjit/provision/policy"
)

func TestFold(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"lower", "admin", "admin"},
		{"upper", "ADMIN", "admin"},
		{"mixed at the end", "admiN", "admin"},
		{"other ASCII", "A_Z@[`{", "a_z@[`{"},
		{"Kelvin sign", "\u212a", "k"},
		{"long s", "\u017f", "s"},
		{"Angstrom sign", "\u212b", "\u00c5"},
		{"umlaut", "ä", "Ä"},
		{"sharp s", "ẞ", "ß"},
		{"sigmas", "Σσς", "ΣΣΣ"},
		{"Turkish dotted capital", "İ", "İ"},
		{"Turkish dotless small", "ı", "ı"},
		{"Cyrillic look-alike", "А", "А"},
		{"outside the BMP", "\U00010428", "\U00010400"},
		{"no case", "日本語 😀", "日本語 😀"},
		{"invalid", "A\xffB\xe2\x84", "a\xffb\xe2\x84"},
		{"replacement character", "A\ufffd", "a\ufffd"},
		{"decomposed", "E\u0301", "e\u0301"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := policy.Fold(test.in); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestFoldRunes checks every character: its folded form is a member of its
// orbit, and the same for all members.
func TestFoldRunes(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r == 0xD800 {
			r = 0xE000
		}
		folded := policy.Fold(string(r))
		next := unicode.SimpleFold(r)
		if got := policy.Fold(string(next)); got != folded {
			t.Fatalf("%U folds to %q, but %U of its orbit to %q", r, folded, next, got)
		}
		want, orbit := r, false
		for q := r; ; {
			orbit = orbit || folded == string(q)
			want = min(want, q)
			if q = unicode.SimpleFold(q); q == r {
				break
			}
		}
		if 'A' <= want && want <= 'Z' {
			want += 'a' - 'A'
		}
		if !orbit || folded != string(want) {
			t.Fatalf("%U folds to %q, want %q", r, folded, string(want))
		}
	}
}

func TestLower(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"ASCII", "Admin_Z@[", "admin_z@["},
		{"umlaut", "Ä", "ä"},
		{"Kelvin sign", "\u212a", "\u212a"},
		{"long s", "\u017f", "\u017f"},
		{"Turkish dotted capital", "İ", "İ"},
		{"Turkish dotless small", "ı", "ı"},
		{"sharp s", "ẞ", "ß"},
		{"sigmas", "Σσς", "σσς"},
		{"Cyrillic", "А", "а"},
		{"title case", "ǅ", "ǆ"},
		{"outside the BMP", "\U00010400", "\U00010428"},
		{"invalid", "A\xffB\xe2\x84", "a\xffb\xe2\x84"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := policy.Lower(test.in); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestLowerRunes checks every character: what matches folds alike, and nothing
// from outside ASCII matches what is inside.
func TestLowerRunes(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r == 0xD800 {
			r = 0xE000
		}
		lower := policy.Lower(string(r))
		switch {
		case policy.Lower(lower) != lower:
			t.Fatalf("%U: the lower case of %q is another", r, lower)
		case policy.Fold(lower) != policy.Fold(string(r)):
			t.Fatalf("%U matches %q and does not clash with it", r, lower)
		case r >= 0x80 && len(lower) == 1:
			t.Fatalf("%U matches %q", r, lower)
		case !policy.EqualLower(string(r), lower) || policy.EqualLower(string(r), lower+"x"):
			t.Fatalf("EqualLower is wrong for %U", r)
		}
	}
}

func TestFoldDoesNotAllocate(t *testing.T) {
	name, other := "user.name+tag@example.com", "USER.NAME+TAG@EXAMPLE.COM\u212a"
	if got := testing.AllocsPerRun(100, func() { _ = policy.Fold(name) }); got != 0 {
		t.Errorf("Fold: %v allocations", got)
	}
	if got := testing.AllocsPerRun(100, func() { _ = policy.EqualLower(name+"k", other) }); got > 1 {
		t.Errorf("EqualLower: %v allocations", got)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Admin", "aDMIN")
	f.Add("\u212a", "k")
	f.Add("\xff", "\ufffd")
	f.Add("\xff", "\xfe")
	f.Add("\xe2\x84", "\u212a")
	f.Add("a\xc3", "a\xc3\xa9")
	f.Fuzz(func(t *testing.T, a, b string) {
		foldedA, foldedB := policy.Fold(a), policy.Fold(b)
		if got := policy.Fold(foldedA); got != foldedA {
			t.Errorf("Fold(%q) is %q, of which Fold is %q", a, foldedA, got)
		}
		lowerA, lowerB := policy.Lower(a), policy.Lower(b)
		if got, want := policy.EqualLower(a, b), lowerA == lowerB; got != want {
			t.Errorf("EqualLower(%q, %q) is %v", a, b, got)
		}
		if lowerA == lowerB && foldedA != foldedB {
			t.Errorf("%q and %q match and do not clash", a, b)
		}
		if got := policy.Lower(lowerA); got != lowerA {
			t.Errorf("Lower(%q) is %q, of which Lower is %q", a, lowerA, got)
		}
		if got, want := policy.Fold(a+" "+b), foldedA+" "+foldedB; got != want {
			t.Errorf("Fold(%q + %q) is %q, want %q", a, b, got, want)
		}
	})
}
