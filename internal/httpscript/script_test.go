package httpscript_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/httpscript"
)

// A script that must fail does, and says why.
func TestPlay(t *testing.T) {
	const (
		user  = `{"schemas":["urn:x"],"id":"1","n":9007199254740993,"list":[{"a":"b"}],"meta":{"version":"W/\"1\"","created":"2011-05-13T04:42:34Z"}}`
		list  = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":2,"itemsPerPage":2,"Resources":[{"id":"1"},{"id":"2"}]}`
		fault = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"taken [not_unique]"}`
	)
	tests := []struct {
		name, step string
		status     int
		body, want string // want is what the failure says; empty for none
	}{
		{"right", `"answer": {"schemas": ["urn:x"], "id": "{id}", "n": 9007199254740993, "list": [{"a": "<text>"}], "meta": {"version": "<any>", "created": "<time>"}}, "capture": {"id": "/id"}`, 200, user, ""},
		{"a part", `"has": {"list": [{}]}, "lacks": ["/list/1", "/list/0/b"], "never": ["zzz"], "header": {"Etag": "W/\"1\"", "Allow": ""}`, 200, user, ""},
		{"status", ``, 201, user, "status 201, want 200"},
		{"number", `"has": {"n": 9007199254740992}`, 200, user, "/n is"},
		{"text", `"has": {"id": "2"}`, 200, user, "/id is"},
		{"not a time", `"has": {"id": "<time>"}`, 200, user, "/id is"},
		{"missing", `"has": {"x": "<any>"}`, 200, user, "/x is missing"},
		{"more than the answer", `"answer": {"schemas": ["urn:x"], "id": "1"}`, 200, user, "/meta is there"},
		{"longer array", `"has": {"list": []}`, 200, user, "/list is"},
		{"there", `"lacks": ["/list/a=b"]`, 200, user, "/list/a=b is there"},
		{"never", `"never": ["urn:x"]`, 200, user, "the body has"},
		{"header", `"header": {"Etag": ""}`, 200, user, "header Etag"},
		{"capture", `"capture": {"x": "/x"}`, 200, user, "nothing to capture"},
		{"no value", `"has": {"id": "{nothing}"}`, 200, user, "{nothing} has no value"},
		{"same", `"same": "earlier"`, 200, user, "differs"},
		{"etag", ``, 200, strings.Replace(user, `\"1`, `\"2`, 1), "ETag"},
		{"null", ``, 200, `{"schemas":["urn:x"],"x":null}`, "null"},
		{"no schemas", ``, 200, `{}`, "no schemas"},
		{"not JSON", ``, 200, `x`, "not a JSON object"},
		{"no body", ``, 200, ``, "no body"},
		{"order", `"order": ["1", "2"]`, 200, list, ""},
		{"wrong order", `"order": ["2", "1"]`, 200, list, "the resources are [1 2]"},
		{"itemsPerPage", ``, 200, strings.Replace(list, `Page":2`, `Page":3`, 1), "itemsPerPage"},
		{"Resources", ``, 200, strings.Replace(list, "Resources", "resources", 1), "not an array"},
		{"error", `"status": 409, "scimType": "uniqueness", "detail": "tak"`, 409, fault, ""},
		{"scimType", `"status": 409, "scimType": "invalidValue"`, 409, fault, "scimType"},
		{"detail", `"status": 409, "detail": "free"`, 409, fault, "detail"},
		{"status in the body", `"status": 400, "detail": "taken [not_unique]"`, 400, fault, "status in the body"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			step := test.step
			if step != "" {
				step = ", " + step
			}
			script := read(t, `{"about": "x", "steps": [{"path": "/x"`+step+`}]}`)
			player := httpscript.Player{
				Client: httpscript.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/scim+json")
					if strings.Contains(test.body, "version") {
						w.Header().Set("Etag", `W/"1"`)
					}
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
				})),
				Base:   "https://sp.example",
				Tokens: map[string]string{"scim": "secret"},
			}
			got := failures(t.Context(), func(t httpscript.T) { player.Play(t, script) })
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("failures: %q, want %q", got, test.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":             `{"about": "x", "steps": [{"path": "/x", "staus": 201}]}`,
		"no steps":                   `{"about": "x", "steps": []}`,
		"nothing to ask":             `{"about": "x", "steps": [{"name": "x"}]}`,
		"two things to ask":          `{"about": "x", "steps": [{"path": "/x", "operator": "/y"}]}`,
		"an error without its kind":  `{"about": "x", "steps": [{"path": "/x", "status": 400}]}`,
		"something after the script": `{"about": "x", "steps": [{"path": "/x"}]} {}`,
	} {
		file := filepath.Join(t.TempDir(), "script.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := httpscript.Read(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func read(t *testing.T, text string) *httpscript.Script {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := httpscript.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// failures runs fn with a T that collects what it is told.
func failures(ctx context.Context, fn func(httpscript.T)) string {
	c := &collector{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn(c)
	}()
	<-done
	return c.text.String()
}

type collector struct {
	ctx  context.Context
	text strings.Builder
}

func (c *collector) Helper()                           {}
func (c *collector) Context() context.Context          { return c.ctx }
func (c *collector) Errorf(format string, args ...any) { fmt.Fprintf(&c.text, format+"\n", args...) }

func (c *collector) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}
