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
	otherPath = regexp.MustCompile("`((?:docs|console|examples|internal|jit|policy|scim|store|testdata|\\.ci)/[\\w./*-]+|[\\w/-]+\\.(?:md|json|yml))`")
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

// codeSources are where the codes stand that people may meet, and how.
var codeSources = map[string]*regexp.Regexp{
	"policy/denial.go":          regexp.MustCompile(`Denial = "([a-z_]+)"`),
	"policy/errors.go":          regexp.MustCompile(`= "(option_[a-z_]+)"`),
	"errors.go":                 regexp.MustCompile(`= "(credential_[a-z_]+)"`),
	"jit/denial.go":             regexp.MustCompile(`Code\w+ += "([a-z_]+)"`),
	"jit/ldap/errors.go":        regexp.MustCompile(`Code = "([a-z_]+)"`),
	"jit/ldap/check.go":         regexp.MustCompile(`Finding\w+ += "([a-z_]+)"`),
	"jit/ldap/person.go":        regexp.MustCompile(`Problem\w+ += "([a-z_]+)"`),
	"jit/saml/errors.go":        regexp.MustCompile(`Code = "([a-z_]+)"`),
	"mode.go":                   regexp.MustCompile(`= "(mode_[a-z_]+)"`),
	"sync_status.go":            regexp.MustCompile(`= "(sync_[a-z_]+)"`),
	"credential_auth.go":        regexp.MustCompile(`UnauthenticatedError{.*"(\w+)", `),
	"examples/server/config.go": regexp.MustCompile(`\[((?:config|setting)_[a-z_]+)\]`),
	"examples/server/saml.go":   regexp.MustCompile(`\[((?:config|setting)_[a-z_]+)\]`),
	"console/problem.go":        regexp.MustCompile(`code\w+ += "([a-z_]+)"`),
}

// Each code that somebody may meet has a row in the guide for trouble, with a cause,
// somebody who mends it, and how.
func TestTroubleshootingNamesCodes(t *testing.T) {
	data, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 4 {
			continue
		}
		for _, code := range strings.Split(cells[0], ", ") {
			explained[strings.Trim(code, "`")] = true
		}
	}
	codes := slices.Concat(provision.WarningCodes(), provision.ProblemCodes())
	for _, settings := range []string{"id", "name", "dialect", "attributes", "saml.preset", "saml.mapping", "saml.metadata", "saml.clockSkewSeconds", "saml.entityID", "saml.baseURL",
		"ldap", "ldap.urls", "ldap.serverName", "ldap.startTLS", "ldap.insecureNoTLS", "ldap.ca", "ldap.clientCertificate", "ldap.clientKey", "ldap.bindDN",
		"ldap.bindPassword", "ldap.baseDNs", "ldap.groupBaseDNs", "ldap.filter", "ldap.groupFilter", "ldap.preset", "ldap.mapping", "ldap.intervalSeconds"} {
		codes = append(codes, (&provision.ConnectionError{Field: settings}).Code())
	}
	for _, argument := range []string{"groups", "hostID", "src", "authentication", "twoFactor", "permissions", "choice"} {
		codes = append(codes, (&provision.ArgumentError{Argument: argument}).Code())
	}
	for file, pattern := range codeSources {
		found := codesIn(t, file, pattern)
		if len(found) == 0 {
			t.Errorf("%s has no codes", file)
		}
		codes = append(codes, found...)
	}
	for _, code := range codes {
		if !explained[code] {
			t.Errorf("docs/troubleshooting.md has no row for the code %s", code)
		}
	}
}

func codesIn(t *testing.T, file string, pattern *regexp.Regexp) (codes []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range pattern.FindAllStringSubmatch(string(data), -1) {
		codes = append(codes, m[1])
	}
	return codes
}

var (
	namedTest = regexp.MustCompile("`([\\w/]+)\\.((?:Test|Fuzz)\\w+)`")
	namedType = regexp.MustCompile("`([\\w/]+)\\.([A-Z]\\w+)\\.([A-Z]\\w+)`")
)

// Every promise about security has a test, and every limit its field.
func TestPromisesNameTests(t *testing.T) {
	data, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	promises := 0
	for i, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "|") || cells[len(cells)-1] == "test" || strings.HasPrefix(line, "| ---") {
			continue
		}
		promises++
		tests := namedTest.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(tests) == 0 {
			t.Errorf("docs/security.md:%d has no test", i+1)
		}
		for _, m := range tests {
			if !declares(t, m[1], "*_test.go", `(?m)^func `+m[2]+`\(`) {
				t.Errorf("docs/security.md:%d names %s.%s, which is not there", i+1, m[1], m[2])
			}
		}
		for _, m := range namedType.FindAllStringSubmatch(line, -1) {
			if !declares(t, m[1], "*.go", `(?ms)^type `+m[2]+` struct \{$.*?^\t(\w+, )*`+m[3]+`\b.*?^\}`) {
				t.Errorf("docs/security.md:%d names the field %s.%s.%s, which is not there", i+1, m[1], m[2], m[3])
			}
		}
	}
	if promises < 50 {
		t.Errorf("docs/security.md has %d promises", promises)
	}
}

// declares reports whether a file of a folder matches. The root is its package.
func declares(t *testing.T, folder, files, pattern string) bool {
	t.Helper()
	if folder == "provision" {
		folder = "."
	}
	names, err := filepath.Glob(filepath.Join(folder, files))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(pattern)
	return slices.ContainsFunc(names, func(name string) bool {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return declaration.Match(data)
	})
}
