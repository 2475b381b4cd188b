package main

import (
	"crypto/sha256"
	"net/http"

	"github.com/scimjit/provision/console"
)

// newConsole returns the pages for people. Whoever has the operator token signs in with it.
func newConsole(api *console.API, operatorToken, base string) *console.Handler {
	// A server that has the same token knows the same sessions, and another token ends them.
	key := sha256.Sum256([]byte("sessions of the console\n" + operatorToken))
	return &console.Handler{
		API: api, SignIn: console.SignInByToken(operatorToken, operator), Key: key[:], Base: base,
		Brand: console.Brand{Name: "Example"}, Logger: api.Engine.Logger,
	}
}

// withConsole serves the pages before next, and leads to them from the address of the server.
func withConsole(next http.Handler, pages *console.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/console/", pages)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	mux.Handle("/", next)
	return mux
}
