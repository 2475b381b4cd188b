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
		if !policy.EqualFold(string(r), string(next)) || policy.EqualFold(string(r), string(r)+"x") {
			t.Fatalf("EqualFold is wrong for %U", r)
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

func TestFoldDoesNotAllocate(t *testing.T) {
	name, other := "user.name+tag@example.com", "USER.NAME+TAG@EXAMPLE.COM\u212a"
	if got := testing.AllocsPerRun(100, func() { _ = policy.Fold(name) }); got != 0 {
		t.Errorf("Fold: %v allocations", got)
	}
	if got := testing.AllocsPerRun(100, func() { _ = policy.EqualFold(name+"k", other) }); got > 1 {
		t.Errorf("EqualFold: %v allocations", got)
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
		if got, want := policy.EqualFold(a, b), foldedA == foldedB; got != want {
			t.Errorf("EqualFold(%q, %q) is %v", a, b, got)
		}
		if !policy.EqualFold(a, foldedA) {
			t.Errorf("%q is not EqualFold to its folded form", a)
		}
		if got, want := policy.Fold(a+" "+b), foldedA+" "+foldedB; got != want {
			t.Errorf("Fold(%q + %q) is %q, want %q", a, b, got, want)
		}
	})
}
