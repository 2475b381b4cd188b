package console_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision/console"
)

var update = flag.Bool("update", false, "write the table of docs/api.md")

// docs/api.md has the table of operations.
func TestDocumentedOperations(t *testing.T) {
	const file, head = "../docs/api.md", "| --- | --- | --- | --- | --- | --- | --- |\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), head)
	if !ok {
		t.Fatal("the table is not there")
	}
	after := ""
	if i := strings.Index(rest, "\n\n"); i >= 0 {
		after = rest[i:]
	}
	var rows strings.Builder
	yes := map[bool]string{true: "yes"}
	for _, o := range console.Operations() {
		alias, name := "", o.Name
		if o.Alias != "" {
			alias = "`" + o.Alias + "`"
		}
		match := map[bool]string{true: ", with `If-Match`"}[o.NeedsIfMatch]
		fmt.Fprintf(&rows, "| `%s %s`%s | `%s` | %s | %s | %s | %s | %s |\n", o.Method, o.Path, match, name, o.Summary,
			yes[o.ForSupport], yes[o.ForCustomer || o.ForEveryone], yes[o.Audited], alias)
	}
	want := before + head + strings.TrimSuffix(rows.String(), "\n") + after
	if !strings.HasSuffix(want, "\n") {
		want += "\n"
	}
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatal("docs/api.md is not as the table is: go test ./console -run DocumentedOperations -update")
	}
	if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}
