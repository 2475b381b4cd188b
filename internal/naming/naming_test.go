package naming_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision/internal/naming"
)

func TestNames(t *testing.T) {
	const (
		match = "match"
		clash = "clash"
		apart = "apart"
	)
	for _, test := range []struct{ name, a, b, want string }{
		{"same", "ann", "ann", match},
		{"ASCII case", "ANN", "ann", match},
		{"umlaut case", "Ümit", "ümit", match},
		{"composed and decomposed", "Zo\u00eb", "Zoe\u0308", match},
		{"composed and decomposed, other case", "ZO\u00cb", "zoe\u0308", match},
		{"Angstrom sign and letter", "\u212bsa", "\u00e5sa", match},
		{"Ohm sign and omega", "\u2126", "ω", match},
		{"Greek capital and small sigma", "ΣΑΣ", "σασ", match},
		{"Greek final sigma", "ΣΑΣ", "σας", clash},
		{"long s", "\u017fam", "sam", clash},
		{"long s and capital", "\u017fAM", "SAM", clash},
		{"Kelvin sign", "\u212aim", "kim", clash},
		{"Kelvin sign with cedilla", "\u212a\u0327im", "\u0136im", clash},
		{"Kelvin signs", "\u212aim", "\u212aIM", match},
		{"Greek question mark", "a\u037e", "a;", clash},
		{"Cherokee", "\u13a0", "\uab70", match},
		{"dotted capital I", "\u0130ris", "iris", apart},
		{"dotless i", "\u0131ris", "iris", apart},
		{"capital I and dot above", "I\u0307ris", "iris", apart},
		{"capital I and dot above, and composed", "I\u0307ris", "\u0130ris", match},
		{"small i and dot above", "i\u0307ris", "\u0130ris", clash},
		{"small i and capital I and dot above", "i\u0307ris", "I\u0307ris", clash},
		{"a mark that composes with the small letter only", "J\u030can", "\u01f0an", match},
		{"the same, decomposed", "J\u030can", "j\u030can", match},
		{"Greek capital and small with perispomeni", "\u0391\u0342", "\u1fb6", match},
		{"two marks that compose otherwise in small letters", "\u0124\u0331", "\u0125\u0331", match},
		{"sharp s", "stra\u00dfe", "STRA\u1e9eE", match},
		{"sharp s and ss", "stra\u00dfe", "strasse", apart},
		{"white space behind", "ceo ", "ceo", clash},
		{"white space before", "\tceo", "ceo", clash},
		{"no-break space", "ceo\u00a0", "ceo", clash},
		{"ideographic space", "ceo\u3000", "ceo ", clash},
		{"white space inside", "c eo", "ceo", apart},
		{"white space and case", "CEO ", "ceo", clash},
		{"full width", "\uff43\uff45\uff4f", "ceo", apart},
		{"full width case", "\uff23\uff25\uff2f", "\uff43\uff45\uff4f", match},
		{"ligature", "\ufb01nn", "finn", apart},
		{"Cyrillic look-alike", "аnn", "ann", apart},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, p := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
				got := apart
				if naming.Clash(p[0], p[1]) {
					got = clash
				}
				if naming.Match(p[0], p[1]) {
					got = match
				}
				if got != test.want {
					t.Errorf("%q and %q: %s, want %s", p[0], p[1], got, test.want)
				}
			}
		})
	}
}

