package jit_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/scimjit/provision/jit"
)

func TestLocalPath(t *testing.T) {
	tests := []struct {
		name string
		path string
		want bool
	}{
		{"root", "/", true},
		{"path, query, fragment", "/files/2026?sort=name&q=a%20b#top", true},
		{"a URL in the query", "/go?to=https://elsewhere.example//x", true},
		{"other letters", "/Übersicht", true},
		{"dots", "/a/../b", true},
		{"longest", "/" + strings.Repeat("a", 2047), true},
		{"empty", "", false},
		{"relative", "files", false},
		{"query only", "?a=b", false},
		{"absolute", "https://evil.example/", false},
		{"scheme only", "javascript:alert(1)", false},
		{"other host", "//evil.example", false},
		{"three slashes", "///evil.example", false},
		{"backslash", `/\evil.example`, false},
		{"backslashes", `\\evil.example`, false},
		{"backslash later", `/a\b`, false},
		{"backslash in the query", `/a?\`, false},
		{"dot segment before two slashes", "/.//evil.example", false},
		{"two slashes later", "/a//b", false},
		{"space first", " /a", false},
		{"tab that browsers drop", "/\t/evil.example", false},
		{"line break that browsers drop", "/\n/evil.example", false},
		{"header", "/a\r\nSet-Cookie: x=y", false},
		{"NUL", "/a\x00", false},
		{"DEL", "/a\x7f", false},
		{"C1 control", "/a\u0085b", false},
		{"invalid UTF-8", "/a\xff", false},
		{"bad escape", "/a%zz", false},
		{"too long", "/" + strings.Repeat("a", 2048), false},
	}
	base, err := url.Parse("https://app.example/login")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := jit.LocalPath(test.path); got != test.want {
				t.Errorf("LocalPath(%q) is %v", test.path, got)
			}
			if !test.want {
				return
			}
			if u, err := base.Parse(test.path); err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
				t.Errorf("%q leads to %v, error %v", test.path, u, err)
			}
		})
	}
}
