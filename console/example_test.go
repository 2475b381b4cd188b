package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/store/memory"
)

// A host mounts the API where it likes and says who asks.
func Example() {
	engine := &provision.Engine{Store: memory.New()}
	api := &console.API{Engine: engine, Who: func(r *http.Request) (console.Viewer, error) {
		if r.Header.Get("Authorization") != "Bearer let-me-in" {
			return console.Viewer{}, &console.Problem{Status: 401, Code: "session", Detail: "your session is over: sign in again"}
		}
		return console.Viewer{Actor: provision.Actor{Kind: "operator", ID: "ann"}, Role: console.RoleOperator}, nil
	}}
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", api))

	send := func(method, path, token, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var problem console.Problem
		_ = json.Unmarshal(w.Body.Bytes(), &problem) // a list is none
		fmt.Println(strings.TrimSpace(fmt.Sprintln(w.Code, problem.Code, problem.Field)))
	}
	send("GET", "/admin/connections/okta", "", "")
	send("POST", "/admin/connections", "Bearer let-me-in", `{"id": "okta", "scim": true, "policy": {"requiredGroup": "IT"}}`)
	send("POST", "/admin/connections", "Bearer let-me-in", `{"id": "okta", "scim": true, "policy": {"requiredGroups": "IT"}}`)
	send("GET", "/admin/connections/okta/accounts", "Bearer let-me-in", "")
	// Output:
	// 401 session
	// 400 option_unknown policy.requiredGroup
	// 201
	// 200
}
