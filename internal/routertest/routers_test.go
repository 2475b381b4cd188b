package routertest_test

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
)

// router mounts a handler at a prefix: "" or one such as "/scim/v2". A segment
// of it may be "{connection}".
type router struct {
	name  string
	mount func(prefix string, h http.Handler) http.Handler

	strips bool // the prefix, from the path
	halves bool // strips the first segment of the prefix, and leaves the others
	names  bool // the connection, as a path value
	cleans bool // paths with two slashes, by a redirect

	// What is answered at the prefix without a slash at its end, and where two
	// slashes are in it.
	root, slashes int
}

func routers() []router {
	return []router{
		{name: "no router", root: 200, slashes: 200, mount: func(_ string, h http.Handler) http.Handler { return h }},

		{name: "net/http", root: 307, slashes: 307, names: true, cleans: true, mount: func(prefix string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle(prefix+"/", h)
			return mux
		}},
		{name: "net/http, StripPrefix", root: 307, slashes: 307, strips: true, cleans: true, mount: func(prefix string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
			return mux
		}},
		{name: "net/http, rest of the path", root: 307, slashes: 307, names: true, cleans: true, mount: func(prefix string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle(prefix+"/{rest...}", h)
			return mux
		}},
		{name: "net/http, methods", root: 307, slashes: 307, names: true, cleans: true, mount: func(prefix string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				mux.Handle(method+" "+prefix+"/", h)
			}
			return mux
		}},
		{name: "net/http, before the ServeMux", root: 404, slashes: 307, mount: func(prefix string, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if below(prefix, r.URL.Path) {
					h.ServeHTTP(w, r)
					return
				}
				mux.ServeHTTP(w, r)
			})
		}},
		{name: "net/http, nested", root: 307, slashes: 307, halves: true, cleans: true, mount: func(prefix string, h http.Handler) http.Handler {
			first, rest, ok := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
			if !ok {
				return h
			}
			inner, outer := http.NewServeMux(), http.NewServeMux()
			inner.Handle("/"+rest+"/", h)
			outer.Handle("/"+first+"/", http.StripPrefix("/"+first, inner))
			return outer
		}},

		{name: "chi, Mount", root: 200, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount(cmp.Or(prefix, "/"), h)
			return r
		}},
		{name: "chi, Mount and StripPrefix", root: 404, slashes: 404, strips: true, mount: func(prefix string, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount(prefix+"/", http.StripPrefix(prefix, h))
			return r
		}},
		{name: "chi, Handle", root: 404, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Handle(prefix+"/*", h)
			return r
		}},
		{name: "chi, Route", root: 404, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Route(prefix+"/", func(r chi.Router) { r.Handle("/*", h) })
			return r
		}},
		{name: "chi, Group", root: 200, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Group(func(r chi.Router) { r.Mount(cmp.Or(prefix, "/"), h) })
			return r
		}},

		{name: "gin, Group", root: 301, slashes: 404, mount: func(prefix string, h http.Handler) http.Handler {
			gin.SetMode(gin.ReleaseMode)
			r := gin.New()
			r.Group(colons(prefix)).Any("/*path", gin.WrapH(h))
			return r
		}},
		{name: "gin, Any", root: 301, slashes: 404, mount: func(prefix string, h http.Handler) http.Handler {
			gin.SetMode(gin.ReleaseMode)
			r := gin.New()
			r.Any(colons(prefix)+"/*path", gin.WrapH(h))
			return r
		}},

		{name: "echo v4, Group", root: 404, slashes: 404, mount: func(prefix string, h http.Handler) http.Handler {
			e := echo4.New()
			e.Group(colons(prefix)).Any("/*", echo4.WrapHandler(h))
			return e
		}},
		{name: "echo v4, Any", root: 404, slashes: 404, mount: func(prefix string, h http.Handler) http.Handler {
			e := echo4.New()
			e.Any(colons(prefix)+"/*", echo4.WrapHandler(h))
			return e
		}},
		{name: "echo v5, Group", root: 404, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			e := echo5.New()
			e.Group(colons(prefix)).Any("/*", echo5.WrapHandler(h))
			return e
		}},
		{name: "echo v5, Any", root: 404, slashes: 404, names: true, mount: func(prefix string, h http.Handler) http.Handler {
			e := echo5.New()
			e.Any(colons(prefix)+"/*", echo5.WrapHandler(h))
			return e
		}},
	}
}

// below reports whether a path is below a prefix, in which a segment
// "{connection}" is anything.
func below(prefix, path string) bool {
	literal, _, _ := strings.Cut(prefix, "{connection}")
	return strings.HasPrefix(path, strings.TrimSuffix(literal, "/")+"/")
}

// colons writes a prefix as gin and echo do.
func colons(prefix string) string { return strings.ReplaceAll(prefix, "{connection}", ":connection") }
