package store_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
)

// FuzzMatch compares matching, whose terms share what they read, with the meaning
// of each term by itself. The documents are JSON and other bytes, with keys twice
// and values of wrong types; a compiled filter meets several of them in turn.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, []byte(person))
	}
	f.Add(uint64(7), []byte(`{"a":"x","a":"y","b":[{"a":1},{"a":1e0,"a":2},[{"a":"z"}]]}`))
	f.Add(uint64(8), []byte(` [ {"a" : "x"} , "y"`))
	f.Add(uint64(9), []byte(`{"a":"\ud800","b":"\x"`))
	f.Fuzz(func(t *testing.T, seed uint64, document []byte) {
		if !utf8.Valid(document) {
			return // a document is UTF-8
		}
		random := filters{rand.New(rand.NewPCG(seed, 1))}
		filter := random.filter(4)
		compiled, element := store.Compile(filter), store.CompileElement(filter)
		documents := []store.Document{document, random.document(3), random.document(3), document}
		for _, doc := range documents {
			r := &store.Resource{Document: doc, ID: random.pick(texts), Type: random.pick([]string{"User", ""}), Version: 3}
			if random.IntN(4) > 0 {
				r.Created, r.Modified = instant(random.pick(times)), instant(random.pick(times))
			}
			answers := random.Uint64()
			var want, got asks
			var rel, rel2 store.Relations
			if random.IntN(4) > 0 {
				rel, rel2 = want.answer(answers), got.answer(answers)
			}
			wantOK, wantErr := store.WalkMatch(filter, r, rel)
			gotOK, gotErr := compiled.Match(r, rel2)
			if wantOK != gotOK || !errors.Is(gotErr, wantErr) || wantErr == nil && gotErr != nil {
				t.Fatalf("%+v\non %q: %t, %v, want %t, %v", filter, doc, gotOK, gotErr, wantOK, wantErr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%+v\non %q asks for other memberships (-want +got):\n%s", filter, doc, diff)
			}
			if want, got := store.WalkMatchElement(filter, doc), element.Match(doc); want != got {
				t.Fatalf("%+v\non element %q: %t, want %t", filter, doc, got, want)
			}
		}
	})
}

