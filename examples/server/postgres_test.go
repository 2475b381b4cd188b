package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/scimjit/provision/internal/postgrestest"
)

// TestPostgreSQL runs two servers on one database. What one is told, the other knows.
func TestPostgreSQL(t *testing.T) {
	var host, name string
	if _, err := fmt.Sscanf(postgrestest.Start(t).Database(t), "host=%s user=postgres dbname=%s", &host, &name); err != nil {
		t.Fatal(err)
	}
	const token = "token-of-two-servers-0123456789abcdef-0123456789"
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"connections":[{"id":"acme","scim":{"token":"`+token+`"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-db", "postgres:///" + name + "?user=postgres&host=" + host, "-config", file, "-operator-token", operatorToken}
	first, second := start(t, args...), start(t, args...)
	if status, body := first.do("POST", "/scim/v2/Users", token, newUser); status != http.StatusCreated {
		t.Fatalf("creating a user: %d %s\n%s", status, body, first.log)
	}
	if got := second.get("/scim/v2/Users", token); !strings.Contains(got, `"totalResults":1`) {
		t.Errorf("users at the other server: %s", got)
	}
	if status, body := second.do("POST", "/scim/v2/Users", token, newUser); status != http.StatusConflict {
		t.Errorf("the same user at the other server: %d %s", status, body)
	}
	accounts := first.get("/accounts?connection=acme", operatorToken)
	if got := second.get("/accounts?connection=acme", operatorToken); got != accounts || !strings.Contains(got, "ada@example.com") {
		t.Errorf("accounts at the other server:\n%s\nat the first:\n%s", got, accounts)
	}
	addMembers(t, []*running{first, second}, token)
	accounts = first.get("/accounts?connection=acme", operatorToken)
	first.stop()
	second.stop()

	third := start(t, args...)
	if got := third.get("/accounts?connection=acme", operatorToken); got != accounts {
		t.Errorf("accounts after a restart:\n%s\nbefore:\n%s", got, accounts)
	}
	third.stop()
}

// addMembers adds a member each to one group at all servers at once. None is lost.
func addMembers(t *testing.T, servers []*running, token string) {
	t.Helper()
	const members = 24
	id := func(body string) string {
		var created struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(body), &created); err != nil || created.ID == "" {
			t.Errorf("%s: %v", body, err)
		}
		return created.ID
	}
	_, group := servers[0].do("POST", "/scim/v2/Groups", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff"}`)
	path := "/scim/v2/Groups/" + id(group)
	var all sync.WaitGroup
	for i := range members {
		server := servers[i%len(servers)]
		all.Go(func() {
			status, user := server.do("POST", "/scim/v2/Users", token, strings.Replace(newUser, "ada@", fmt.Sprintf("user%d@", i), 1))
			if status != http.StatusCreated {
				t.Errorf("creating user %d: %d %s\n%s", i, status, user, server.log)
				return
			}
			status, body := server.do("PATCH", path, token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+id(user)+`"}]}]}`)
			if status >= http.StatusMultipleChoices {
				t.Errorf("adding user %d: %d %s\n%s", i, status, body, server.log)
			}
		})
	}
	all.Wait()
	for i, server := range servers {
		if got := strings.Count(server.get(path, token), `"value"`); got != members {
			t.Errorf("server %d: %d members, want %d", i, got, members)
		}
	}
}
