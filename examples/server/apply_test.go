package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision/console"
)

// listed returns the connections of a server by id.
func (r *running) listed() map[string]console.Overview {
	r.t.Helper()
	var list []console.Overview
	if err := json.Unmarshal([]byte(r.get("/connections", operatorToken)), &list); err != nil {
		r.t.Fatal(err)
	}
	out := map[string]console.Overview{}
	for _, c := range list {
		out[c.ID] = c
	}
	return out
}

// put saves the settings of a connection as they were at a version.
func (r *running) put(id, version, body string) (int, string) {
	r.t.Helper()
	status, _, answer := r.sendWith("PUT", "/connections/"+id, operatorToken, body, map[string]string{"If-Match": `"` + version + `"`})
	return status, answer
}

// oneConnection is a configuration of one connection with a token of its own.
func oneConnection(id, name string) string {
	return `{"connections":[{"id":"` + id + `","name":"` + name + `","scim":{"token":"` + strings.Repeat(id, 40) + `"}}]}`
}

// What a file lists belongs to the file: operators see it and cannot change it. What they
// have made by themselves is nobody else's: a start does not close it.
func TestConnectionsOfFile(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "test.db"), filepath.Join(dir, "config.json")
	args := []string{"-db", db, "-config", file, "-operator-token", operatorToken}
	write(t, file, oneConnection("a", "first"))
	s := start(t, args...)
	if status, answer := s.put("a", "1", `{"name":"mine"}`); status != 409 || !strings.Contains(answer, "managed_by_file") {
		t.Errorf("saving what the file has: %d %s", status, answer)
	}
	s.operate("POST", "/connections/a/credentials", `{"method":"token"}`, 409, "managed_by_file")
	s.operate("POST", "/connections", `{"id":"own","scim":true}`, 201, `"id":"own"`)
	s.operate("POST", "/connections", `{"id":"v2"}`, 400, "setting_id")
	s.operate("POST", "/connections", `{"id":"ad","ldap":{"urls":["ldaps://dc1.example"],"baseDNs":["DC=a"],"filter":"(cn)"}}`, 400, "ldap.filter")
	s.operate("POST", "/connections/own/ldap/check", ``, 409, "ldap_connection")
	s.stop()

	write(t, file, oneConnection("b", "second"))
	s = start(t, args...)
	list := s.listed()
	if !list["a"].Disabled || list["b"].Disabled || list["own"].Disabled || list["own"].ManagedBy != "" || list["b"].ManagedBy != "file" {
		t.Errorf("the connections are %+v", list)
	}
	if status, answer := s.put("own", "1", `{"name":"mine","scim":true}`); status != 200 {
		t.Errorf("saving what no file has: %d %s", status, answer)
	}
}

// A file that is imported is read once: what operators change afterwards stays, and so does
// what they delete, whatever the file says and whether it is there. A connection that a file
// managed before is handed over.
func TestConfigImport(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "test.db"), filepath.Join(dir, "config.json")
	args := []string{"-db", db, "-config", file, "-operator-token", operatorToken}
	once := slices.Concat(args, []string{"-config-import"})

	s := start(t, "-db", db, "-operator-token", operatorToken) // the demo connection is not in the way
	s.stop()
	write(t, file, oneConnection("a", "first"))
	s = start(t, args...)
	if got := s.listed()["a"]; got.ManagedBy != "file" {
		t.Fatalf("without the import it is %+v", got)
	}
	s.stop()
	write(t, file, `{"connections":[{"id":"a","name":"second"},{"id":"b"}]}`)
	s = start(t, once...)
	if got := s.listed(); got["a"].Name != "second" || got["a"].ManagedBy != "" || got["b"].ID != "b" || got["b"].ManagedBy != "" {
		t.Fatalf("imported is %+v", got)
	}
	version := s.header("/connections/a", "ETag")
	if status, answer := s.put("a", strings.Trim(version, `"`), `{"name":"mine"}`); status != 200 {
		t.Fatalf("saving what was imported: %d %s", status, answer)
	}
	if status, _, answer := s.sendWith("DELETE", "/connections/b", operatorToken, "", map[string]string{"If-Match": s.header("/connections/b", "ETag")}); status != 204 {
		t.Fatalf("deleting what was imported: %d %s", status, answer)
	}
	s.stop()
	for _, text := range []string{oneConnection("a", "third"), "no JSON", ""} {
		if write(t, file, text); text == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		s = start(t, once...)
		if got := s.listed(); got["a"].Name != "mine" || got["a"].Disabled || got["b"].ID != "" {
			t.Errorf("after another start with %q: %+v", text, got)
		}
		s.stop()
	}
}

// An import without a file that can be read is refused where it is needed.
func TestConfigImportNeedsFile(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "config.json")
	write(t, broken, "{")
	for _, args := range [][]string{
		{"-config", filepath.Join(t.TempDir(), "none.json"), "-config-import"},
		{"-config", broken, "-config-import"},
		{"-config-import"},
	} {
		out := &output{ready: make(chan struct{})}
		if err := run(t.Context(), append([]string{"-addr", "127.0.0.1:0", "-db", ":memory:"}, args...), out, out); err == nil {
			t.Errorf("%q: the server has started", args)
		}
	}
}
