package scim

import "github.com/scimjit/provision/internal/mount"

// CountedCredentials returns how many credentials a handler has buckets of.
func CountedCredentials(h *Handler) int { return len(h.limiters.m) }

// Routes returns the table of endpoints as "METHOD /path", with "*" for a
// resource endpoint or an id.
func Routes() []string {
	var out []string
	for _, r := range routes() {
		out = append(out, r.method+" /"+r.path)
	}
	return out
}

// RouteOf returns the row of the table that answers a request, written like
// those of Routes, or "".
func RouteOf(method, path string) string {
	segments := mount.Split(path)
	fixed := len(segments) == 0 || fixedEndpoints[segments[0]]
	for i := range routeTable {
		r := &routeTable[i]
		generic := len(r.segments) > 0 && r.segments[0] == "*"
		if r.match(segments) && r.method == method && (!fixed || !generic) {
			return r.method + " /" + r.path
		}
	}
	return ""
}
