package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
)

// populated starts a server with a user and a group, and returns the id of the
// account.
func populated(t *testing.T) (s *running, account string) {
	t.Helper()
	s = start(t, "-db", ":memory:", "-operator-token", operatorToken)
	var user struct{ ID string }
	if _, body := s.do("POST", "/scim/v2/Users", s.token, newUser); json.Unmarshal([]byte(body), &user) != nil || user.ID == "" {
		t.Fatalf("creating a user: %s", body)
	}
	group := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Staff","members":[{"value":"` + user.ID + `"}]}`
	if status, body := s.do("POST", "/scim/v2/Groups", s.token, group); status != 201 {
		t.Fatalf("creating a group: %d %s", status, body)
	}
	var accounts []struct{ ID string }
	if body := s.get("/accounts?connection=demo", operatorToken); json.Unmarshal([]byte(body), &accounts) != nil || len(accounts) != 1 {
		t.Fatalf("accounts: %s", body)
	}
	return s, accounts[0].ID
}

func TestExplainEndpoint(t *testing.T) {
	s, account := populated(t)
	var got provision.Explanation
	body := s.get("/explain?connection=demo&account="+account, operatorToken)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Account == nil || got.Account.ID != account || got.Status != "active" || got.Account.Status != "active" {
		t.Errorf("the explanation is %s", body)
	}
	if !strings.Contains(body, `{"option":"requiredGroups","effect":"off"}`) {
		t.Errorf("an option that did not apply is missing: %s", body)
	}
	tests := []struct {
		name, path, token string
		status            int
		want              string
	}{
		{"no token", "/explain?connection=demo&account=" + account, "", 401, "operator token"},
		{"the SCIM token", "/explain?connection=demo&account=" + account, s.token, 401, "operator token"},
		{"no connection", "/explain?account=" + account, operatorToken, 400, "connection"},
		{"no account", "/explain?connection=demo", operatorToken, 400, "account"},
		{"unknown account", "/explain?connection=demo&account=x", operatorToken, 404, `\"x\"`},
	}
	for _, test := range tests {
		status, body := s.do("GET", test.path, test.token, "")
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d and %q", test.name, status, body, test.status, test.want)
		}
	}
}

func TestPreviewEndpoint(t *testing.T) {
	s, account := populated(t)
	before := s.get("/events?connection=demo", operatorToken)
	tests := []struct {
		name, path, token, body string
		status                  int
		want                    string
	}{
		{"no token", "/preview?connection=demo", "", "{}", 401, "operator token"},
		{"the SCIM token", "/preview?connection=demo", s.token, "{}", 401, "operator token"},
		{"no connection", "/preview", operatorToken, "{}", 400, "connection"},
		{"unknown connection", "/preview?connection=x", operatorToken, "{}", 404, `\"x\"`},
		{"wrong method", "/preview?connection=demo", operatorToken, "GET", 405, ""},
		{"no body", "/preview?connection=demo", operatorToken, "", 400, "policy"},
		{"unknown option", "/preview?connection=demo", operatorToken, `{"nothing":1}`, 400, "nothing"},
		{"wrong value", "/preview?connection=demo", operatorToken, `{"deleteAfterDays":91}`, 400, "deleteAfterDays"},
		{"wrong pattern", "/preview?connection=demo", operatorToken, `{"siteAdminGroups":"*"}`, 400, "siteAdminGroups"},
		{"too large", "/preview?connection=demo", operatorToken, strings.Repeat(" ", console.MaxBody+1), 413, "larger"},
		{"no change", "/preview?connection=demo", operatorToken, `{}`, 200, "[]"},
		{"an admin", "/preview?connection=demo", operatorToken, `{"siteAdminGroups":"Staff"}`, 200, `{"attribute":"siteAdmin","before":false,"after":true}`},
	}
	for _, test := range tests {
		method, body := "POST", test.body
		if body == "GET" {
			method, body = "GET", ""
		}
		status, body := s.do(method, test.path, test.token, body)
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d and %q", test.name, status, body, test.status, test.want)
		}
	}
	var changes []provision.AccountChange
	_, body := s.do("POST", "/preview?connection=demo", operatorToken, `{"requiredGroups":"Nobody"}`)
	if err := json.Unmarshal([]byte(body), &changes); err != nil || len(changes) != 1 || changes[0].AccountID != account ||
		changes[0].UserName != "ada@example.com" || len(changes[0].Reasons) == 0 {
		t.Errorf("the preview is %s, %v", body, err)
	}
	if got := s.form("/preview?connection=demo", `{"requiredGroups":"Nobody"}`); got != body {
		t.Errorf("with the content type of curl -d the preview is %s, want %s", got, body)
	}
	if got := s.get("/events?connection=demo", operatorToken); got != before {
		t.Errorf("the preview made events: %s, before %s", got, before)
	}
}

// form posts a body as curl -d does, as the operator, and returns the answer.
func (r *running) form(path, body string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}
