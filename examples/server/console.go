package main

import (
	"crypto/sha256"
	"net/http"

	"github.com/scimjit/provision/console"
)

// newConsole returns the pages for people. Whoever has the operator token signs in with it.
func newConsole(api *console.API, operatorToken, base string) *console.Handler {
	return &console.Handler{
		API: api, SignIn: console.SignInByToken(operatorToken, operator), Key: sessionKey(operatorToken), Base: base,
		Brand: brand, Logger: api.Engine.Logger,
	}
}

// newPortal returns the pages for whoever comes by a portal link.
func newPortal(api *console.API, operatorToken, base string) *console.Handler {
	return &console.Handler{API: api, Portal: true, Key: sessionKey(operatorToken), Base: base, Brand: brand, Logger: api.Engine.Logger}
}

var brand = console.Brand{Name: "Example"}

// sessionKey signs sessions: a server that has the same operator token knows the same
// sessions, and another token ends them.
func sessionKey(operatorToken string) []byte {
	key := sha256.Sum256([]byte("sessions of the console\n" + operatorToken))
	return key[:]
}

// withConsole serves the pages before next, and leads to them from the address of the server.
func withConsole(next http.Handler, pages, portal *console.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/console/", pages)
	mux.Handle("/portal/", portal)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	mux.Handle("/", next)
	return mux
}
