package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

// databaseToken is the token of connection acme in the tests with a database.
const databaseToken = "token-of-two-servers-0123456789abcdef-0123456789"

// withDatabase returns the arguments of a server with a new database.
func withDatabase(t *testing.T, server *postgrestest.Server) []string {
	t.Helper()
	var host, name string
	if _, err := fmt.Sscanf(server.Database(t), "host=%s user=postgres dbname=%s", &host, &name); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"connections":[{"id":"acme","scim":{"token":"`+databaseToken+`"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-db", "postgres:///" + name + "?user=postgres&host=" + host, "-config", file, "-operator-token", operatorToken}
}

// TestPostgreSQL runs two servers on one database. What one is told, the other knows.
func TestPostgreSQL(t *testing.T) {
	const token = databaseToken
	args := withDatabase(t, postgrestest.Start(t))
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

// TestPostgreSQLAway stops the database under load, and starts it again. Requests are
// answered 503 with Retry-After, and whoever repeats them has each user once. The process
// counts as alive, and as not ready. One that starts meanwhile says what is wrong.
func TestPostgreSQLAway(t *testing.T) {
	database := postgrestest.Start(t)
	args := withDatabase(t, database)
	s := start(t, args...)
	var (
		writers, counted sync.WaitGroup
		created          atomic.Int64
		ended            atomic.Bool
	)
	const each = 5 // users of a writer, before and after
	for i := range 4 {
		counted.Add(each)
		writers.Go(func() {
			for n := 0; n < each || !ended.Load(); n++ {
				s.insist(strings.Replace(newUser, "ada@", fmt.Sprintf("user%d-%d@", i, n), 1))
				created.Add(1)
				if n < each {
					counted.Done()
				}
			}
		})
	}
	counted.Wait()
	database.Stop(t, "fast")
	for path, want := range map[string]int{
		"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK,
		"/accounts?connection=acme": http.StatusServiceUnavailable, "/scim/v2/Users": http.StatusServiceUnavailable,
	} {
		token := operatorToken
		if strings.HasPrefix(path, "/scim") {
			token = databaseToken
		}
		status, header, body := s.send("GET", path, token, "")
		if status != want || (header.Get("Retry-After") != "") != (want != http.StatusOK) {
			t.Errorf("%s: %d, Retry-After %q, %s", path, status, header.Get("Retry-After"), body)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, args...), &out, &out); err == nil || !strings.Contains(err.Error(), "is the server running") {
		t.Errorf("a start without the database: %v", err)
	}
	database.StartAgain(t)
	s.insist(newUser)
	ended.Store(true)
	writers.Wait()
	if got, want := s.get("/scim/v2/Users?count=0", databaseToken), fmt.Sprintf(`"totalResults":%d,`, created.Load()+1); !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if status, body := s.do("GET", "/readyz", "", ""); status != http.StatusOK {
		t.Errorf("after that: %d %s", status, body)
	}
	s.stop()
}

// insist creates a user, and repeats the request while the store is away. It may then be
// that the user is there, where nobody could tell.
func (r *running) insist(body string) {
	r.t.Helper()
	for repeated := false; ; repeated = true {
		status, header, answer := r.send("POST", "/scim/v2/Users", databaseToken, body)
		switch {
		case status == http.StatusCreated, status == http.StatusConflict && repeated:
			return
		case status != http.StatusServiceUnavailable || header.Get("Retry-After") == "":
			r.t.Errorf("%d, Retry-After %q, %s", status, header.Get("Retry-After"), answer)
			return
		}
		time.Sleep(20 * time.Millisecond) // not as long as it says
	}
}

// lastUsed is when a token was used last: what a test asks counts.
var lastUsed = regexp.MustCompile(`"lastUsed":"[^"]*"`)

// TestMoveToPostgreSQL copies the file of a server, as docs/operations.md says, and starts
// one on the copy: whatever is asked, it gives the same answer.
func TestMoveToPostgreSQL(t *testing.T) {
	var host, name string
	if _, err := fmt.Sscanf(postgrestest.Start(t).Database(t), "host=%s user=postgres dbname=%s", &host, &name); err != nil {
		t.Fatal(err)
	}
	const token = "token-of-a-moved-server-0123456789abcdef-01234"
	config, file := filepath.Join(t.TempDir(), "config.json"), filepath.Join(t.TempDir(), "provision.db")
	if err := os.WriteFile(config, []byte(`{"connections":[{"id":"acme","scim":{"token":"`+token+`"},"policy":{"siteAdminGroups":"Staff"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "postgres:///" + name + "?user=postgres&host=" + host
	args := func(db string) []string {
		return []string{"-db", db, "-config", config, "-operator-token", operatorToken}
	}
	before := start(t, args(file)...)
	addMembers(t, []*running{before}, token)
	ask := func(r *running) map[string]string {
		answers := map[string]string{}
		for _, path := range []string{
			"/scim/v2/Users?count=100", "/scim/v2/Groups", `/scim/v2/Users?filter=userName+eq+%22USER3@example.com%22`, "/scim/v2/Users?sortBy=userName&sortOrder=descending",
		} {
			answers[path] = strings.ReplaceAll(r.get(path, token), r.base, "")
		}
		for _, path := range []string{"/accounts?deleted=true&connection=acme", "/groups?connection=acme", "/events?connection=acme", "/connections?connection=acme"} {
			answers[path] = lastUsed.ReplaceAllString(r.get(path, operatorToken), "")
		}
		return answers
	}
	want := ask(before)
	before.stop()

	from, err := sqlite.Open(t.Context(), sqlite.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	to, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Copy(t.Context(), from, to, store.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _ = from.Close(), to.Close()
	after := start(t, args(url)...)
	if diff := cmp.Diff(want, ask(after)); diff != "" {
		t.Errorf("answers (-SQLite +PostgreSQL):\n%s", diff)
	}
	if status, body := after.do("POST", "/scim/v2/Users", token, newUser); status != http.StatusCreated {
		t.Errorf("the next user: %d %s", status, body)
	}
	after.stop()
}
