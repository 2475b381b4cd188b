package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/httpscript"
)

// TestTestResource replays the scripts of testdata/testresource against the
// whole server, on each store. It is the proof that a resource type of a host's
// own works like those of the RFC, without code of its own.
func TestTestResource(t *testing.T) {
	files, err := filepath.Glob("testdata/testresource/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		script, err := httpscript.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, db := range []string{":memory:", "test.db"} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+db, func(t *testing.T) {
				dir := t.TempDir()
				if db != ":memory:" {
					db = filepath.Join(dir, db)
				}
				config, tokens := testConfig(t, dir, script.Dialect)
				s := start(t, "-db", db, "-config", config, "-test-resource")
				tokens["operator"] = s.operator
				(&httpscript.Player{Base: s.base + "/scim/v2", Operator: s.base, Tokens: tokens}).Play(t, script)
				if log := s.log.String(); strings.Contains(log, "level=ERROR") {
					t.Errorf("the log has errors:\n%s", log)
				}
				s.stop()
				if err := os.WriteFile(filepath.Join(dir, "log"), []byte(s.log.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				checkFiles(t, dir, "write-only-secret")
			})
		}
	}
}

// checkFiles looks for a secret in the files that the server leaves.
func checkFiles(t *testing.T, dir, secret string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v: %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(data), secret) {
			t.Errorf("%s has the secret, or cannot be read: %v", file, err)
		}
	}
}

// testConfig writes a configuration with two connections of a dialect, and
// returns their tokens.
func testConfig(t *testing.T, dir, dialect string) (file string, tokens map[string]string) {
	t.Helper()
	tokens = map[string]string{
		"scim":  "token-of-demo-0123456789abcdef-0123456789",
		"other": "token-of-other-0123456789abcdef-012345678",
	}
	data, err := json.Marshal(map[string]any{"connections": []map[string]any{
		{"id": "demo", "dialect": dialect, "scim": map[string]string{"token": tokens["scim"]}},
		{"id": "other", "dialect": dialect, "scim": map[string]string{"token": tokens["other"]}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, tokens
}

// Without the flag there is no such resource type.
func TestNoTestResource(t *testing.T) {
	s := start(t, "-db", ":memory:")
	for path, want := range map[string]int{"/TestResources": 404, "/ResourceTypes/TestResource": 404, "/Users": 200} {
		if status, body := s.do("GET", "/scim/v2"+path, s.token, ""); status != want {
			t.Errorf("GET %s: %d, want %d: %s", path, status, want, body)
		}
	}
}
