// Package mount reads the paths of requests for handlers that a host may mount
// under any router, at any prefix.
package mount

import (
	"net/url"
	"strings"
)

// Segments returns the segments of the path of a URL, decoded. An encoded slash
// is part of its segment, so that no proxy in front can take one path for
// another.
func Segments(u *url.URL) []string {
	if u.RawPath == "" { // then no slash of Path was encoded
		return Split(u.Path)
	}
	segments := Split(u.EscapedPath())
	for i, s := range segments {
		if text, err := url.PathUnescape(s); err == nil {
			segments[i] = text
		}
	}
	return segments
}

// Split returns the segments of a path. Any number of slashes counts as one, and
// those at either end have no meaning.
func Split(path string) []string {
	segments := make([]string, 0, strings.Count(path, "/")+1)
	for s := range strings.SplitSeq(path, "/") {
		if s != "" {
			segments = append(segments, s)
		}
	}
	return segments
}
