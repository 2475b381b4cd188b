package store_test

import (
	"errors"
	"testing"

	"github.com/scimjit/provision/store"
)

// What filters mean on whole resources is in the tables of package storetest,
// which every store runs. Here are the comparisons themselves.

func compare(t store.ValueType, op store.Operator, value string) store.Filter {
	return store.Compare{Path: store.Path{Keys: []string{"a"}, Type: t}, Op: op, Value: value}
}

func TestCompareValues(t *testing.T) {
	// The operators that hold, in the order of their constants: eq ne co sw ew
	// gt ge lt le.
	const (
		equal   = "10111" + "0101"
		same    = "10000" + "0101"
		less    = "01000" + "0011"
		greater = "01000" + "1100"
		never   = "01000" + "0000" // of another type, or absent
	)
	for _, test := range []struct {
		name  string
		typ   store.ValueType
		have  string // JSON
		value string
		want  string
	}{
		{"text", store.String, `"Ab"`, "aB", equal},
		{"text matches beyond ASCII", store.String, `"ÄΣ"`, "äσ", equal},
		{"text matches in another normal form", store.String, `"Zoe\u0308"`, "ZO\u00cb", equal},
		{"text does not match what is ASCII", store.String, `"\u212a"`, "k", greater},
		{"text with white space", store.String, `"b "`, "b", "01110" + "1100"},
		{"text less", store.String, `"a"`, "b", less},
		{"text starts", store.String, `"abc"`, "AB", "01110" + "1100"},
		{"text ends", store.String, `"abc"`, "BC", "01101" + "0011"},
		{"text contains", store.String, `"abc"`, "B", "01100" + "0011"},
		{"text and empty", store.String, `"abc"`, "", "01111" + "1100"},
		{"text in another case", store.Exact, `"A"`, "a", less},
		{"text exact", store.Exact, `"a%"`, "a%", equal},
		{"text with escapes", store.Exact, `"\"\\\/\u00e9\u00E9\ud83d\ude00"`, `"\/éé😀`, equal},
		{"text is not a number", store.String, `1`, "1", never},
		{"text is not a boolean", store.Exact, `true`, "true", never},
		{"text is not null", store.String, `null`, "", never},
		{"text is not an object", store.String, `{"a":"b"}`, "b", never},
		{"element", store.String, `["x","b"]`, "b", "10111" + "1101"},
		{"element in an element", store.String, `[["b"]]`, "b", never},

		{"number", store.Number, `1`, "1", same},
		{"number with zeros", store.Number, `1.00`, "01", same},
		{"number with an exponent", store.Number, `120e-1`, "1.2E+1", same},
		{"zero", store.Number, `-0.0e5`, "0", same},
		{"zero and negative", store.Number, `0`, "-0.001", greater},
		{"number less", store.Number, `9`, "10", less},
		{"number negative", store.Number, `-10`, "-9", less},
		{"number beyond 2^53", store.Number, `9007199254740993`, "9007199254740992", greater},
		{"number beyond 2^64", store.Number, `36893488147419103233`, "36893488147419103232.9999999999999999999", greater},
		{"number in tenths", store.Number, `0.30000000000000000001`, "0.3", greater},
		{"number small", store.Number, `1e-400`, "2e-400", less},
		{"number huge", store.Number, `1e999999999999999999999`, "2", greater},
		{"number huge by its exponent", store.Number, `1e9223372036854775808`, "2", greater},
		{"number tiny", store.Number, `1e-999999999999999999999`, "2", less},
		{"number prefix", store.Number, `12`, "123", less},
		{"number is not text", store.Number, `"1"`, "1", never},
		{"number and text", store.Number, `1`, "one", never},
		{"number and nothing", store.Number, `1`, "", never},
		{"number cut", store.Number, `1`, "1.", never},
		{"number with half an exponent", store.Number, `1`, "1e", never},
		{"number with more", store.Number, `1`, "1x", never},

		{"true", store.Boolean, `true`, "true", "100000000"},
		{"false", store.Boolean, `false`, "true", never},
		{"boolean is not text", store.Boolean, `"true"`, "true", never},

		{"instant", store.DateTime, `"2026-01-01T00:00:00Z"`, "2025-12-31T19:00:00.000-05:00", same},
		{"instant less", store.DateTime, `"2026-01-01T00:00:00Z"`, "2026-01-01T00:00:00.000000001Z", less},
		{"instant greater", store.DateTime, `"2026-01-01T00:00:00+01:00"`, "2025-12-31T22:59:59Z", greater},
		{"instant without an offset is in UTC", store.DateTime, `"2026-01-01T00:00:00"`, "2026-01-01T01:00:00+01:00", same},
		{"instant is not any text", store.DateTime, `"soon"`, "2026-01-01T00:00:00Z", never},
		{"instant is not a number", store.DateTime, `2026`, "2026-01-01T00:00:00Z", never},

		{"no type", 0, `"a"`, "a", never},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := store.Document(`{"a":` + test.have + `}`)
			for op := store.EQ; op <= store.LE; op++ {
				got := store.MatchElement(compare(test.typ, op, test.value), doc)
				if want := test.want[op-store.EQ] == '1'; got != want {
					t.Errorf("operator %d is %t, want %t", op, got, want)
				}
			}
		})
	}
}

func TestMatchElement(t *testing.T) {
	doc := store.Document(`{"id":"x","value":"v","meta":{"created":"2026-01-01T00:00:00Z"}}`)
	value := store.Compare{Path: store.Path{Keys: []string{"value"}, Type: store.String}, Op: store.EQ, Value: "V"}
	for _, test := range []struct {
		name   string
		filter store.Filter
		want   bool
	}{
		{"nil", nil, true},
		{"value", value, true},
		{"membership", store.MemberOf{Group: "g"}, false},
		{"any membership", store.HasMember{}, false},
		{"no membership", store.Not{Filter: store.MemberOf{}}, true},
		{"own field", store.Present{Path: store.Path{Keys: []string{"meta", "version"}}}, false},
	} {
		if got := store.MatchElement(test.filter, doc); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

type relations func(group, member string) (bool, error)

func (r relations) IsMember(group, member string) (bool, error) { return r(group, member) }

func TestMatchRelations(t *testing.T) {
	failure := errors.New("no answer")
	fails := relations(func(string, string) (bool, error) { return false, failure })
	r := &store.Resource{ID: "r", Document: store.Document(`{"a":"x"}`)}
	yes, no := compare(store.String, store.EQ, "x"), compare(store.String, store.EQ, "y")
	for _, test := range []struct {
		name   string
		filter store.Filter
		rel    store.Relations
		want   bool
		err    error
	}{
		{"member of", store.MemberOf{Group: "g"}, relations(func(g, m string) (bool, error) { return g == "g" && m == "r", nil }), true, nil},
		{"has member", store.HasMember{Member: "m"}, relations(func(g, m string) (bool, error) { return g == "r" && m == "m", nil }), true, nil},
		{"no relations", store.MemberOf{Group: "g"}, nil, false, nil},
		{"failure", store.MemberOf{}, fails, false, failure},
		{"failure in not", store.Not{Filter: store.MemberOf{}}, fails, false, failure},
		{"failure in and", store.And{yes, store.MemberOf{}}, fails, false, failure},
		{"failure in or", store.Or{no, store.HasMember{}}, fails, false, failure},
		{"decided before", store.Or{yes, store.MemberOf{}}, fails, true, nil},
		{"refused before", store.And{no, store.MemberOf{}}, fails, false, nil},
	} {
		got, err := store.Match(test.filter, r, test.rel)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %t, %v", test.name, got, err)
		}
	}
}
