package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	first.stop()
	second.stop()

	third := start(t, args...)
	if got := third.get("/accounts?connection=acme", operatorToken); got != accounts {
		t.Errorf("accounts after a restart:\n%s\nbefore:\n%s", got, accounts)
	}
	third.stop()
}
