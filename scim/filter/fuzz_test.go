package filter_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
)

// FuzzParse checks that what Parse accepts is written and read back as the same
// expression, and that it reads whatever the library's parser reads, alike.
func FuzzParse(f *testing.F) {
	type vector struct{ Name, Filter, Tree, Format, Detail string }
	for _, v := range vectors[vector](f, "parse.json") {
		f.Add(v.Filter)
	}
	type invalid struct {
		Name, Filter, Detail string
		Offset               int
	}
	for _, v := range vectors[invalid](f, "parse_errors.json") {
		f.Add(v.Filter)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := filter.Parse(text, filter.Limits{})
		if err != nil {
			checkOffset(t, err, text)
		} else {
			again, err := filter.Parse(filter.Format(e), filter.Limits{Bytes: 6 * 4096})
			if err != nil {
				t.Fatalf("Parse(%s): %v", filter.Format(e), err)
			}
			if diff := cmp.Diff(e, again); diff != "" {
				t.Fatalf("Parse(%s) (-want +got):\n%s", filter.Format(e), diff)
			}
		}
		if !harmless(text) {
			return
		}
		want, oracleErr := ast.ParseFilterNumber([]byte(text))
		if oracleErr != nil {
			return
		}
		compareOracle(t, text, e, err, want, func(text string) (ast.Expression, error) {
			return filter.Parse(text, filter.Limits{})
		}, filter.Format)
	})
}

// FuzzPath does the same with paths.
func FuzzPath(f *testing.F) {
	type vector struct {
		Name, Path, Tree, Format, Detail string
		Offset                           int
	}
	for _, v := range vectors[vector](f, "paths.json") {
		f.Add(v.Path)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := filter.ParsePath(text, filter.Limits{})
		if err != nil {
			checkOffset(t, err, text)
		} else {
			again, err := filter.ParsePath(filter.FormatPath(p), filter.Limits{Bytes: 6 * 4096})
			if err != nil {
				t.Fatalf("ParsePath(%s): %v", filter.FormatPath(p), err)
			}
			if diff := cmp.Diff(p, again); diff != "" {
				t.Fatalf("ParsePath(%s) (-want +got):\n%s", filter.FormatPath(p), diff)
			}
		}
		if !harmless(text) {
			return
		}
		want, oracleErr := ast.ParsePathNumber([]byte(text))
		if oracleErr != nil {
			return
		}
		compareOracle(t, text, p, err, want, func(text string) (ast.Path, error) {
			return filter.ParsePath(text, filter.Limits{})
		}, filter.FormatPath)
	})
}

// FuzzCompile checks that a filter means the same once it is written and read
// back, and that loose options change nothing of what strict ones accept.
func FuzzCompile(f *testing.F) {
	type vector struct {
		Name, Type, Filter, Compiled, Error string
		Loose                               bool
	}
	for _, v := range vectors[vector](f, "compile.json") {
		f.Add(v.Filter, v.Type)
	}
	types := types(f)
	f.Fuzz(func(t *testing.T, text, typ string) {
		e, err := filter.Parse(text, filter.Limits{})
		if err != nil {
			return
		}
		resource := types[typ]
		if resource == nil {
			resource = types["User"]
		}
		compiled := compileAlike(t, resource, e, false)
		if compiled == "" {
			compileAlike(t, resource, e, true)
			return
		}
		if diff := cmp.Diff(compiled, compileAlike(t, resource, e, true)); diff != "" {
			t.Errorf("%s, loose (-strict +loose):\n%s", text, diff)
		}
	})
}

// compileAlike compiles an expression and what is read back of it. It returns
// an empty string for an error.
func compileAlike(t *testing.T, r *schema.ResourceType, e ast.Expression, loose bool) string {
	t.Helper()
	options := filter.Options{Loose: loose}
	got, err := filter.Compile(r, e, options)
	again, againErr := filter.Compile(r, parse(t, filter.Format(e)), options)
	if err != nil {
		var e *filter.Error
		if !errors.As(err, &e) || e.Offset != -1 || againErr == nil || againErr.Error() != err.Error() {
			t.Errorf("error %v, then %v", err, againErr)
		}
		return ""
	}
	if diff := cmp.Diff(compiled(got), compiled(again)); diff != "" {
		t.Errorf("compiled again (-want +got):\n%s", diff)
	}
	return compiled(got)
}

func checkOffset(t *testing.T, err error, text string) {
	t.Helper()
	var e *filter.Error
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Detail == "" {
		t.Errorf("error %#v", err)
	}
}

// harmless reports whether a text may be fed to the library's parser, which
// overflows the stack on nested input, leaves escapes undecoded and takes bytes
// that are not UTF-8.
func harmless(text string) bool {
	return len(text) <= 300 && utf8.ValidString(text) && strings.Count(text, "(")+strings.Count(text, "[") <= 10 && !strings.Contains(text, `\`)
}

// glued finds keywords that the library's parser takes without a space to end what
// is before them: within brackets "a[b prand c pr]", and anywhere "a eq 0or b pr".
var glued = regexp.MustCompile(`(?i)\[.*((pr|true|false|null)(and|or)|(and|or)[a-z0-9.$-])|[0-9](and|or)`)

// compareOracle compares a result with that of the library's parser, then what
// is read from that result, written by Format.
func compareOracle[E any](t *testing.T, text string, got E, err error, want E, parse func(string) (E, error), format func(E) string) {
	t.Helper()
	exponents := cmp.Transformer("exponent", func(n json.Number) string { return strings.ToLower(n.String()) })
	switch {
	case err != nil && glued.MatchString(text):
	case err != nil:
		t.Errorf("error for %q, which the library reads as %s: %v", text, format(want), err)
	default:
		if diff := cmp.Diff(want, got, exponents); diff != "" {
			t.Errorf("%q (-library +got):\n%s", text, diff)
		}
	}
	again, err := parse(format(want))
	if err != nil {
		t.Fatalf("error for %q, as the library read it: %v", format(want), err)
	}
	if diff := cmp.Diff(want, again, exponents); diff != "" {
		t.Errorf("%q (-library +got):\n%s", format(want), diff)
	}
}

// FuzzParseLoose checks that ParseLoose reads what Parse reads, and as the same, and
// that what it reads beyond can be written for Parse.
func FuzzParseLoose(f *testing.F) {
	for _, v := range vectors[struct{ Name, Filter, Tree string }](f, "loose.json") {
		f.Add(v.Filter)
	}
	f.Fuzz(func(t *testing.T, text string) {
		loose, looseErr := filter.ParseLoose(text, filter.Limits{})
		strict, err := filter.Parse(text, filter.Limits{})
		if err == nil && (looseErr != nil || tree(loose) != tree(strict)) {
			t.Fatalf("Parse(%q) is %s, ParseLoose %v, %v", text, tree(strict), loose, looseErr)
		}
		if looseErr != nil {
			return
		}
		if _, err := filter.Parse(filter.Format(loose), filter.Limits{}); err != nil {
			t.Fatalf("ParseLoose(%q) is written as %q: %v", text, filter.Format(loose), err)
		}
	})
}
