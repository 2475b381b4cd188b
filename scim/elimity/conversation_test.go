package elimity_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// update is set by: go test ./scim/elimity -run TestRefusals -update
var update = flag.Bool("update", false, "rewrite testdata/refused.json")

// conversation is the part of the recorded conversations that this test uses;
// package scim reads all of it.
type conversation struct {
	Dialect     string            `json:"dialect"`
	Policy      *policy.Config    `json:"policy"`
	Headers     map[string]string `json:"headers"`
	BodyHeaders map[string]string `json:"bodyHeaders"`
	Steps       []struct {
		Step    string            `json:"step"`
		Method  string            `json:"method"` // empty: not a request
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
		Status  int               `json:"status"`
		Capture map[string]string `json:"capture"`
	} `json:"steps"`
}

// refusal is a recorded request that the server answers with another status
// than scim.Handler.
type refusal struct {
	Step     string `json:"step"`
	Want     int    `json:"want"` // the status of scim.Handler
	Got      int    `json:"got"`
	ScimType string `json:"scimType,omitempty"`
}

// TestRefusals replays the recorded conversations against an elimity-com/scim
// server, and compares the requests that it refuses with testdata/refused.json.
// What it refuses is sent to scim.Handler on the same engine, so that the
// conversation goes on.
func TestRefusals(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/idp/*.json")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]refusal{}
	for _, path := range paths {
		if strings.HasSuffix(path, ".golden.json") {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		got[name] = replay(t, path)
	}
	const pinned = "testdata/refused.json"
	if *update {
		data, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pinned, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]refusal{}
	data, err := os.ReadFile(pinned)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused requests (-want +got):\n%s", diff)
	}
}

func replay(t *testing.T, path string) []refusal {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var conv conversation
	if err := json.Unmarshal(data, &conv); err != nil {
		t.Fatal(err)
	}
	conn := provision.Connection{Dialect: conv.Dialect}
	if conv.Policy != nil {
		conn.Policy = *conv.Policy
	}
	f := newFixture(t, conn)
	refused, values := []refusal{}, []string{}
	for _, step := range conv.Steps {
		if step.Method == "" {
			continue
		}
		headers := maps.Clone(conv.Headers)
		if step.Body != nil {
			maps.Copy(headers, conv.BodyHeaders)
		}
		maps.Copy(headers, step.Headers)
		fill := strings.NewReplacer(values...)
		request := func(h http.Handler) *httptest.ResponseRecorder {
			var body io.Reader
			if step.Body != nil {
				body = strings.NewReader(fill.Replace(string(step.Body)))
			}
			r := httptest.NewRequestWithContext(t.Context(), step.Method, fill.Replace(step.Path), body)
			for name, value := range headers {
				r.Header.Set(name, strings.ReplaceAll(value, "<token>", token))
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		w := request(f.theirs)
		if w.Code != step.Status {
			refused = append(refused, refusal{step.Step, step.Status, w.Code, text(w.Body.Bytes(), "scimType")})
			if w.Code < http.StatusBadRequest {
				t.Fatalf("%s: status %d, want %d", step.Step, w.Code, step.Status)
			}
			if w = request(f.ours); w.Code != step.Status {
				t.Fatalf("%s: scim.Handler answers %d, want %d: %s", step.Step, w.Code, step.Status, w.Body)
			}
		}
		for name, pointer := range step.Capture {
			values = append(values, "{"+name+"}", text(w.Body.Bytes(), strings.TrimPrefix(pointer, "/")))
		}
	}
	return refused
}

// text returns a text at the top of a JSON object, or "".
func text(data []byte, key string) string {
	var object map[string]any
	if json.Unmarshal(data, &object) != nil {
		return ""
	}
	s, _ := object[key].(string)
	return s
}
