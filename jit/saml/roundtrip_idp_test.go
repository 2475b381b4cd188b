package saml_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	idpPath      = samlData + "/idp"
	idpStartTime = 30 * time.Second
)

// external skips a test whose external programs are not installed. Whoever must
// not miss that looks for SKIP-EXTERNAL in the output of go test -v.
func external(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIP-EXTERNAL: %s is not installed", name)
		}
	}
}

// startIDP starts the identity provider of testdata/saml/idp, which is npm
// samlp, and returns its address. It ends with the test, or when the test dies:
// its standard input closes then.
func startIDP(t *testing.T, args ...string) string {
	t.Helper()
	external(t, "node")
	if _, err := os.Stat(filepath.Join(idpPath, "node_modules", "samlp")); err != nil {
		t.Skip("SKIP-EXTERNAL: npm ci has not been run in testdata/saml/idp")
	}
	command := exec.CommandContext(t.Context(), "node", append([]string{"--no-deprecation", "server.js"}, args...)...)
	command.Dir = idpPath
	command.Stderr = t.Output()
	command.WaitDelay = 5 * time.Second
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// t.Context is canceled before the cleanups run, and that kills the process.
	t.Cleanup(func() { _ = command.Wait() })
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(output).ReadString('\n')
		first <- line
	}()
	select {
	case line := <-first:
		address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
		if !ok {
			t.Fatalf("the identity provider said %q", line)
		}
		return address
	case <-time.After(idpStartTime):
		t.Fatal("the identity provider does not start")
	}
	return ""
}
