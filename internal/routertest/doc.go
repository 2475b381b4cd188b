// Package routertest mounts the handlers of this module under the routers that
// applications use, and talks to them there. It is a module of its own, so that
// the library depends on no router:
//
//	go -C internal/routertest test ./...
package routertest
