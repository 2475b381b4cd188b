package scim_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/schema"
)

// TestRefusals compares the table of refusals with the codes that the packages
// declare, and with what docs/troubleshooting.md explains.
func TestRefusals(t *testing.T) {
	rows := map[schema.Code]bool{}
	for _, r := range scim.Refusals() {
		if rows[r.Code] || r.Status < 400 || r.Cause == "" {
			t.Errorf("%s: there twice, without a cause, or with status %d", r.Code, r.Status)
		}
		rows[r.Code] = true
	}
	for _, file := range []string{"codes.go", "schema/code.go"} {
		for _, code := range declaredCodes(t, file) {
			if !rows[code] {
				t.Errorf("%s: %s is not in the table", file, code)
			}
		}
	}
	doc, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## SCIM\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for code := range rows {
		if !strings.Contains(section, "\n| `"+string(code)+"` | ") {
			t.Errorf("docs/troubleshooting.md has no row for %s below SCIM", code)
		}
	}
	for line := range strings.Lines(section) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			if name, _, _ = strings.Cut(name, "`"); !rows[schema.Code(name)] {
				t.Errorf("docs/troubleshooting.md explains %s, which is no code", name)
			}
		}
	}
}

// declaredCodes returns the constants of the type Code in a file.
func declaredCodes(t *testing.T, file string) []schema.Code {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []schema.Code
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		text, ok := spec.Values[0].(*ast.BasicLit)
		if spec.Type == nil || !ok || text.Kind != token.STRING {
			return true
		}
		code, err := strconv.Unquote(text.Value)
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, schema.Code(code))
		return true
	})
	if len(codes) < 10 {
		t.Fatalf("%s has only %d codes", file, len(codes))
	}
	return codes
}

// endsInCode matches the detail of every refusal; see [scim.Refusals].
var endsInCode = regexp.MustCompile(` \[[a-z_0-9]+\]$`)

// checkError checks the shape of RFC 7644 section 3.12.
func checkError(t *testing.T, a reply, scimType, detail string) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("Content-Type %q", got)
	}
	var e struct {
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		ScimType string   `json:"scimType"`
		Detail   string   `json:"detail"`
	}
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatalf("the body %s is not a SCIM error: %v", a.body, err)
	}
	if len(e.Schemas) != 1 || e.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" {
		t.Errorf("schemas %q", e.Schemas)
	}
	if want := http.StatusText(a.status); e.Status != strings.TrimSpace(e.Status) || want == "" || e.Status != itoa(a.status) {
		t.Errorf("status %q in the body of a %d", e.Status, a.status)
	}
	if scimType != "" && e.ScimType != scimType {
		t.Errorf("scimType %q, want %q; detail %q", e.ScimType, scimType, e.Detail)
	}
	if !endsInCode.MatchString(e.Detail) || !strings.Contains(e.Detail, detail) {
		t.Errorf("detail %q, want one with %q and a code", e.Detail, detail)
	}
	if found := implementationText.FindString(a.body); found != "" {
		t.Errorf("the client sees %q: %s", found, a.body)
	}
	if len(a.body) > 1024 {
		t.Errorf("the error echoes %d bytes", len(a.body))
	}
}
