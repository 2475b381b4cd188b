package jit

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/naming"
)

const maxLocalPath = 2048

// LocalPath reports whether a browser that is sent to s stays at this origin:
// whether s is a path with one leading slash, with a query and a fragment or
// without, of at most 2,048 bytes. Whoever redirects to a path that came with a
// request, such as a RelayState, must ask this first.
//
// Not local are a scheme, a host ("//evil.example"), a backslash, which browsers
// read as a slash, two slashes in a row in the path, and control characters,
// which browsers drop.
func LocalPath(s string) bool {
	if !strings.HasPrefix(s, "/") || len(s) > maxLocalPath || !utf8.ValidString(s) {
		return false
	}
	if strings.Contains(s, `\`) || strings.ContainsFunc(s, naming.Control) {
		return false
	}
	path := s
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		path = s[:i]
	}
	if strings.Contains(path, "//") {
		return false
	}
	_, err := url.Parse(s) // with one slash first there is no scheme and no host
	return err == nil
}
