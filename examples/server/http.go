package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/scim"
)

// newHandler serves the endpoints of operators, and says how the process is.
func newHandler(api *console.API) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", ready(api.Engine))
	mux.Handle("/", api)
	return mux
}

// operator is who has the operator token.
var operator = console.Viewer{Actor: provision.Actor{Kind: "operator", ID: "http"}, Role: console.RoleOperator}

// newAPI returns the endpoints of operators: those of package console.
func newAPI(engine *provision.Engine, operatorToken string) *console.API {
	return &console.API{
		Engine: engine, Who: console.TokenOf(engine, operatorToken, operator), Consumer: logConsumer, Aliases: true,
		TestLogin: testLogin(engine),
	}
}

// withSCIM serves /scim/v2 and /scim/{connection}/v2 before next. A ServeMux
// refuses the two patterns together, because both match /scim/v2/v2/, and it
// answers a path with two slashes, as of a base URL that was entered with one at
// its end, by a redirect in HTML.
func withSCIM(next http.Handler, service *scim.Handler, base string) http.Handler {
	service.Prefix = "/" // it is removed below
	service.BaseURL = func(r *http.Request, _ string) string {
		if connection := r.PathValue("connection"); connection != "" {
			return base + "/scim/" + connection + "/v2"
		}
		return base + "/scim/v2"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segments := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
		if len(segments) == 0 || segments[0] != "scim" {
			next.ServeHTTP(w, r)
			return
		}
		connection, rest := "", segments[1:]
		if len(rest) > 0 && rest[0] != "v2" {
			connection, rest = rest[0], rest[1:]
		}
		if len(rest) == 0 || rest[0] != "v2" {
			w.Header().Set("Content-Type", "application/scim+json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(&scim.Error{Status: http.StatusNotFound, Code: "unknown_endpoint", Detail: "SCIM is at /scim/v2 and /scim/{connection}/v2"})
			return
		}
		u := *r.URL
		u.Path, u.RawPath = "/"+strings.Join(rest[1:], "/"), ""
		r2 := r.WithContext(r.Context())
		r2.URL = &u
		r2.SetPathValue("connection", connection)
		service.ServeHTTP(w, r2)
	})
}

// health answers GET /healthz: the process lives. It asks nobody, so that a busy
// store does not get the process killed.
func health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyTimeout is how long the store may take to answer GET /readyz.
const readyTimeout = 5 * time.Second

// readyAgain is when to ask again where it does not.
const readyAgain = time.Second

// ready answers GET /readyz: the store answers.
func ready(engine *provision.Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := engine.Store.Ping(ctx); err != nil {
			engine.Logger.Error("not ready", "error", err)
			w.Header().Set("Retry-After", strconv.Itoa(int(readyAgain.Seconds())))
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "the store does not answer"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader is gone: there is nobody to tell
}
