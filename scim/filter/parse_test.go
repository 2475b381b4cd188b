package filter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/filter"
)

func TestParse(t *testing.T) {
	type vector struct {
		Name   string
		Filter string
		Tree   string
		Format string // as Filter when empty
	}
	for _, v := range vectors[vector](t, "parse.json") {
		t.Run(v.Name, func(t *testing.T) {
			e, err := filter.Parse(v.Filter, filter.Limits{})
			if err != nil {
				t.Fatalf("Parse(%s): %v", v.Filter, err)
			}
			if diff := cmp.Diff(v.Tree, tree(e)); diff != "" {
				t.Errorf("tree of %s (-want +got):\n%s", v.Filter, diff)
			}
			if v.Format == "" {
				v.Format = v.Filter
				if strings.Contains(v.Filter, `\/`) {
					t.Fatal("the vector needs a format")
				}
			}
			got := filter.Format(e)
			if diff := cmp.Diff(v.Format, got); diff != "" {
				t.Errorf("Format (-want +got):\n%s", diff)
			}
			again, err := filter.Parse(got, filter.Limits{})
			if err != nil {
				t.Fatalf("Parse(Format): %v", err)
			}
			if diff := cmp.Diff(e, again); diff != "" {
				t.Errorf("Parse(Format) (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseLoose parses what identity providers write. A row without a tree is
// refused; each row is refused by Parse, or gives the same tree there.
func TestParseLoose(t *testing.T) {
	type vector struct {
		Name   string
		Filter string
		Tree   string
	}
	for _, v := range vectors[vector](t, "loose.json") {
		t.Run(v.Name, func(t *testing.T) {
			e, err := filter.ParseLoose(v.Filter, filter.Limits{})
			if v.Tree == "" {
				if err == nil {
					t.Errorf("ParseLoose(%s) is %s, want an error", v.Filter, tree(e))
				}
				return
			}
			if err != nil {
				t.Fatalf("ParseLoose(%s): %v", v.Filter, err)
			}
			if diff := cmp.Diff(v.Tree, tree(e)); diff != "" {
				t.Errorf("tree of %s (-want +got):\n%s", v.Filter, diff)
			}
			strict, err := filter.Parse(v.Filter, filter.Limits{})
			if err == nil && tree(strict) != v.Tree {
				t.Errorf("Parse(%s) is %s", v.Filter, tree(strict))
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	type vector struct {
		Name   string
		Filter string
		Offset int
		Detail string // the beginning
	}
	for _, v := range vectors[vector](t, "parse_errors.json") {
		t.Run(v.Name, func(t *testing.T) {
			e, err := filter.Parse(v.Filter, filter.Limits{})
			if err == nil {
				t.Fatalf("Parse(%q) = %s, want an error", v.Filter, tree(e))
			}
			checkError(t, err, v.Offset, v.Detail)
		})
	}
}

func TestParseErrorsBeyondJSON(t *testing.T) {
	for _, v := range []struct {
		name, filter string
		offset       int
	}{
		{"invalid UTF-8 in a string", "a eq \"x\xff\"", 7},
		{"half a character", "a eq \"\xe2\x82\"", 6},
		{"surrogate in UTF-8", "a eq \"\xed\xa0\x80\"", 6},
		{"invalid UTF-8 outside strings", "\xff pr", 0},
	} {
		t.Run(v.name, func(t *testing.T) {
			if _, err := filter.Parse(v.filter, filter.Limits{}); err == nil {
				t.Error("no error")
			} else {
				checkError(t, err, v.offset, "expected ")
			}
		})
	}
}

func TestParsePath(t *testing.T) {
	type vector struct {
		Name   string
		Path   string
		Tree   string
		Format string // as Path when empty
		Offset int
		Detail string // the beginning of the error, if there is one
	}
	for _, v := range vectors[vector](t, "paths.json") {
		t.Run(v.Name, func(t *testing.T) {
			p, err := filter.ParsePath(v.Path, filter.Limits{})
			if v.Detail != "" {
				if err == nil {
					t.Fatalf("ParsePath(%q) = %s, want an error", v.Path, pathTree(p))
				}
				checkError(t, err, v.Offset, v.Detail)
				return
			}
			if err != nil {
				t.Fatalf("ParsePath(%s): %v", v.Path, err)
			}
			if diff := cmp.Diff(v.Tree, pathTree(p)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if v.Format == "" {
				v.Format = v.Path
			}
			if diff := cmp.Diff(v.Format, filter.FormatPath(p)); diff != "" {
				t.Errorf("FormatPath (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	terms := func(n int) string { return strings.Repeat("a pr and ", n-1) + "a pr" }
	nested := func(n int) string { return strings.Repeat("(", n) + "a pr" + strings.Repeat(")", n) }
	small := filter.Limits{Bytes: 100, Depth: 2, Terms: 2}
	large := filter.Limits{Bytes: 1 << 20}
	for _, v := range []struct {
		name   string
		filter string
		limits filter.Limits
		offset int
		detail string // empty: within the limits
	}{
		{"4096 bytes", `a eq "` + strings.Repeat("x", 4089) + `"`, filter.Limits{}, 0, ""},
		{"4097 bytes", `a eq "` + strings.Repeat("x", 4090) + `"`, filter.Limits{}, 4096, "longer than 4096 bytes"},
		{"depth 16", nested(16), filter.Limits{}, 0, ""},
		{"depth 17", nested(17), filter.Limits{}, 16, "nested deeper than 16 at offset 16"},
		{"depth 17 of not", strings.Repeat("not (", 17), filter.Limits{}, 84, "nested deeper than 16 at offset 84"},
		{"depth is of what is open", strings.Repeat("((a pr)) and ", 90) + "a pr", filter.Limits{}, 0, ""},
		{"100 terms", terms(100), filter.Limits{}, 0, ""},
		{"101 terms", terms(101), filter.Limits{}, 900, "more than 100 terms at offset 900"},
		{"terms of value paths count", "a[b pr and c pr].d pr", small, 16, "more than 2 terms at offset 16"},
		{"brackets count as depth", "((a[b pr]))", small, 3, "nested deeper than 2 at offset 3"},
		{"own limit of bytes", terms(20), small, 100, "longer than 100 bytes"},
		{"100,000 parentheses", strings.Repeat("(", 100_000), filter.Limits{}, 4096, "longer than 4096 bytes"},
		{"100,000 parentheses, more bytes", strings.Repeat("(", 100_000), large, 16, "nested deeper than 16 at offset 16"},
		{"100,000 brackets, more bytes", strings.Repeat("a[", 100_000), large, 3, "expected an operator"},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, err := filter.Parse(v.filter, v.limits)
			_, pathErr := filter.ParsePath("x["+v.filter, v.limits)
			switch {
			case pathErr == nil:
				t.Error("ParsePath takes an open bracket")
			case v.detail == "" && err != nil:
				t.Errorf("Parse: %v", err)
			case v.detail != "" && err == nil:
				t.Errorf("no error, want %s", v.detail)
			case v.detail != "":
				checkError(t, err, v.offset, v.detail)
			}
		})
	}
}

func TestPathLimits(t *testing.T) {
	for _, v := range []struct {
		name   string
		path   string
		offset int
		detail string
	}{
		{"bytes", strings.Repeat("x", 4097), 4096, "longer than 4096 bytes"},
		{"depth", "a[" + strings.Repeat("(", 16), 17, "nested deeper than 16 at offset 17"},
		{"terms", "a[" + strings.Repeat("b pr or ", 101), 802, "more than 100 terms at offset 802"},
	} {
		t.Run(v.name, func(t *testing.T) {
			if _, err := filter.ParsePath(v.path, filter.Limits{}); err == nil {
				t.Error("no error")
			} else {
				checkError(t, err, v.offset, v.detail)
			}
		})
	}
}

// TestHostileInputIsCheap counts memory rather than time: what is refused
// builds nothing but its error.
func TestHostileInputIsCheap(t *testing.T) {
	text := strings.Repeat("(", 100_000)
	got := testing.AllocsPerRun(10, func() {
		if _, err := filter.Parse(text, filter.Limits{Bytes: len(text)}); err == nil {
			t.Error("no error")
		}
	})
	if got > 5 {
		t.Errorf("%v allocations, want those of the error only", got)
	}
}

func TestAllocations(t *testing.T) {
	got := testing.AllocsPerRun(100, func() {
		if _, err := filter.Parse(`userName eq "bjensen"`, filter.Limits{}); err != nil {
			t.Error(err)
		}
	})
	if got > 2 {
		t.Errorf("%v allocations, want the expression and its value", got)
	}
}

func checkError(t *testing.T, err error, offset int, detail string) {
	t.Helper()
	var e *filter.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is a %T", err, err)
	}
	if e.Offset != offset {
		t.Errorf("offset %d, want %d: %v", e.Offset, offset, err)
	}
	if !strings.HasPrefix(e.Error(), detail) {
		t.Errorf("error %q, want %q", e.Error(), detail)
	}
}