func TestHidden(t *testing.T) {
	for _, test := range []struct {
		name   string
		text   string
		person int // the index of what is hidden in the name of a person, or -1
		group  int // the same in that of a group
	}{
		{"plain", "ann", -1, -1},
		{"accents, spaces and scripts", "Zoë O’Neil 日本 (äöü)", -1, -1},
		{"line feed", "a\nb", 1, 1},
		{"bell", "ceo\a", 3, 3},
		{"delete", "ceo\x7f", 3, 3},
		{"C1 control", "é\u0085", 2, 2},
		{"zero-width space", "c\u200beo", 1, 1},
		{"right-to-left override", "\u202eceo", 0, 0},
		{"isolate", "\u2066ceo", 0, 0},
		{"byte order mark", "ceo\ufeff", 3, 3},
		{"soft hyphen", "c\u00adeo", 1, 1},
		{"line separator", "ceo\u2028", 3, 3},
		{"word joiner", "c\u2060eo", 1, 1},
		{"tag", "ceo\U000e0061", 3, 3},
		{"Hangul filler", "ceo\u3164", 3, 3},
		{"grapheme joiner", "ceo\u034f", 3, 3},
		{"zero-width joiner", "👩\u200d💻", 4, -1},
		{"zero-width non-joiner", "می\u200cخواهم", 4, -1},
		{"variation selector", "❤\ufe0f", 3, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := naming.Hidden(test.text); got != test.person {
				t.Errorf("in a name of a person: at %d, want %d", got, test.person)
			}
			if got, _ := naming.HiddenInGroup(test.text); got != test.group {
				t.Errorf("in a name of a group: at %d, want %d", got, test.group)
			}
		})
	}
}

// TestKeysOfRunes checks every character: no letter outside ASCII has a form
// inside, what is the same in normal forms matches, and what matches clashes.
func TestKeysOfRunes(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r == 0xD800 {
			r = 0xE000
		}
		s := "a" + string(r) + "b"
		d := norm.NFD.String(s)
		if becomesASCII := r >= 0x80 && len(d) == 3; naming.Match(s, d) == becomesASCII || !naming.Clash(s, d) {
			t.Fatalf("%U and its decomposed form: match is %v, clash is %v", r, !becomesASCII, naming.Clash(s, d))
		}
		if form := naming.Form(string(r)); r >= 0x80 && len(form) == 1 {
			t.Fatalf("%U matches %q", r, form)
		}
		if l := string(unicode.ToLower(r)); naming.Match(s, "a"+l+"b") && !naming.Clash(s, "a"+l+"b") {
			t.Fatalf("%U and %q match and do not clash", r, l)
		}
	}
}

// TestMarks checks letters with marks, which compose in one case and not in the
// other: their forms in all cases and normal forms match, and so they clash.
func TestMarks(t *testing.T) {
	for r := rune(0xc0); r <= 0x1fff; r++ {
		lower, upper := unicode.ToLower(r), unicode.ToUpper(r)
		if !unicode.IsLetter(r) || lower == upper || lower < 0x80 || upper < 0x80 || unicode.ToLower(upper) != unicode.ToLower(lower) {
			continue
		}
		for mark := rune(0x300); mark <= 0x345; mark++ {
			s := string(lower) + string(mark)
			for _, other := range []string{string(upper) + string(mark), norm.NFC.String(s), norm.NFD.String(s), norm.NFD.String(string(upper) + string(mark))} {
				if !naming.Match(s, other) || !naming.Clash(s, other) || naming.Form(naming.Form(s)) != naming.Form(s) {
					t.Fatalf("%+q and %+q: match is %v, clash is %v", s, other, naming.Match(s, other), naming.Clash(s, other))
				}
			}
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("Zoe\u0308", "ZO\u00cb")
	f.Add("\u017fam ", "sam")
	f.Add("\u0345a", "\u03b9")
	f.Add("I\u0307", "i\u0307")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // whoever reads names refuses such text before
		}
		match, clash := naming.Match(a, b), naming.Clash(a, b)
		switch {
		case match && !clash:
			t.Errorf("%q and %q match and do not clash", a, b)
		case match != (naming.Form(a) == naming.Form(b)):
			t.Errorf("Match of %q and %q is %v, their forms are %q and %q", a, b, match, naming.Form(a), naming.Form(b))
		case string(naming.AppendForm([]byte(b), []byte(a))) != b+naming.Form(a):
			t.Errorf("appended, the form of %q is %q", a, naming.AppendForm(nil, []byte(a)))
		case match != naming.Match(b, a) || clash != naming.Clash(b, a):
			t.Errorf("%q and %q depend on the order", a, b)
		case naming.Key(naming.Normal(a)) != naming.Key(a):
			t.Errorf("the key of %q changes when it is normalized first", a)
		}
	})
}
