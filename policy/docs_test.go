package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

const documentFile = "../docs/policy.md"

var update = flag.Bool("update", false, "write the rows of the options in docs/policy.md anew")

func readDocument(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")
	optionRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .* \\| `[^`]+` \\| .* \\|$")
)

// What administrators copy from the documentation is a policy.
func TestDocumentedExamples(t *testing.T) {
	document := readDocument(t)
	blocks := jsonBlock.FindAllStringSubmatchIndex(document, -1)
	if marked := strings.Count(document, "```json"); len(blocks) != marked || marked == 0 {
		t.Errorf("%d examples read of %d", len(blocks), marked)
	}
	for _, at := range blocks {
		line := 1 + strings.Count(document[:at[2]], "\n")
		t.Run(fmt.Sprintf("line %d", line), func(t *testing.T) {
			config, err := policy.Parse([]byte(document[at[2]:at[3]]))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := config.Compile(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Every option has one row, made from the table of options, under the heading of
// its section. Flag -update writes the rows anew.
func TestDocumentedOptions(t *testing.T) {
	document := readDocument(t)
	if *update {
		document = optionRow.ReplaceAllStringFunc(document, func(row string) string {
			key := optionRow.FindStringSubmatch(row)[1]
			for _, o := range policy.Options() {
				if o.Key == key {
					return documentedRow(o)
				}
			}
			return row
		})
		if err := os.WriteFile(documentFile, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	section := ""
	for _, o := range policy.Options() {
		if o.Section != section {
			section = o.Section
			want = append(want, "## "+section)
		}
		want = append(want, documentedRow(o))
	}
	var got []string
	for _, part := range strings.Split(document, "\n## ")[1:] {
		heading, _, _ := strings.Cut(part, "\n")
		if rows := optionRow.FindAllString(part, -1); rows != nil {
			got = append(append(got, "## "+heading), rows...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-options +documented)\n%s", diff)
	}
}

// documentedRow is the row of an option in the documentation.
func documentedRow(o policy.Option) string {
	values := map[policy.Kind]string{
		policy.KindSwitch: "true, false", policy.KindText: "text", policy.KindTimeZone: "time zone",
		policy.KindPatterns: "patterns", policy.KindNames: "names", policy.KindDomains: "domains",
		policy.KindPermissions: "object of true, false, null", policy.KindRoles: "list of `groups` and `role`",
	}[o.Kind]
	if o.Range != nil {
		values = fmt.Sprintf("%d to %d", o.Range.Min, o.Range.Max)
	}
	for i, c := range o.Choices {
		text := string(c.Value)
		if text[0] == '"' {
			text = "`" + text + "`"
		}
		if i > 0 {
			values += ", "
		}
		values += text + " (" + c.Label + ")"
	}
	help := o.Help
	if o.OperatorOnly {
		help += " *Operator only.*"
	}
	return fmt.Sprintf("| `%s` | %s | %s | `%s` | %s |", o.Key, o.Label, values, o.Default, help)
}

// The two forms of a list that the documentation calls the same are the same.
func TestDocumentedFormsOfLists(t *testing.T) {
	document := readDocument(t)
	_, after, ok := strings.Cut(document, "These two are the same:")
	if !ok {
		t.Fatal("the documentation does not compare the two forms")
	}
	blocks := jsonBlock.FindAllStringSubmatch(after, 2)
	var forms [2][]byte
	for i, block := range blocks {
		config, err := policy.Parse([]byte(block[1]))
		if err != nil {
			t.Fatal(err)
		}
		if forms[i], err = json.Marshal(config); err != nil {
			t.Fatal(err)
		}
	}
	if len(blocks) != 2 || !bytes.Equal(forms[0], forms[1]) {
		t.Errorf("the forms differ:\n%s\n%s", forms[0], forms[1])
	}
}
