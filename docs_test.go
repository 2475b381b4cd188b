package provision_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
)

// guides say to a reader in which file something is.
var guides = []string{"docs/architecture.md", "CONTRIBUTING.md", "README.md", "doc.go"}

var (
	// A Go file by its path from the root, with or without backticks; a star
	// stands for any name.
	goFile = regexp.MustCompile(`[\w.*/-]*\w\.go\b`)

	// What else is in backticks and has the form of a path below a folder of the
	// tree, or of a file.
	otherPath = regexp.MustCompile("`((?:docs|examples|internal|jit|policy|scim|store|testdata|\\.ci)/[\\w./*-]+|[\\w/-]+\\.(?:md|json|yml))`")
)

// A guide names no file that is not there.
func TestGuidesNameFiles(t *testing.T) {
	for _, guide := range guides {
		t.Run(guide, func(t *testing.T) {
			data, err := os.ReadFile(guide)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(data), "\n") {
				for _, path := range pathsIn(line) {
					if found, err := filepath.Glob(path); err != nil || len(found) == 0 {
						t.Error(fmt.Sprintf("%s:%d", guide, i+1), "names", path, "which is not there")
					}
				}
			}
		})
	}
}

func pathsIn(line string) []string {
	paths := goFile.FindAllString(line, -1)
	for _, m := range otherPath.FindAllStringSubmatch(line, -1) {
		paths = append(paths, m[1])
	}
	return paths
}

// Each code that somebody may meet has an entry in the guide for trouble.
func TestTroubleshootingNamesCodes(t *testing.T) {
	data, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| ((?:`[^`]+`(?:, )?)+) \\|").FindAllStringSubmatch(string(data), -1) {
		for _, code := range strings.Split(row[1], ", ") {
			explained[strings.Trim(code, "`")] = true
		}
	}
	for _, code := range slices.Concat(provision.WarningCodes(), provision.ProblemCodes()) {
		if !explained[code] {
			t.Errorf("docs/troubleshooting.md has no row for the code %s", code)
		}
	}
}
