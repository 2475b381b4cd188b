package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"trace", []string{"-trace"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got bytes.Buffer
			args := slices.Concat(test.args, []string{"testdata/policy.json", "testdata/people.csv"})
			if err := run(args, &got, io.Discard); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", test.name+".txt")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// Errors name the file, the line, and the column or option.
func TestErrors(t *testing.T) {
	const people, config = "userName,groups\nada,IT\n", `{}`
	tests := []struct {
		name           string
		policy, people string
		want           string // F is the directory of the files
	}{
		{"unknown option", "{\n  \"company\": \"x\",\n  \"requiredGroup\": \"IT\"\n}", people, "F/policy.json:3:3: policy: \"requiredGroup\" is not an option; did you mean \"requiredGroups\"?"},
		{"wrong type", "{\n\"company\": 1}", people, `F/policy.json:2:12: policy option "company": 1 is not a string`},
		{"wrong pattern", `{"requiredGroups": "IT, \"Sales"}`, people, `F/policy.json: policy option "requiredGroups": `},
		{"rule between options", `{"siteAdminGroups": "*"}`, people, `F/policy.json: policy option "siteAdminGroups": `},
		{"unknown column", config, "userName,group\n", `F/people.csv:1: column 2: "group" is not known`},
		{"column twice", config, "userName,userName\n", `F/people.csv:1: column 2: "userName" is there twice`},
		{"no user name column", config, "groups\n", "F/people.csv:1: the column userName is missing"},
		{"empty file", config, "", "F/people.csv:1: the header is missing"},
		{"empty user name", config, "groups,userName\nIT,\n", "F/people.csv:2:4: column userName: is empty"},
		{"group twice", config, "userName,groups\nada,IT;IT\n", `F/people.csv:2:5: column groups: "IT" is there twice`},
		{"not a truth", config, "userName,active\nada,perhaps\n", `F/people.csv:2:5: column active: "perhaps" is neither`},
		{"short row", config, "userName,groups\nada,IT\ngrace\n", "F/people.csv:3:1: wrong number of fields"},
		{"quote", config, "userName,groups\nada,\"IT\n", "F/people.csv:2:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			files := []string{filepath.Join(dir, "policy.json"), filepath.Join(dir, "people.csv")}
			for i, text := range []string{test.policy, test.people} {
				if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := run(files, &out, io.Discard)
			if err == nil {
				t.Fatal("there is no error")
			}
			if want := strings.Replace(test.want, "F", dir, 1); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %q, want %q", err, want)
			}
			if out.Len() > 0 {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

// What people are called cannot break the table or the terminal.
func TestPrintableCells(t *testing.T) {
	dir := t.TempDir()
	config, list := filepath.Join(dir, "policy.json"), filepath.Join(dir, "people.csv")
	for file, text := range map[string]string{config: "{}", list: "\ufeffuserName,groups\n\"a\tda\nx\x1b[2J\",\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run([]string{config, list}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "a\ufffdda\ufffdx\ufffd[2J  active") {
		t.Errorf("printed %q", out.String())
	}
}
