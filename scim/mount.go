package scim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/mount"
)

// connectionSegment stands for the id of a connection in Handler.Prefix.
const connectionSegment = "{connection}"

// locate returns the segments of the path of a request that follow Prefix, and
// the connection that the path names, if any. A path that does not begin with
// Prefix is taken as one that the router has removed it from. If the connection
// went with it, the path names one that cannot exist: it opens nothing.
func (h *Handler) locate(r *http.Request) (segments []string, tenant string) {
	segments, tenant = mount.Segments(r.URL), r.PathValue("connection")
	if tenant == "" && strings.Contains(h.Prefix, connectionSegment) {
		tenant = connectionSegment
	}
	rest, named := segments, tenant
	for want := range strings.SplitSeq(h.Prefix, "/") {
		switch {
		case want == "":
		case len(rest) > 0 && want == connectionSegment:
			named, rest = rest[0], rest[1:]
		case len(rest) > 0 && rest[0] == want:
			rest = rest[1:]
		default:
			return segments, tenant
		}
	}
	return rest, named
}

// belowRoot returns the segments that follow the service root; see
// Handler.Prefix. The first endpoint counts, whatever follows it: were it the
// last one, "/Users/x/Bulk" would be an address of Bulk, which no rule of a proxy
// for "/Bulk" knows.
func (x *exchange) belowRoot() ([]string, error) {
	if x.handler.Prefix != "" {
		return x.segments, nil
	}
	if i := slices.IndexFunc(x.segments, x.isEndpoint); i >= 0 {
		return x.segments[i:], nil
	}
	// Nothing tells a root from an endpoint that is misspelled, and a search for
	// users must not become one for everything: a root has to be known.
	root, below := x.segments, []string(nil)
	if n := len(root) - 1; n >= 0 && root[n] == searchEndpoint {
		root, below = root[:n], root[n:]
	}
	if !x.isRoot(root) {
		return nil, errNoEndpoint
	}
	return below, nil
}

// isRoot reports whether a path is that of the service root, as far as can be
// told. RFC 7644 section 3.13 ends it with the version. The router may have
// removed the beginning of the path that BaseURL says.
func (x *exchange) isRoot(path []string) bool {
	n := len(path)
	if n == 0 || path[n-1] == "v2" {
		return true
	}
	u, err := url.Parse(x.base)
	if err != nil {
		return false
	}
	base := mount.Segments(u)
	return len(base) >= n && slices.Equal(base[len(base)-n:], path)
}
