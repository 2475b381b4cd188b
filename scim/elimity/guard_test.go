package elimity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/elimity"
	"github.com/scimjit/provision/scim/filter"
)

// TestGuardDeepNesting sends what ends the process without Guard to a whole
// server. That the test ends is what it asserts.
func TestGuardDeepNesting(t *testing.T) {
	deep := strings.Repeat("(", 100_000)
	urn := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	operation := func(op string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + op + `]}`
	}
	search := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],`
	tests := []struct {
		name   string
		method string
		path   string // {id} is that of a user
		body   string
		want   string // scimType
	}{
		{"filter of users", "GET", "/Users?filter=" + deep, "", "invalidFilter"},
		{"filter of schemas", "GET", "/Schemas?filter=" + deep, "", "invalidFilter"},
		{"filter of resource types", "GET", "/ResourceTypes?filter=" + deep, "", "invalidFilter"},
		{"second filter", "GET", "/Users?filter=userName+pr&filter=" + deep, "", "invalidFilter"},
		{"not", "GET", "/Users?filter=" + strings.Repeat("not(", 25_000), "", "invalidFilter"},
		{"filter of a search", "POST", "/Users/.search", search + `"filter":"` + deep + `"}`, "invalidFilter"},
		{"filter of a search in capitals", "POST", "/Users/.search", search + `"FILTER":"` + deep + `"}`, "invalidFilter"},
		{"filter of a search, escaped key", "POST", "/Users/.search", search + `"f\u0069lter":"` + deep + `"}`, "invalidFilter"},
		{"path", "PATCH", "/Users/{id}", operation(`{"op":"remove","path":"emails[` + deep + `"}`), "invalidPath"},
		{"path in capitals", "PATCH", "/Users/{id}", operation(`{"op":"remove","PATH":"emails[` + deep + `"}`), "invalidPath"},
		{"path of the last of two operations", "PATCH", "/Users/{id}", operation(`{"op":"remove","path":"title"},{"op":"remove","path":"emails[` + deep + `"}`), "invalidPath"},
		{"operations spelled with a long s", "PATCH", "/Users/{id}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operation` + "\u017f" + `":[{"op":"remove","path":"emails[` + deep + `"}]}`, "invalidPath"},
		{"key", "PATCH", "/Users/{id}", operation(`{"op":"add","value":{"emails[` + deep + `":"x"}}`), "invalidPath"},
		{"key with an empty path", "PATCH", "/Users/{id}", operation(`{"op":"add","path":"","value":{"emails[` + deep + `":"x"}}`), "invalidPath"},
		{"key of an extension", "PATCH", "/Users/{id}", operation(`{"op":"add","value":{"` + urn + `":{"manager[` + deep + `":"x"}}}`), "invalidPath"},
		{"key of an extension in itself", "PATCH", "/Users/{id}", operation(`{"op":"add","value":{"` + urn + `":{"` + urn + `":{"manager[` + deep + `":"x"}}}}`), "invalidPath"},
	}
	f := newFixture(t, defaults("auto"))
	id := createUser(t, f, "ada")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := send(t, f.theirs, test.method, filled(test.path, id), test.body)
			if got := text(w.Body.Bytes(), "scimType"); w.Code != http.StatusBadRequest || got != test.want {
				t.Errorf("status %d, type %q, want 400 %q", w.Code, got, test.want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/scim+json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	const pathless = `{"Operations":[{"op":"add","value":`
	limits := elimity.Limits{Body: 1000, Operations: 2, Paths: 40, Filter: filter.Limits{Bytes: 30}}
	tests := []struct {
		name   string
		method string
		target string
		body   string
		want   int // 0: passed on
	}{
		{"filter", "GET", `/Users?filter=userName+eq+"ada"`, "", 0},
		{"empty filter", "GET", "/Users?filter=+", "", 0},
		{"filter that does not parse", "GET", "/Users?filter=userName", "", 400},
		{"filter beyond its limit", "GET", `/Users?filter=userName+eq+"` + strings.Repeat("x", 30) + `"`, "", 400},
		{"filter with another method", "DELETE", "/Users/1?filter=(", "", 400},
		{"body of a DELETE", "DELETE", "/Users/1", "(", 0},
		{"body", "POST", "/Users", `{"userName":"ada","filter":"("}`, 0},
		{"body at its limit", "POST", "/Users", `{"a":"` + strings.Repeat("x", 992) + `"}`, 0},
		{"body beyond its limit", "POST", "/Users", `{"a":"` + strings.Repeat("x", 993) + `"}`, 413},
		{"no JSON", "PUT", "/Users/1", `{"userName":`, 400},
		{"data after the body", "PUT", "/Users/1", `{} {}`, 400},
		{"duplicate key", "POST", "/Users", `{"userName":"ada","userName":"eve"}`, 400},
		{"damaged text", "POST", "/Users", "{\"userName\":\"\xff\"}", 400},
		{"search without a filter", "POST", "/Users/.search", `{}`, 0},
		{"search of the root", "POST", "/.search", `{"filter":"("}`, 400},
		{"search that is a list", "POST", "/.search", `[]`, 400},
		{"PATCH that is a list", "PATCH", "/Users/1", `[]`, 400},
		{"operation that is a text", "PATCH", "/Users/1", `{"Operations":["("]}`, 400},
		{"path", "PATCH", "/Users/1", `{"Operations":[{"op":"Add","path":"emails[type eq \"a\"].value"}]}`, 0},
		{"path that does not parse", "PATCH", "/Users/1", `{"Operations":[{"op":"Add","path":"emails[]"}]}`, 400},
		{"operations at their limit", "PATCH", "/Users/1", `{"Operations":[{},{}]}`, 0},
		{"operations beyond their limit", "PATCH", "/Users/1", `{"Operations":[{},{},{}]}`, 413},
		{"paths at their limit", "PATCH", "/Users/1", `{"Operations":[{"path":"` + strings.Repeat("x", 20) + `"},{"path":"` + strings.Repeat("y", 20) + `"}]}`, 0},
		{"paths beyond their limit", "PATCH", "/Users/1", `{"Operations":[{"path":"` + strings.Repeat("x", 20) + `"},{"path":"` + strings.Repeat("y", 21) + `"}]}`, 413},
		{"keys beyond the limit of paths", "PATCH", "/Users/1", pathless + `{"` + strings.Repeat("x", 41) + `":1}}]}`, 413},
		{"keys", "PATCH", "/Users/1", pathless + `{"name.givenName":"x","http://a/b c":{"d":1}}}]}`, 0},
		{"key that does not parse", "PATCH", "/Users/1", pathless + `{"emails[":"x"}}]}`, 400},
		{"keys inside an attribute", "PATCH", "/Users/1", pathless + `{"name":{"emails[":"x"}}}]}`, 0},
		{"keys of a value with a path", "PATCH", "/Users/1", `{"Operations":[{"path":"name","value":{"a:(":1}}]}`, 0},
		{"value without a path that is a text", "PATCH", "/Users/1", pathless + `"emails["}]}`, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var passed []byte
			next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				passed, _ = io.ReadAll(r.Body)
				passed = append([]byte("passed "), passed...)
			})
			w := httptest.NewRecorder()
			limits.Guard(next).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), test.method, test.target, strings.NewReader(test.body)))
			if test.want == 0 {
				if diff := cmp.Diff("passed "+test.body, string(passed)); diff != "" {
					t.Errorf("passed on (-want +got):\n%s%s", diff, w.Body)
				}
				return
			}
			if w.Code != test.want || passed != nil {
				t.Errorf("status %d, want %d; passed on %q", w.Code, test.want, passed)
			}
			if !bytes.Contains(w.Body.Bytes(), []byte(`"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"]`)) || !json.Valid(w.Body.Bytes()) {
				t.Errorf("not a SCIM error: %s", w.Body)
			}
		})
	}
}

// TestGuardBrokenBody asserts that a body that ends early is refused.
func TestGuardBrokenBody(t *testing.T) {
	body := io.MultiReader(strings.NewReader(`{"userName"`), failing{})
	w := httptest.NewRecorder()
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("passed on") })
	elimity.Guard(next).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/Users", body))
	if w.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", w.Code)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection lost") }
