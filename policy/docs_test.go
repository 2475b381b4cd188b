package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

func readDocument(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")
	optionRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| `([^`]+)` \\| ([^|]+) \\|$")
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

// Every option has one row, with its real default.
func TestDocumentedOptions(t *testing.T) {
	data, err := json.Marshal(policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]json.RawMessage
	if err := json.Unmarshal(data, &defaults); err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for key, value := range defaults {
		want[key] = string(value)
	}
	for _, row := range optionRow.FindAllStringSubmatch(readDocument(t), -1) {
		if _, twice := got[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		got[row[1]] = row[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults by option (-real +documented)\n%s", diff)
	}
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