// TestMatchAsWalked is FuzzMatch for many seeds.
func TestMatchAsWalked(t *testing.T) {
	matched := 0
	for seed := range uint64(20_000) {
		random := filters{rand.New(rand.NewPCG(seed, 2))}
		filter := random.filter(4)
		compiled, element := store.Compile(filter), store.CompileElement(filter)
		for range 4 {
			r := &store.Resource{Document: random.document(3), ID: random.pick(texts), Type: "User", Version: 3, Created: instant(times[0])}
			want, _ := store.WalkMatch(filter, r, nil)
			got, _ := compiled.Match(r, nil)
			if want != got {
				t.Fatalf("seed %d: %+v\non %s: %t, want %t", seed, filter, r.Document, got, want)
			}
			if want, got := store.WalkMatchElement(filter, r.Document), element.Match(r.Document); want != got {
				t.Fatalf("seed %d: %+v\non element %s: %t, want %t", seed, filter, r.Document, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 10_000 || matched > 60_000 {
		t.Errorf("%d of 80,000 match: most filters decide nothing", matched)
	}
}

func instant(text string) time.Time {
	at, _ := time.Parse(time.RFC3339, text) // zero for what is none
	return at
}

// asks are the memberships that were asked for.
type asks []string

// answer answers by the bits of a number, some with an error.
func (a *asks) answer(bits uint64) store.Relations {
	return relations(func(group, member string) (bool, error) {
		n := len(*a)
		*a = append(*a, group+" "+member)
		if bits>>(n%60)&7 == 7 {
			return false, errNoAnswer
		}
		return bits>>(n%60)&1 == 1, nil
	})
}

var errNoAnswer = errors.New("no answer")

// filters makes random filters, and documents that they may match.
type filters struct{ *rand.Rand }

var (
	names = []string{"a", "b", "emails", "value", "id", "meta", "created", "version", "resourceType", "type", "ä", `x"y`, ""}
	texts = []string{"", "a", "A", "ab", "Ba", "b ", "K", "\u212a", "Ä", "a\u0308", "ſ", "s", "x\\y", "W/\"3\"", "User", "true", "1", strings.Repeat("aB", 40)}
	times = []string{"2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T00:00:00", "soon", ""}
	nums  = []string{"0", "1", "1.0", "-1", "10e-1", "12", "x", ""}
)

func (f filters) pick(list []string) string { return list[f.IntN(len(list))] }

func (f filters) path() store.Path {
	keys := make([]string, f.IntN(4))
	if len(keys) == 0 && f.IntN(4) > 0 {
		keys = make([]string, 1)
	}
	for i := range keys {
		keys[i] = f.pick(names)
	}
	return store.Path{Keys: keys, Type: store.ValueType(f.IntN(7))}
}

func (f filters) value(t store.ValueType) string {
	switch {
	case f.IntN(8) == 0:
	case t == store.DateTime:
		return f.pick(times)
	case t == store.Number:
		return f.pick(nums)
	case t == store.Boolean:
		return f.pick([]string{"true", "false"})
	}
	return f.pick(texts)
}

func (f filters) filter(depth int) store.Filter {
	kind := f.IntN(10)
	if depth == 0 {
		kind = f.IntN(6)
	}
	path := f.path()
	switch kind {
	case 0:
		return store.Present{Path: path}
	case 1:
		keys := []string{f.pick(texts), store.NameKey(f.pick(texts)), f.pick(texts)}
		slices.Sort(keys)
		return store.In{Path: path, Keys: keys[:f.IntN(4)]}
	case 2:
		return []store.Filter{store.MemberOf{Group: f.pick(texts)}, store.HasMember{Member: f.pick(texts)}, nil}[f.IntN(3)]
	case 3, 4, 5:
		return store.Compare{Path: path, Op: store.Operator(f.IntN(int(store.LE) + 2)), Value: f.value(path.Type)}
	case 6:
		return store.Not{Filter: f.filter(depth - 1)}
	case 7:
		return store.Any{Path: path, Filter: f.filter(depth - 1)}
	}
	list := make([]store.Filter, f.IntN(12))
	for i := range list {
		list[i] = f.filter(depth - 1)
	}
	if kind == 8 {
		return store.And(list)
	}
	return store.Or(list)
}

// document returns an object, now and then another value or a part of one.
func (f filters) document(depth int) store.Document {
	b := f.json(nil, depth, f.IntN(10) > 0)
	if f.IntN(10) == 0 {
		b = b[:f.IntN(len(b)+1)]
	}
	return b
}

func (f filters) json(b []byte, depth int, object bool) []byte {
	kind := f.IntN(8)
	if depth == 0 {
		kind = f.IntN(6)
	}
	if object {
		kind = 6
	}
	space := strings.Repeat(" ", f.IntN(6)/5)
	switch kind {
	case 0, 1, 2:
		return f.text(b, f.pick(append(texts, times...)))
	case 3:
		return append(b, f.pick([]string{"0", "1", "1.0", "-1", "10e-1", "12"})...)
	case 4:
		return append(b, f.pick([]string{"true", "false", "null"})...)
	case 5:
		return append(b, f.pick([]string{"{}", "[]", `""`, "[[]]"})...)
	}
	open, end := "{", "}"
	if kind == 7 {
		open, end = "[", "]"
	}
	b = append(b, open...)
	for i := range f.IntN(5) {
		if i > 0 {
			b = append(b, ","+space...)
		}
		if kind == 6 {
			b = append(f.text(b, f.pick(names)), ":"+space...)
		}
		b = f.json(b, depth-1, false)
	}
	return append(b, end...)
}

// text writes a JSON string, with an escape now and then.
func (f filters) text(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == 'a' && f.IntN(6) == 0:
			b = append(b, `\u0061`...)
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
