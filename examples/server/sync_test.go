package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision"
)

func TestSyncEndpoint(t *testing.T) {
	const both = `{"userName":"ada@example.com"}
{"userName":"bob@example.com"}
{"displayName":"Staff","members":[{"value":"ada@example.com"}]}
`
	one, _, _ := strings.Cut(both, "\n")
	s := start(t, "-db", ":memory:", "-operator-token", operatorToken)
	sync := func(parameters, body string) (report provision.SyncReport) {
		t.Helper()
		status, answer := s.do("POST", "/sync?connection=demo"+parameters, operatorToken, body)
		if status != http.StatusOK {
			t.Fatalf("sync %s: %d %s", parameters, status, answer)
		}
		if err := json.Unmarshal([]byte(answer), &report); err != nil {
			t.Fatal(err)
		}
		return report
	}
	accounts := func() int {
		t.Helper()
		var list []provision.Account
		if err := json.Unmarshal([]byte(s.get("/accounts?connection=demo", operatorToken)), &list); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, a := range list {
			if a.Status == "active" {
				n++
			}
		}
		return n
	}
	if r := sync("&dryRun=true", both); !r.DryRun || r.Users.Created != 2 || accounts() != 0 {
		t.Errorf("the dry run says %+v and left %d accounts", r, accounts())
	}
	if r := sync("", both); r.Users.Created != 2 || r.MembersAdded != 1 || accounts() != 2 {
		t.Errorf("the sync says %+v and left %d accounts", r, accounts())
	}
	if r := sync("&force=true", one); r.Users.Absent != 1 || r.Held || accounts() != 1 {
		t.Errorf("the second sync says %+v and left %d accounts", r, accounts())
	}
	csv, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/sync?connection=demo", strings.NewReader("userName\nada@example.com\ncy@example.com\n"))
	if err != nil {
		t.Fatal(err)
	}
	csv.Header.Set("Content-Type", "text/csv; charset=utf-8")
	csv.Header.Set("Authorization", "Bearer "+operatorToken)
	answer, err := http.DefaultClient.Do(csv)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK || accounts() != 2 {
		t.Errorf("CSV: %d, %v, and %d accounts", answer.StatusCode, err, accounts())
	}
	tests := []struct {
		name, path, token, body string
		status                  int
		answer                  string
	}{
		{"neither a body nor a directory", "/sync?connection=demo", operatorToken, "", http.StatusBadRequest, "no directory"},
		{"no token", "/sync?connection=demo", "", both, http.StatusUnauthorized, "operator token"},
		{"no connection", "/sync", operatorToken, both, http.StatusBadRequest, "connection"},
		{"unknown connection", "/sync?connection=x", operatorToken, both, http.StatusNotFound, "x"},
		{"wrong flag", "/sync?connection=demo&force=perhaps", operatorToken, both, http.StatusBadRequest, "force"},
		{"empty", "/sync?connection=demo", operatorToken, "\n", http.StatusBadRequest, "no users"},
		{"wrong line", "/sync?connection=demo", operatorToken, one + "\nx\n", http.StatusBadRequest, "line 2"},
	}
	for _, test := range tests {
		status, answer := s.do("POST", test.path, test.token, test.body)
		if status != test.status || !strings.Contains(answer, test.answer) {
			t.Errorf("%s: %d %s, want %d and %q", test.name, status, answer, test.status, test.answer)
		}
	}
}
