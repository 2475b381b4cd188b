//go:build unix

// Package postgrestest starts a PostgreSQL server of its own for a test.
package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Server is a PostgreSQL server that ends with the test that started it.
type Server struct {
	programs  string // a directory
	directory string // of the data and the socket
	owner     *syscall.SysProcAttr
	made      int // databases
}

// Start starts a server in a temporary directory, where it listens on a Unix
// socket only. It does not wait for the disk, unless the settings say "fsync=on". Where Debian's postgresql is not installed it skips the test.
// Whoever must not miss that looks for SKIP-EXTERNAL in the output of go test -v.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	if len(found) == 0 {
		t.Skip("SKIP-EXTERNAL: postgresql is not installed")
	}
	directory, err := os.MkdirTemp("", "postgrestest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	s := &Server{programs: filepath.Dir(slices.Max(found)), directory: directory}
	if os.Getuid() == 0 { // which the server refuses to be
		s.becomeNobody(t)
	}
	data := filepath.Join(directory, "data")
	s.run(t, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off", directory)
	for _, setting := range settings {
		options += " -c " + setting
	}
	s.run(t, "pg_ctl", "-D", data, "-w", "-l", filepath.Join(directory, "log"), "-o", options, "start")
	t.Cleanup(func() { s.run(t, "pg_ctl", "-D", data, "-m", "immediate", "stop") })
	return s
}

func (s *Server) becomeNobody(t testing.TB) {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // a number on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(s.directory, uid, gid); err != nil {
		t.Fatal(err)
	}
	s.owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Database makes an empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.made++
	name := fmt.Sprintf("test%d", s.made)
	s.run(t, "createdb", "-h", s.directory, "-U", "postgres", name)
	return fmt.Sprintf("host=%s user=postgres dbname=%s", s.directory, name)
}

func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	// Not CommandContext: the context of a test ends before it is cleaned up.
	command := exec.Command(filepath.Join(s.programs, program), args...) //nolint:noctx // see above
	command.Dir, command.SysProcAttr = s.directory, s.owner
	// A file and not a pipe, which the server would keep open.
	out, err := os.CreateTemp(t.TempDir(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	command.Stdout, command.Stderr = out, out
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
}
