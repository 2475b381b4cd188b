package filter_test

import (
	"strings"
	"testing"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
)

// BenchmarkParseCompile compares with a bare lexer, which is the least that
// reading a filter can cost, and with the parser of filter-parser.
func BenchmarkParseCompile(b *testing.B) {
	user := schema.Standard().Type("User")
	for _, v := range []struct{ name, filter string }{
		{"lookup", `userName eq "bjensen@example.com"`},
		{"element", `emails[type eq "work" and value eq "bjensen@example.com"]`},
		{"long", `userType eq "Employee" and (emails co "example.com" or emails.value co "example.org") and not (active eq false)`},
	} {
		b.Run("filter="+v.name+"/peer=provision", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := filter.Parse(v.filter, filter.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := filter.Compile(user, e, filter.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("filter="+v.name+"/peer=provision-parse-only", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := filter.Parse(v.filter, filter.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("filter="+v.name+"/peer=lexer", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for pos := 0; pos < len(v.filter); {
					var t token
					if t, pos = next(v.filter, pos); t.kind == 0 {
						b.Fatal("no token")
					}
				}
			}
		})
		b.Run("filter="+v.name+"/peer=filter-parser", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ast.ParseFilter([]byte(v.filter)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHostile refuses 100,000 parentheses, where only the limit of depth
// stops them.
func BenchmarkHostile(b *testing.B) {
	text := strings.Repeat("(", 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := filter.Parse(text, filter.Limits{Bytes: len(text)}); err == nil {
			b.Fatal("no error")
		}
	}
}

type token struct {
	kind byte // 'w' for a word or number, '"' for a string, or the punctuation
	text string
}

// next returns the next token of a filter and where it ends. It decodes and
// checks nothing.
func next(text string, pos int) (token, int) {
	for pos < len(text) && text[pos] == ' ' {
		pos++
	}
	start := pos
	switch c := text[pos]; c {
	case '(', ')', '[', ']':
		return token{c, text[start : pos+1]}, pos + 1
	case '"':
		for pos++; pos < len(text) && text[pos] != '"'; pos++ {
			if text[pos] == '\\' {
				pos++
			}
		}
		return token{c, text[start+1 : pos]}, pos + 1
	}
	for pos < len(text) {
		switch text[pos] {
		case ' ', '(', ')', '[', ']', '"':
			return token{'w', text[start:pos]}, pos
		}
		pos++
	}
	return token{'w', text[start:pos]}, pos
}
